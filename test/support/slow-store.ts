/** The disk below a hub of this process, made slow or faulty: writes wait or fail, reads fail. */
import assert from 'node:assert/strict'
import { until } from './embedded-hub.ts'
import type { Cleanup, RawClient } from './raw-client.ts'
import { StoredHub, type StoredHubOptions } from './stored-hub.ts'

const PATIENCE_MS = 5000

/** The part of LevelDB through which the store writes and reads. */
interface Disk {
  batch(...operations: unknown[]): unknown
  get(...asked: unknown[]): Promise<unknown>
  iterator(...asked: unknown[]): AsyncIterable<[Buffer, Buffer]>
}

interface Chained {
  _write(options: unknown): Promise<void>
}

export class SlowStore {
  readonly stored: StoredHub
  /** How often somebody has begun to read a queue. */
  scans = 0
  #iterate: Disk['iterator'] = () => assert.fail('not attached')
  #life = 0
  #isHeld = false
  #isReadHeld = false
  /** Writes that may pass though others wait. */
  #passes = 0
  #failingWrites = 0
  #failingReads = 0
  #goodReads = 0
  #waiting = 0
  #waitingReads = 0
  #gates: (() => void)[] = []

  private constructor(stored: StoredHub) {
    this.stored = stored
  }

  /** Starts a hub on such a disk. */
  static async start(t: Cleanup, options: StoredHubOptions = {}): Promise<SlowStore> {
    let slow: SlowStore | undefined
    t.after(() => slow?.release()) // before the hub is stopped
    slow = new SlowStore(await StoredHub.start(t, options))
    slow.#attach()
    return slow
  }

  /** Starts the hub again. While writes wait it does not end gently: such a write is one that never was. */
  async restart(): Promise<void> {
    const { hub } = this.stored
    if (this.#isHeld) await new Promise<void>(resolve => hub.close(resolve))
    await this.stored.restart()
    this.#attach()
    this.release()
  }

  /** Has a connection fail, and waits until the hub has let go of the client. */
  async cut(client: RawClient, clientId: string): Promise<void> {
    client.socket.resetAndDestroy() // an end would be looked at behind what the hub is busy with
    client.destroy()
    await until(() => this.stored.hub.clients[clientId] === undefined, `${clientId} has gone`)
  }

  // -- writes -------------------------------------------------------------------------------------------------------

  /** Writes wait from now on. */
  hold(): void {
    this.#isHeld = true
  }

  /** A write is under way, and waits. */
  underWay(): Promise<void> {
    return until(() => this.#waiting > 0, 'a write is under way')
  }

  /** Lets the write that is under way go; returns when the next one waits. */
  async step(): Promise<void> {
    assert.equal(this.#waiting, 1, 'a write is under way')
    this.#waiting--
    this.#passes++
    this.#open()
    await this.underWay()
  }

  /** The next write fails, and those that try it again wait. */
  fail(): void {
    this.#failingWrites = 1
    this.#isHeld = true
  }

  /** As fail(); returns when the hub knows of it. For that it writes something. */
  async failNow(): Promise<void> {
    this.fail()
    const { store } = this.stored.hub.state
    assert.ok(store !== null, 'there is a store')
    store.saveRetained('disk/trouble', 0, Buffer.from('x'))
    await until(() => store.blocked === 'failed', 'the disk fails')
    await this.underWay()
  }

  /** Nothing waits or fails any more. */
  release(): void {
    this.#isHeld = false
    this.#isReadHeld = false
    this.#failingReads = 0
    this.#failingWrites = 0
    this.#open()
  }

  /** As release(); returns when all is written. */
  async heal(): Promise<void> {
    this.release()
    await until(() => this.stored.hub.state.store?.blocked === null, 'the store takes messages again')
    await this.stored.settled()
  }

  // -- reads --------------------------------------------------------------------------------------------------------

  /** Of the next reads of queues so many fail, behind so many good ones. */
  failReads(count: number, good = 0): void {
    this.#failingReads = count
    this.#goodReads = good
  }

  /** Reads of single entries wait from now on. */
  holdReads(): void {
    this.#isReadHeld = true
  }

  /** A read of an entry is under way, and waits. */
  reading(): Promise<void> {
    return until(() => this.#waitingReads > 0, 'an entry is being read')
  }

  /** How many keys of these kinds, a letter each, are on disk now. */
  async keys(kinds: string): Promise<number> {
    let count = 0
    for await (const [key] of this.#iterate()) if (kinds.includes(key.toString('latin1', 0, 1))) count++
    return count
  }

  /** As keys(), when all is written. */
  async settledKeys(kinds: string): Promise<number> {
    await this.stored.settled()
    return this.keys(kinds)
  }

  /** Waits until there are no such keys any more: a session that ends is deleted little by little. */
  async rid(kinds: string): Promise<void> {
    const deadline = performance.now() + PATIENCE_MS
    for (let left = await this.settledKeys(kinds); left > 0; left = await this.settledKeys(kinds)) {
      assert.ok(performance.now() < deadline, `${left} keys are left on disk`)
      await new Promise(resolve => setTimeout(resolve, 10))
    }
  }

  #attach(): void {
    const { store } = this.stored.hub.state
    assert.ok(store !== null, 'there is a store')
    const disk = store.database.level as unknown as Disk
    const life = ++this.#life
    const batch = disk.batch.bind(disk)
    disk.batch = (...operations) => {
      if (operations.length > 0) return this.#write(life, () => batch(...operations) as Promise<void>)
      const chained = batch() as Chained
      const write = chained._write.bind(chained)
      chained._write = options => this.#write(life, () => write(options))
      return chained
    }
    const get = disk.get.bind(disk)
    disk.get = async (...asked) => {
      this.#read()
      this.#waitingReads++
      while (this.#isReadHeld) await this.#gate()
      this.#waitingReads--
      return get(...asked)
    }
    this.#iterate = disk.iterator.bind(disk)
    disk.iterator = (...asked) => {
      this.scans++
      this.#read()
      return this.#iterate(...asked)
    }
  }

  #read(): void {
    if (this.#failingReads === 0 || this.#goodReads-- > 0) return
    this.#failingReads--
    throw new Error('this sector can not be read')
  }

  async #write(life: number, work: () => Promise<void>): Promise<void> {
    if (this.#failingWrites > 0) {
      this.#failingWrites--
      throw new Error('the disk is broken')
    }
    if (this.#isHeld) {
      this.#waiting++
      while (this.#isHeld && this.#passes === 0) await this.#gate()
      if (this.#passes > 0) this.#passes--
      else this.#waiting--
    }
    if (life !== this.#life) throw new Error('the disk is gone')
    await work()
  }

  #gate(): Promise<void> {
    return new Promise(resolve => this.#gates.push(resolve))
  }

  #open(): void {
    for (const open of this.#gates.splice(0)) open()
  }
}
