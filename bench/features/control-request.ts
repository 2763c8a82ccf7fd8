import { request } from 'node:http'
import { text } from 'node:stream/consumers'

/** Asks the hub behind a control socket for something; resolves with its answer, rejects when it refuses. */
export function askControl(socketPath: string, method: 'GET' | 'POST', path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const asked = request({ socketPath, method, path }, answer => {
      text(answer).then(body => {
        if (answer.statusCode === 200) resolve(body)
        else reject(new Error(`${method} ${path} was answered with ${answer.statusCode}: ${body.slice(0, 300)}`))
      }, reject)
    })
    asked.on('error', reject)
    asked.end()
  })
}
