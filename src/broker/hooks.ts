/** Calls a hook that answers by callback. What it throws counts as an error it called back with. */
export function ask<T>(call: (done: (error?: Error | null, answer?: T) => void) => void): Promise<T | undefined> {
  return new Promise((resolve, reject) => {
    call((error, answer) => {
      if (error) reject(error)
      else resolve(answer)
    })
  })
}
