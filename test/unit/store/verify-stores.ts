/** Directories as a real hub leaves them. */
import assert from 'node:assert/strict'
import { cpSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { createHub } from '../../../src/broker/index.ts'
import { Database, type Level } from '../../../src/broker/store/database.ts'
import { compactStore, type StoreFinding, verifyStore } from '../../../src/broker/store/index.ts'
import { silentLogger } from '../../../src/common/index.ts'
import { embedHub } from '../../support/embedded-hub.ts'
import { publish } from '../../support/packets.ts'
import { scratch } from './database-files.ts'

export const SHARED = 20
export const OWN = 5
/** a and b wait for the same messages, c for some of its own; d has a receipt and a Will. */
export const CLIENTS = ['kept-a', 'kept-b', 'kept-c', 'kept-d']

export interface MadeOptions {
  /** True: all of it lies in tables, none in a log. */
  readonly inTables?: boolean
  /** Bytes of each message. */
  readonly payload?: number
}

/** The directory of a hub that was cut off while a client was connected. */
export async function makeStore(t: TestContext, options: MadeOptions = {}): Promise<string> {
  const { inTables = false, payload = 100 } = options
  const dir = join(scratch(t), 'data')
  const living = join(scratch(t), 'data')
  const { connect } = await embedHub(t, { storage: { dir: living, sync: 'never', reserveBytes: 0 } })
  for (const [clientId, filter] of [
    ['kept-a', 'shared/#'],
    ['kept-b', 'shared/#'],
    ['kept-c', 'own/#'],
  ] as const) {
    const client = await connect(clientId, { cleanSession: false })
    await client.subscribe([filter, 1])
    await client.disconnect()
  }
  const will = { topic: 'will/d', payload: 'gone', qos: 0, retain: false }
  const publisher = await connect('kept-d', { cleanSession: false, will })
  for (let i = 0; i < SHARED; i++) {
    await publisher.publish({ topic: `shared/${i}`, payload: textOf(i, payload), qos: 1 })
  }
  for (let i = 0; i < OWN; i++) await publisher.publish({ topic: `own/${i}`, payload: textOf(i, payload), qos: 1 })
  await publisher.publish({ topic: 'retained/1', payload: 'one', qos: 1, retain: true })
  await publisher.publish({ topic: 'retained/2', payload: 'two', qos: 1, retain: true })
  publisher.send(publish({ topic: 'nobody/hears', payload: '', qos: 2, packetId: 7 }))
  await publisher.expect('pubrec')
  cpSync(living, dir, { recursive: true })
  rmSync(join(dir, 'owner.json')) // of a process that is gone
  if (inTables) await compactStore(dir, silentLogger)
  return dir
}

/** Text that does not pack well: each byte of a table then means something. */
function textOf(seed: number, length: number): string {
  let text = ''
  for (let state = seed + 1; text.length < length; ) {
    state = (state * 1_103_515_245 + 12_345) % 2 ** 31
    text += String.fromCharCode(33 + ((state >> 8) % 90))
  }
  return text
}

/** Changes records as nobody should. */
export async function tamper(dir: string, change: (level: Level) => Promise<void>): Promise<void> {
  const database = await Database.open({ dir, log: silentLogger, reserveBytes: 0 })
  try {
    await change(database.level)
  } finally {
    await database.close()
  }
}

/** Keys of one kind, in their order. */
export async function keysOf(level: Level, kind: string): Promise<Buffer[]> {
  return level.keys({ gte: Buffer.from(kind), lt: Buffer.from([kind.charCodeAt(0) + 1]) }).all()
}

/** Flips a bit in the value of a record. */
export async function flipValue(level: Level, key: Buffer, at: number): Promise<void> {
  const value = await level.get(key)
  assert.ok(value !== undefined, 'there is such a record')
  const changed = Buffer.from(value)
  changed[at] = (changed[at] as number) ^ 0x10
  await level.put(key, changed)
}

export async function findingsOf(dir: string): Promise<{ findings: StoreFinding[]; problems: string[] }> {
  const findings: StoreFinding[] = []
  const report = await verifyStore(dir, finding => findings.push(finding))
  const problems = findings.filter(each => each.isProblem).map(({ where, what }) => `${where}: ${what}`)
  assert.equal(report.problems, problems.length)
  return { findings, problems }
}

/** A hub starts with it. */
export async function assertServes(dir: string): Promise<void> {
  const hub = await createHub({ storage: { dir, sync: 'never', reserveBytes: 0 } })
  await hub.closeGently(0)
}

export function tableIn(dir: string): string {
  const tables = readdirSync(dir).filter(name => name.endsWith('.ldb'))
  assert.equal(tables.length, 1, `there is ${tables.join(', ') || 'none'}`)
  return join(dir, tables[0] as string)
}
