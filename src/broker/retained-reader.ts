import { setTimeout as sleep } from 'node:timers/promises'
import type { Client } from './client.ts'
import type { Store } from './store/index.ts'

/** While the database is being opened anew, a read is tried again so often, after so long each time. */
const ATTEMPTS = 20
const RETRY_MS = 100

/** Reads retained messages for one client. What can't be read is logged, and does not keep the rest from being read. */
export class RetainedReader {
  readonly #client: Client
  readonly #store: Store

  constructor(client: Client, store: Store) {
    this.#client = client
    this.#store = store
  }

  /** Their payloads; undefined where there is none, null where it can't be read. Never rejects. */
  async read(topics: readonly string[]): Promise<(Buffer | null | undefined)[]> {
    for (let attempt = 1; !this.#client.closed; attempt++) {
      try {
        return await this.#store.readRetained(topics)
      } catch {
        if (this.#store.commit.failure === null || attempt === ATTEMPTS) break
        await sleep(RETRY_MS, undefined, { ref: false })
      }
    }
    const payloads: (Buffer | null | undefined)[] = []
    for (const topic of topics) payloads.push(await this.#readOne(topic))
    return payloads
  }

  report(topic: string, error: Error): void {
    const { hub, closed } = this.#client
    if (!closed) hub.log.error({ topic, dir: this.#store.database.dir, err: error }, 'retained.unreadable')
  }

  async #readOne(topic: string): Promise<Buffer | null | undefined> {
    if (this.#client.closed) return null
    try {
      const [payload] = await this.#store.readRetained([topic])
      return payload
    } catch (error) {
      this.report(topic, error as Error)
      return null
    }
  }
}
