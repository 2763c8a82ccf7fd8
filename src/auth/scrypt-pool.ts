import { type ScryptOptions, scrypt } from 'node:crypto'

/** Thrown away work: so many computations are waiting that one more would not be answered in time. */
export class TooManyWaiting extends Error {}

/**
 * Runs a few scrypt computations at once and lets the others wait. Each takes tens of megabytes and one of the four
 * threads that files and name look-ups also need, so a crowd of connecting clients must not start them all.
 */
export class ScryptPool {
  readonly #atOnce: number
  readonly #maxWaiting: number
  readonly #waiting: (() => void)[] = []
  #running = 0

  constructor(atOnce: number, maxWaiting: number) {
    this.#atOnce = atOnce
    this.#maxWaiting = maxWaiting
  }

  /** Rejects with {@link TooManyWaiting} when the queue is full. */
  async derive(password: Uint8Array, salt: Uint8Array, length: number, options: ScryptOptions): Promise<Buffer> {
    if (this.#running < this.#atOnce) this.#running++
    else if (this.#waiting.length >= this.#maxWaiting) throw new TooManyWaiting('too many password checks are waiting')
    else await new Promise<void>(resolve => this.#waiting.push(resolve)) // woken with the slot of one that ended
    try {
      return await deriveKey(password, salt, length, options)
    } finally {
      const next = this.#waiting.shift()
      if (next === undefined) this.#running--
      else next()
    }
  }
}

export function deriveKey(
  password: Uint8Array,
  salt: Uint8Array,
  length: number,
  options: ScryptOptions,
): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    scrypt(password, salt, length, options, (failure, key) => {
      if (failure === null) resolve(key)
      else reject(failure)
    })
  })
}
