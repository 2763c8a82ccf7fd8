import assert from 'node:assert/strict'
import { cpSync, existsSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { suite, test } from 'node:test'
import { inspectStore, repairStore } from '../../../src/broker/store/index.ts'
import { recordKey, sessionKey } from '../../../src/broker/store/keys.ts'
import { silentLogger } from '../../../src/common/index.ts'
import { KeptLog } from '../../support/kept-log.ts'
import { contentsOf, fails, fileIn, flipByte, openIn, openPlain, scratch } from './database-files.ts'
import {
  assertServes,
  findingsOf,
  flipValue,
  keysOf,
  makeStore,
  OWN,
  SHARED,
  tableIn,
  tamper,
} from './verify-stores.ts'

const FOOTER_BYTES = 48

suite('a repair', () => {
  test('of what is sound changes nothing that counts', async t => {
    const dir = await makeStore(t)
    const { summary: before } = await inspectStore(dir, silentLogger)
    const { losses, cut, logs, isRebuilt, originals, findings } = await repairStore(dir, silentLogger)
    assert.equal(losses.records, 0)
    assert.deepEqual([cut, logs, isRebuilt, originals, findings], [[], [], false, [], []])
    const { summary: after } = await inspectStore(dir, silentLogger)
    assert.deepEqual({ ...after, bytes: 0 }, { ...before, bytes: 0 })
  })

  test('removes damaged records and says whose they were', async t => {
    const dir = await makeStore(t)
    await tamper(dir, async level => {
      const records = await keysOf(level, 'm')
      await flipValue(level, records[0] as Buffer, 30)
      await level.del(records[1] as Buffer)
      await flipValue(level, sessionKey(3), 50)
      await flipValue(level, (await keysOf(level, 'r'))[1] as Buffer, 1)
      await flipValue(level, (await keysOf(level, 'w'))[0] as Buffer, 9)
      await level.put(Buffer.from('?'), Buffer.from('x'))
    })
    const { losses } = await repairStore(dir, silentLogger)
    const nothing = { isExact: true, subscriptions: [], receipts: 0, position: false }
    const byClient = [...losses.clients].sort((one, other) => one.session - other.session)
    assert.deepEqual(byClient.slice(0, 2), [
      { ...nothing, session: 1, clientId: 'kept-a', isGone: false, entries: 2, messages: 2 },
      { ...nothing, session: 2, clientId: 'kept-b', isGone: false, entries: 2, messages: 2 },
    ])
    const { position: _, ...gone } = byClient[2] ?? { position: false }
    const whole = {
      isExact: true,
      receipts: 0,
      session: 3,
      clientId: 'kept-c',
      isGone: true,
      entries: OWN,
      messages: OWN,
    }
    assert.deepEqual(gone, { ...whole, subscriptions: ['own/#'] })
    assert.deepEqual(losses.retained, ['retained/2'])
    assert.deepEqual(losses.wills, ['kept-d'])
    assert.deepEqual([losses.shared, losses.unknown], [1, 1])
    const { findings } = await findingsOf(dir)
    assert.deepEqual(findings, [])
    const { summary } = await inspectStore(dir, silentLogger)
    assert.deepEqual([summary.sessions, summary.messages, summary.retained], [3, 2 * (SHARED - 2), 1])
    await assertServes(dir)
  })

  test('makes a store that a hub starts with of a table with any flipped bit', async t => {
    const source = await makeStore(t, { inTables: true, payload: 600 })
    const size = statSync(tableIn(source)).size - FOOTER_BYTES
    for (let at = 3; at < size; at += Math.floor(size / 20)) {
      const dir = join(scratch(t), 'data')
      cpSync(source, dir, { recursive: true })
      flipByte(tableIn(dir), at, 1 << (at % 8))
      const { isRebuilt, findings } = await repairStore(dir, silentLogger)
      assert.equal(isRebuilt, false, `byte ${at}: what was deleted stays deleted`)
      assert.ok(findings.length > 0, `byte ${at} was found`)
      assert.deepEqual((await findingsOf(dir)).findings, [])
      await assertServes(dir)
    }
  })

  test('keeps the blocks of a table that can be read, whatever has become of its index', async t => {
    const source = await makeStore(t, { inTables: true, payload: 600 })
    const size = statSync(tableIn(source)).size
    const damages: [what: string, damage: (table: string) => void, atLeast: number][] = [
      ['a broken end', table => flipByte(table, -1), 2 * SHARED + OWN],
      ['a broken index', table => flipByte(table, size - 60), 2 * SHARED + OWN],
      ['half of it', table => truncateSync(table, Math.floor(size / 2)), 0],
      ['nothing', table => truncateSync(table, 0), 0],
      ['no file', table => rmSync(table), 0],
    ]
    for (const [what, damage, atLeast] of damages) {
      const dir = join(scratch(t), 'data')
      cpSync(source, dir, { recursive: true })
      const file = basename(tableIn(dir))
      damage(join(dir, file))
      const original = existsSync(join(dir, file)) ? readFileSync(join(dir, file)) : null
      const { cut, originals, isRebuilt } = await repairStore(dir, silentLogger)
      assert.deepEqual(
        cut.map(table => table.file),
        [file],
        what,
      )
      assert.equal(isRebuilt, false, what)
      assert.deepEqual(originals, [join(dir, 'lost/1')])
      if (original !== null) assert.deepEqual(readFileSync(join(dir, 'lost/1', file)), original)
      const { summary } = await inspectStore(dir, silentLogger)
      assert.ok(summary.messages >= atLeast, `${what}: ${summary.messages} messages are left`)
      assert.deepEqual((await findingsOf(dir)).findings, [])
      await assertServes(dir)
    }
  })

  test('keeps the writes of a log that are whole', async t => {
    const dir = await makeStore(t)
    flipByte(fileIn(dir, /^\d+\.log$/), 3000)
    const { logs, losses } = await repairStore(dir, silentLogger)
    assert.equal(logs.length, 1)
    assert.ok(
      losses.clients.every(({ clientId }) => clientId !== null),
      'the names of those who lose are known',
    )
    const { summary } = await inspectStore(dir, silentLogger)
    assert.ok(summary.messages > SHARED, `${summary.messages} messages are left`)
    await assertServes(dir)
  })

  test('gives up what a loss of power took as a hub would, when the hub did not wait for the disk', async t => {
    const dir = await makeStore(t)
    writeFileSync(join(dir, 'owner.json'), '{"pid":1,"started":0,"sync":"never"}')
    const path = fileIn(dir, /^\d+\.log$/)
    const original = readFileSync(path)
    flipByte(path, 3000)
    const log = new KeptLog()
    const { logs, isRebuilt, losses } = await repairStore(dir, log)
    assert.equal(log.count('store.repaired'), 1)
    assert.deepEqual([logs, isRebuilt, losses.records], [[], false, 0])
    const kept = readFileSync(join(dir, 'lost/1', basename(path)))
    assert.equal(kept.length, original.length)
    assert.deepEqual((await findingsOf(dir)).findings, [])
    await assertServes(dir)
  })

  test('marks the database again when its mark is damaged', async t => {
    for (const mark of ['{"product":"openedge-hub","for', '{"product":"openedgf-hub","format":1}']) {
      const dir = await makeStore(t)
      await tamper(dir, level => level.put(Buffer.from('Mformat'), Buffer.from(mark)))
      const { losses } = await repairStore(dir, silentLogger)
      assert.equal(losses.records, 0)
      const { summary } = await inspectStore(dir, silentLogger)
      assert.deepEqual([summary.format, summary.messages], [1, 2 * SHARED + OWN])
    }
  })

  test('leaves a database of something else alone, and one of a newer version', async t => {
    const foreign = scratch(t)
    const level = await openPlain(t, foreign)
    for (let i = 0; i < 100; i++) await level.put(Buffer.from(`m${i}`), Buffer.from('theirs'))
    await level.close()
    await assert.rejects(repairStore(foreign, silentLogger), fails('ERR_STORE_FOREIGN'))
    const again = await openPlain(t, foreign)
    assert.equal((await again.keys().all()).length, 100)

    const newer = await makeStore(t)
    const mark = '{"product":"openedge-hub","format":99}'
    await tamper(newer, store => store.put(Buffer.from('Mformat'), Buffer.from(mark)))
    await assert.rejects(repairStore(newer, silentLogger), fails('ERR_STORE_VERSION', /99/))
    assert.ok(existsSync(join(newer, 'CURRENT')), 'it is as it was')
  })

  test('refuses a database in use', async t => {
    const dir = scratch(t)
    const database = await openIn(t, dir)
    await database.level.put(recordKey(1), Buffer.from('x'))
    const before = readdirSync(dir)
    await assert.rejects(repairStore(dir, silentLogger), fails('ERR_STORE_LOCKED', new RegExp(`pid ${process.pid}`)))
    assert.deepEqual(readdirSync(dir), before)
    assert.ok(contentsOf(dir).size > 0, 'it is there')
  })
})
