/** A hub with a store, in this process: started on a directory of its own, stopped, started again, looked into. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ClassicLevel } from 'classic-level'
import type { Hub, HubOptions } from '../../src/broker/index.ts'
import { type EmbeddedHub, embedHub, turns, until } from './embedded-hub.ts'
import { KeptLog } from './kept-log.ts'
import { type ConnectOptions, puback, pubcomp, publish, pubrec, pubrel } from './packets.ts'
import type { Cleanup, RawClient } from './raw-client.ts'

const PATIENCE_MS = 5000
/** Packets sent before their acknowledgements are read. */
const BURST = 2000

export interface StoredHubOptions extends Omit<HubOptions, 'storage' | 'log'> {
  storage?: Partial<NonNullable<HubOptions['storage']>>
}

/** What a hub left on disk. */
interface Contents {
  /** How many bytes the values of each kind of key have. */
  readonly bytes: ReadonlyMap<string, number>
  /** How many keys of these kinds, a letter each, there are together. */
  readonly count: (kinds: string) => number
}

interface Flood {
  topic?: string
  qos?: number
  /** The number in the first payload. */
  from?: number
  count: number
  /** Length of each payload, at least that of its number. */
  bytes?: number
  /** The payloads can't be compressed. */
  random?: boolean
  /** No two packets of one topic lie side by side: a run is one message. */
  single?: boolean
}

/** The payloads that a flood has: numbers, from `from` to before `to`. */
export function numbers(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, i) => from + i)
}

/** The same in few words, such as `0-9 2500-3999`; what goes back begins anew. */
export function ranges(list: readonly number[]): string {
  const parts: string[] = []
  for (let i = 0; i < list.length; i++) {
    const first = list[i] as number
    while (list[i + 1] === (list[i] as number) + 1) i++
    parts.push(first === list[i] ? `${first}` : `${first}-${list[i]}`)
  }
  return parts.join(' ')
}

export class StoredHub {
  readonly dir: string
  log = new KeptLog()
  readonly #options: StoredHubOptions
  #embedded: EmbeddedHub | null = null
  #over: (() => void | Promise<void>)[] = []
  #clients: RawClient[] = []

  private constructor(options: StoredHubOptions) {
    this.dir = join(mkdtempSync(join(tmpdir(), 'openedge-stored-')), 'data')
    this.#options = options
  }

  /** Starts a hub; it is stopped, and its directory removed, when the test is over. */
  static async start(t: Cleanup, options: StoredHubOptions = {}): Promise<StoredHub> {
    const stored = new StoredHub(options)
    t.after(async () => {
      try {
        await stored.stop()
      } finally {
        rmSync(join(stored.dir, '..'), { recursive: true, force: true })
      }
    })
    await stored.start()
    return stored
  }

