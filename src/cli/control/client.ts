import { Agent, request } from 'node:http'
import { GatewayError, systemCodeOf } from '../../common/index.ts'

const MAX_ANSWER_BYTES = 64 * 1024 * 1024

export interface Answer {
  readonly status: number
  readonly body: unknown
}

/** Asks a hub or a bridge by its control socket, over one connection that it keeps. */
export class ControlClient {
  readonly path: string
  /** Who is asked: `hub` or `bridge`. */
  readonly #name: string
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 1 })

  constructor(path: string, name: string) {
    this.path = path
    this.#name = name
  }

  /** Rejects with `ERR_LIFECYCLE_NOT_RUNNING` when nobody is there, `ERR_LIFECYCLE_...` for whatever else goes wrong. */
  ask(method: 'GET' | 'POST', url: string, timeoutMs: number): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const fail = (thrown: unknown): void => reject(this.#failure(thrown))
      const asked = request(
        {
          socketPath: this.path,
          method,
          path: url,
          agent: this.#agent,
          headers: { Host: 'localhost' },
          signal: AbortSignal.timeout(timeoutMs),
        },
        response => {
          const chunks: Buffer[] = []
          let length = 0
          response.on('data', (chunk: Buffer) => {
            chunks.push(chunk)
            length += chunk.length
            if (length > MAX_ANSWER_BYTES) response.destroy(new Error('its answer is too long'))
          })
          response.on('error', fail)
          response.on('end', () => {
            try {
              const body: unknown = JSON.parse(Buffer.concat(chunks).toString())
              resolve({ status: response.statusCode ?? 0, body })
            } catch {
              fail(new Error('its answer is not JSON'))
            }
          })
        },
      )
      asked.on('error', fail)
      asked.end()
    })
  }

  close(): void {
    this.#agent.destroy()
  }

  #failure(cause: unknown): GatewayError {
    const code = systemCodeOf(cause) ?? ''
    const text = cause instanceof Error ? cause.message : String(cause)
    if (code === 'ENOENT' || code === 'ECONNREFUSED' || code === 'ENOTSOCK' || code === 'ENOTDIR') {
      return new GatewayError('ERR_LIFECYCLE_NOT_RUNNING', `no ${this.#name} answers at ${this.path}`, { cause })
    }
    if (code === 'EACCES') {
      return new GatewayError('ERR_LIFECYCLE_PERMISSION', `the ${this.#name} at ${this.path} belongs to another user`, {
        cause,
      })
    }
    // The kernel holds no more connections that wait.
    const isLate = code === 'EAGAIN' || (cause instanceof Error && cause.name === 'AbortError')
    const problem = isLate ? 'did not answer in time' : `ended the connection: ${text}`
    return new GatewayError('ERR_LIFECYCLE_NO_ANSWER', `the ${this.#name} at ${this.path} ${problem}`, { cause })
  }
}
