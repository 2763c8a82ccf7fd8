// What every suite of this folder runs on: a hub on one store, clients that speak real bytes, and the hub's next life.
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { ConnectOptions } from '../../support/packets.ts'
import type { RawClient } from '../../support/raw-client.ts'
import type { Adapter, Optional, State } from './adapters.ts'
import { besideTheTest, inItsOwnProcess, type Place } from './place.ts'

const PATIENCE_MS = 60_000

interface Needs {
  /** Skipped on stores that do not do this. */
  needs?: Optional
  /** The hub can end without a word. */
  mortal?: boolean
}

export type It = (title: string, body: (lab: Lab) => Promise<void>, needs?: Needs) => void

/** Defines the tests of one store. */
export function testsOn(adapter: Adapter): It {
  return (title, body, { needs, mortal = false } = {}) => {
    const skip = (needs !== undefined && adapter.lacks[needs]) || false
    void test(title, { skip, timeout: PATIENCE_MS }, async () => {
      const lab = await Lab.open(adapter, mortal)
      try {
        await body(lab)
        lab.check()
      } finally {
        await lab.close()
      }
    })
  }
}

/** One state, the hub that has it now, and its clients. */
export class Lab {
  readonly #dir: string
  readonly #state: State
  readonly #over: (() => void | Promise<void>)[] = []
  #place: Place
  #clients: RawClient[] = []

  private constructor(dir: string, state: State, place: Place, over: (() => void | Promise<void>)[]) {
    this.#dir = dir
    this.#state = state
    this.#place = place
    this.#over = over
  }

  static async open(adapter: Adapter, mortal: boolean): Promise<Lab> {
    const dir = mkdtempSync(join(tmpdir(), 'openedge-store-'))
    try {
      const over: (() => void | Promise<void>)[] = []
      const state = adapter.state(dir)
      const isApart = mortal && adapter.outlivesProcess
      const place = isApart
        ? await inItsOwnProcess(adapter, dir)
        : await besideTheTest(state, step => void over.push(step))
      return new Lab(dir, state, place, over)
    } catch (failure) {
      rmSync(dir, { recursive: true, force: true })
      throw failure
    }
  }

  /** A client with Clean Session. */
  async guest(clientId = '', options: ConnectOptions = {}): Promise<RawClient> {
    return this.#connect(clientId, options, false)
  }

  /** A client whose session begins here and is kept. */
  async begin(clientId: string, options: ConnectOptions = {}): Promise<RawClient> {
    return this.#connect(clientId, { cleanSession: false, ...options }, false)
  }

  /** A client whose session was kept. */
  async resume(clientId: string, options: ConnectOptions = {}): Promise<RawClient> {
    return this.#connect(clientId, { cleanSession: false, ...options }, true)
  }

  /** Begins a session with these subscriptions, and leaves. */
  async leaveSession(clientId: string, ...subscriptions: [filter: string, qos: number][]): Promise<void> {
    const client = await this.begin(clientId)
    await client.subscribe(...subscriptions)
    await client.disconnect()
  }

  /** The next life of the hub, after it was stopped with all clients connected that still are. */
  async restart(): Promise<void> {
    const ended = this.#clients.map(client => client.drain())
    await this.#place.close()
    await Promise.all(ended)
    await this.#next()
  }

  /** The next life of the hub, after it ended without a word. */
  async crash(): Promise<void> {
    for (const client of this.#clients) this.#over.push(() => client.destroy())
    await this.#place.die()
    await this.#next()
  }

  /** Fails when the hub dropped a client that did not expect it. */
  check(): void {
    for (const client of this.#clients.splice(0)) client.finish()
  }

  async close(): Promise<void> {
    for (const client of this.#clients) client.destroy()
    try {
      await this.#place.close()
      for (const step of this.#over) await step()
    } finally {
      rmSync(this.#dir, { recursive: true, force: true })
    }
  }

  async #next(): Promise<void> {
    this.#clients = []
    this.#place = await besideTheTest(this.#state, step => void this.#over.push(step))
  }

  async #connect(clientId: string, options: ConnectOptions, isPresent: boolean): Promise<RawClient> {
    const client = await this.#place.open()
    this.#clients.push(client)
    const connack = await client.connect({ clientId, ...options })
    const expected = { type: 'connack', sessionPresent: isPresent, returnCode: 0 }
    assert.deepEqual(connack, expected, `CONNACK for ${clientId || 'a guest'}`)
    return client
  }
}