  get hub(): Hub {
    assert.ok(this.#embedded !== null, 'the hub is stopped')
    return this.#embedded.hub
  }

  /** Starts the hub again, with other options where they are given. */
  async start(change: StoredHubOptions = {}): Promise<void> {
    const { storage, ...options } = { ...this.#options, ...change }
    this.log = new KeptLog()
    this.#embedded = await embedHub(
      { after: step => void this.#over.push(step) },
      { ...options, log: this.log, storage: { dir: this.dir, sync: 'never', reserveBytes: 0, ...storage } },
    )
  }

  /** Stops the hub; a client that it had dropped before, unexpectedly, is an error. */
  async stop(): Promise<void> {
    const embedded = this.#embedded
    this.#embedded = null
    try {
      for (const client of this.#clients.splice(0)) client.finish()
    } finally {
      await embedded?.hub.closeGently(PATIENCE_MS)
      for (const step of this.#over.splice(0)) await step()
    }
  }

  async restart(change?: StoredHubOptions): Promise<void> {
    await this.stop()
    await this.start(change)
  }

  /** Bytes of all files in the directory. */
  usedBytes(): Promise<number> {
    const { store } = this.hub.state
    assert.ok(store !== null, 'there is a store')
    return store.database.usedBytes()
  }

  // -- clients ------------------------------------------------------------------------------------------------------

  /** Opens a connection and sends nothing. */
  async open(): Promise<RawClient> {
    assert.ok(this.#embedded !== null, 'the hub is stopped')
    const client = await this.#embedded.open()
    this.#clients.push(client)
    return client
  }

  /** A client with Clean Session. */
  async guest(clientId: string, options: ConnectOptions = {}): Promise<RawClient> {
    const client = await this.open()
    const { returnCode } = await client.connect({ clientId, ...options })
    assert.equal(returnCode, 0, `CONNACK for ${clientId}`)
    return client
  }

  /** A client whose session is kept, and was or was not there already. */
  async kept(clientId: string, isPresent: boolean, options: ConnectOptions = {}): Promise<RawClient> {
    const client = await this.open()
    const connack = await client.connect({ clientId, cleanSession: false, ...options })
    assert.deepEqual(connack, { type: 'connack', sessionPresent: isPresent, returnCode: 0 }, `CONNACK for ${clientId}`)
    return client
  }

  /** Begins a session with these subscriptions, and leaves. */
  async absent(clientId: string, ...subscriptions: [filter: string, qos: number][]): Promise<void> {
    const client = await this.kept(clientId, false)
    await client.subscribe(...subscriptions)
    await this.leave(client, clientId)
  }

  /** Disconnects, and waits until the hub has let go of the client. */
  async leave(client: RawClient, clientId: string): Promise<void> {
    await client.disconnect()
    await until(() => this.hub.clients[clientId] === undefined, `${clientId} leaves`)
  }

  // -- messages -----------------------------------------------------------------------------------------------------

  /** Publishes numbered messages, a burst at a time; returns the numbers that were acknowledged, in that order. */
  async flood(client: RawClient, flood: Flood): Promise<number[]> {
    const { topic = 'flood', qos = 1, from = 0, count, bytes = 0, random = false, single = false } = flood
    const done: number[] = []
    for (let at = from; at < from + count; at += BURST) {
      const part = numbers(at, Math.min(at + BURST, from + count))
      const packets = part.map(i =>
        publish({ topic: nameOf(topic, single, i), payload: payloadOf(i, bytes, random), qos, packetId: idOf(i) }),
      )
      client.send(Buffer.concat(packets))
      const byId = new Map(part.map(i => [idOf(i), i]))
      const acknowledged = await this.#acknowledgements(client)
      done.push(...acknowledged.map(packetId => byId.get(packetId) ?? -1))
      if (qos === 2) await release(client, acknowledged)
    }
    return done
  }

  /** Packet identifiers of all PUBACK and PUBREC that come for what was sent. */
  async #acknowledgements(client: RawClient): Promise<number[]> {
    const packets = await client.everything()
    await this.settled()
    packets.push(...(await client.everything()))
    return packets.flatMap(packet => (packet.type === 'puback' || packet.type === 'pubrec' ? [packet.packetId] : []))
  }

  /** Takes and acknowledges all that comes until the session has nothing left; returns the numbers. */
  async drain(client: RawClient, clientId: string): Promise<number[]> {
    const session = this.hub.sessions.get(clientId)
    assert.ok(session !== undefined, `there is no session of ${clientId}`)
    const received: number[] = []
    let deadline = performance.now() + PATIENCE_MS
    for (;;) {
      const packets = await client.everything()
      const answers: Buffer[] = []
      for (const packet of packets) {
        if (packet.type === 'pubrel') answers.push(pubcomp(packet.packetId))
        if (packet.type !== 'publish') continue
        received.push(Number.parseInt(packet.payload.toString('latin1', 0, 12), 10))
        if (packet.qos > 0) answers.push(packet.qos === 1 ? puback(packet.packetId) : pubrec(packet.packetId))
      }
      if (answers.length > 0) client.send(Buffer.concat(answers))
      if (packets.length > 0) deadline = performance.now() + PATIENCE_MS
      else if (session.queued === 0 && session.unacknowledged === 0) return received
      else await turns(2)
      const left = `${session.queued} messages wait and ${session.unacknowledged} are not acknowledged`
      assert.ok(performance.now() < deadline, left)
    }
  }

  // -- disk ---------------------------------------------------------------------------------------------------------

  /** All that was given to the store is on disk. */
  async settled(): Promise<void> {
    for (let i = 0; i < 5; i++) {
      await this.hub.state.store?.commit.committed()
      await turns()
    }
  }

  /** What is on disk; the hub must be stopped. */
  async contents(): Promise<Contents> {
    assert.equal(this.#embedded, null, 'the hub still runs')
    const level = new ClassicLevel<Buffer, Buffer>(this.dir, { keyEncoding: 'buffer', valueEncoding: 'buffer' })
    const keys = new Map<string, number>()
    const bytes = new Map<string, number>()
    try {
      for await (const [key, value] of level.iterator()) {
        const kind = key.toString('latin1', 0, 1)
        keys.set(kind, (keys.get(kind) ?? 0) + 1)
        bytes.set(kind, (bytes.get(kind) ?? 0) + value.length)
      }
    } finally {
      await level.close()
    }
    const count = (kinds: string): number => Array.from(kinds).reduce((sum, kind) => sum + (keys.get(kind) ?? 0), 0)
    return { bytes, count }
  }
}

function nameOf(topic: string, single: boolean, i: number): string {
  return single ? `${topic}/${i % 2}` : topic
}

function payloadOf(i: number, bytes: number, random: boolean): string | Buffer {
  return random ? Buffer.concat([Buffer.from(`${i} `), randomBytes(bytes)]) : `${i}`.padEnd(bytes, '.')
}

function idOf(i: number): number {
  return (i % 65_535) + 1
}

async function release(client: RawClient, packetIds: readonly number[]): Promise<void> {
  client.send(Buffer.concat(packetIds.map(pubrel)))
  for (const packetId of packetIds) assert.equal((await client.expect('pubcomp', PATIENCE_MS)).packetId, packetId)
}
