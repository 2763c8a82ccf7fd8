import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Level } from '../../../src/broker/store/database.ts'
import { NativeBatch } from '../../../src/broker/store/native-batch.ts'
import { openPlain, scratch } from './database-files.ts'

const bytes = (text: string): Buffer => Buffer.from(text)

/** The same database, of a version whose batches have no other methods than public ones. */
function strict(level: Level): Level {
  const batch = (...operations: unknown[]): unknown =>
    operations.length === 0 ? {} : (level.batch as (...all: unknown[]) => unknown)(...operations)
  return { batch } as unknown as Level
}

test('this version of classic-level has what lets a batch be used again', async t => {
  const level = await openPlain(t, scratch(t))
  const batch = level.batch() as unknown as Record<string, unknown>
  for (const method of ['_put', '_del', '_write', '_clear']) assert.equal(typeof batch[method], 'function', method)
})

for (const [name, of] of [
  ['used over and over', (level: Level) => level],
  ['of another version', strict],
] as const) {
  test(`a batch ${name} writes what it is given each time, and nothing of before`, async t => {
    const level = await openPlain(t, scratch(t))
    const native = new NativeBatch(of(level))
    await native.write([bytes('a'), bytes('b')], [bytes('1'), bytes('1')], false)
    await level.del(bytes('a'))
    await native.write([bytes('b'), bytes('c')], [null, bytes('2')], true)
    const found = (await level.getMany([bytes('a'), bytes('b'), bytes('c')])) as (Buffer | undefined)[]
    assert.deepEqual(found.map(String), ['undefined', 'undefined', '2'])
  })
}
