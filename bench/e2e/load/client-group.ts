import { Client, type ClientOptions, ReadSpace } from './client.ts'
import type { Target } from './job.ts'

/** The connections of one measurement: what breaks one of them breaks the measurement. */
export class ClientGroup {
  readonly #target: Target
  readonly #space = new ReadSpace()
  readonly #clients = new Set<Client>()
  readonly #abort = new AbortController()
  readonly #failed: Promise<never>

  constructor(target: Target) {
    this.#target = target
    this.#failed = new Promise((_resolve, reject) => {
      this.signal.addEventListener('abort', () => reject(this.signal.reason as Error))
    })
    this.#failed.catch(() => {}) // Whoever waits for something races with it.
  }

  /** Aborted with the first failure of a connection. */
  get signal(): AbortSignal {
    return this.#abort.signal
  }

  /** A client that is not yet connected. */
  make(clientId: string, options: Pick<ClientOptions, 'keepSession' | 'localAddress'> = {}): Client {
    const onFailure = (error: Error): void => this.#abort.abort(error)
    const client = new Client({ ...this.#target, ...options, clientId, space: this.#space, onFailure })
    this.#clients.add(client)
    return client
  }

  /** Settles as the work does, but rejects as soon as a connection fails. */
  unlessOneFails<T>(work: Promise<T>): Promise<T> {
    return Promise.race([work, this.#failed])
  }

  /** Ends one client. */
  async end(client: Client): Promise<void> {
    this.#clients.delete(client)
    await client.end()
  }

  async endAll(): Promise<void> {
    await Promise.all([...this.#clients].map(client => this.end(client)))
  }
}
