/** Directories with databases in them, and what happens to files. */
import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { ClassicLevel } from 'classic-level'
import { Database, type DatabaseOptions, type Level } from '../../../src/broker/store/database.ts'
import { type GatewayError, silentLogger } from '../../../src/common/index.ts'

/** An empty directory that is gone after the test. */
export function scratch(t: TestContext): string {
  const dir = realpathSync(mkdtempSync(join(tmpdir(), 'openedge-store-')))
  t.after(() => rmSync(dir, { recursive: true, force: true }))
  return dir
}

/** Opens a database and closes it at the latest after the test. */
export async function openIn(t: TestContext, dir: string, more: Partial<DatabaseOptions> = {}): Promise<Database> {
  const database = await Database.open({ dir, log: silentLogger, reserveBytes: 0, ...more })
  t.after(() => database.close())
  return database
}

/** Any LevelDB, without a look at it. */
export async function openPlain(t: TestContext, dir: string): Promise<Level> {
  const level = new ClassicLevel<Buffer, Buffer>(dir, { keyEncoding: 'buffer', valueEncoding: 'buffer' })
  await level.open()
  t.after(() => level.close())
  return level
}

export const keyOf = (index: number): Buffer => Buffer.from(`q${String(index).padStart(6, '0')}`)
export const valueOf = (index: number): Buffer => Buffer.alloc(200, `value ${index};`)

/** Writes entries, each as a batch of its own. */
export async function fill(level: Level, count: number, from = 0): Promise<void> {
  for (let index = from; index < from + count; index++) await level.put(keyOf(index), valueOf(index))
}

/** How many of the entries are there and as they were written. */
export async function countEntries(level: Level): Promise<number> {
  let count = 0
  for await (const [key, value] of level.iterator({ gte: Buffer.from('q'), lt: Buffer.from('r') })) {
    if (value.equals(valueOf(Number(key.toString('utf8', 1))))) count++
  }
  return count
}

/** A closed database in which so many entries lie in the write-ahead log, and others in tables. */
export async function makeDatabase(t: TestContext, entries: { inTables?: number; inLog?: number }): Promise<string> {
  const dir = scratch(t)
  const database = await Database.open({ dir, log: silentLogger, reserveBytes: 0 })
  const { inTables = 0, inLog = 0 } = entries
  await fill(database.level, inTables)
  if (inTables > 0) await database.level.compactRange(keyOf(0), keyOf(inTables))
  await fill(database.level, inLog, inTables)
  await database.close()
  return dir
}

/** The one file with such a name. */
export function fileIn(dir: string, pattern: RegExp): string {
  const names = readdirSync(dir).filter(name => pattern.test(name))
  assert.equal(names.length, 1, `there is ${names.join(', ') || 'none'}`)
  return join(dir, names[0] as string)
}

export function flipByte(path: string, at: number, mask = 0x10): void {
  const bytes = readFileSync(path)
  const offset = at < 0 ? bytes.length + at : at
  bytes[offset] = (bytes[offset] as number) ^ mask
  writeFileSync(path, bytes)
}

/** All files with their bytes, but those in which LevelDB tells of its own life. */
export function contentsOf(dir: string): Map<string, string> {
  const names = readdirSync(dir).filter(name => !name.startsWith('LOG') && name !== 'LOCK')
  return new Map(names.sort().map(name => [name, readFileSync(join(dir, name), 'latin1')]))
}

/** Checks code and words of an error. */
export function fails(code: string, ...words: readonly RegExp[]): (error: unknown) => boolean {
  return error => {
    const { code: actual, message } = error as GatewayError
    assert.equal(actual, code, message)
    for (const word of words) assert.match(message, word)
    return true
  }
}
