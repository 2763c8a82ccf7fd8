import assert from 'node:assert/strict'
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { basename, join } from 'node:path'
import { suite, type TestContext, test } from 'node:test'
import { Database } from '../../../src/broker/store/database.ts'
import { checkWal } from '../../../src/broker/store/wal-check.ts'
import { writeLog } from '../../../src/broker/store/wal-salvage.ts'
import { KeptLog } from '../../support/kept-log.ts'
import {
  contentsOf,
  countEntries,
  fails,
  fileIn,
  fill,
  flipByte,
  keyOf,
  makeDatabase,
  openIn,
  openPlain,
  scratch,
  valueOf,
} from './database-files.ts'

const LOG = /^\d+\.log$/
const TABLE = /^\d+\.ldb$/
const MANIFEST = /^MANIFEST-/
/** A batch of one entry in the log: header, head of a batch, kind, key and value with their lengths. */
const ENTRY_BYTES = 7 + 12 + 1 + 1 + 7 + 2 + 200

/** Opening is refused, names the file and what to do, and changes nothing. */
async function refused(t: TestContext, dir: string, ...words: RegExp[]): Promise<void> {
  const before = contentsOf(dir)
  const todo = /Restore a copy.*openedge store verify .*openedge store repair /
  await assert.rejects(openIn(t, dir), fails('ERR_STORE_CORRUPT', todo, new RegExp(dir), ...words))
  assert.deepEqual([...contentsOf(dir)], [...before])
}

suite('a write-ahead log', () => {
  /** Opens and expects so many entries, and one line about what was dropped from the log. */
  async function repaired(t: TestContext, dir: string, entries: number, dropped: number): Promise<void> {
    const file = basename(fileIn(dir, LOG))
    const log = new KeptLog()
    const database = await openIn(t, dir, { log })
    assert.equal(await countEntries(database.level), entries)
    const lines = log.lines.filter(line => line.event === 'store.repaired')
    assert.equal(lines.length, 1)
    assert.equal(lines[0]?.level, 'warn')
    const fields = lines[0]?.fields as { file: string; dropped: number }
    assert.deepEqual([fields.file, fields.dropped], [file, dropped])
    await database.close()
    const again = new KeptLog()
    assert.equal(await countEntries((await openIn(t, dir, { log: again })).level), entries)
    assert.equal(again.count('store.repaired'), 0, 'it is told of once')
  }

  test('that is whole needs no word', async t => {
    const dir = await makeDatabase(t, { inTables: 100, inLog: 300 })
    const log = new KeptLog()
    assert.equal(await countEntries((await openIn(t, dir, { log })).level), 400)
    assert.deepEqual(log.lines, [])
  })

  test('that is cut off keeps what is whole', async t => {
    const dir = await makeDatabase(t, { inTables: 50, inLog: 300 })
    const path = fileIn(dir, LOG)
    truncateSync(path, statSync(path).size - 100)
    await repaired(t, dir, 349, ENTRY_BYTES - 100)
  })

  test('with zeros at its end keeps what is whole', async t => {
    const dir = await makeDatabase(t, { inLog: 300 })
    appendFileSync(fileIn(dir, LOG), Buffer.alloc(100_000))
    await repaired(t, dir, 300, 100_000)
  })

  test('with zeros for the end of its last record keeps what is whole', async t => {
    const dir = await makeDatabase(t, { inLog: 300 })
    const path = fileIn(dir, LOG)
    const bytes = readFileSync(path)
    const page = Math.floor((bytes.length - 20) / 4096) * 4096
    bytes.fill(0, page)
    writeFileSync(path, bytes)
    const log = new KeptLog()
    const { level } = await openIn(t, dir, { log })
    assert.equal(log.count('store.repaired'), 1)
    const kept = await countEntries(level)
    assert.ok(kept >= 300 - 4096 / ENTRY_BYTES - 1 && kept < 300, `${kept} entries`)
  })

  test('with bytes of something else at its end keeps what is whole', async t => {
    const dir = await makeDatabase(t, { inLog: 300 })
    const garbage = Buffer.from(Array.from({ length: 50_000 }, (_, at) => (at * at * 7 + at * 13 + 5) & 255))
    appendFileSync(fileIn(dir, LOG), garbage)
    await repaired(t, dir, 300, 50_000)
  })

  test('with a changed byte in its middle is refused; LevelDB alone would lose records without a word', async t => {
    const dir = await makeDatabase(t, { inTables: 50, inLog: 300 })
    const path = fileIn(dir, LOG)
    flipByte(path, 20_000)
    await refused(t, dir, new RegExp(`${basename(path)} at byte \\d+: wrong checksum`))
    const plain = await openPlain(t, dir)
    const left = await countEntries(plain)
    assert.ok(left > 50 && left < 340, `LevelDB alone has ${left} of 350`)
  })

  test('with a changed byte anywhere is refused', async t => {
    const dir = await makeDatabase(t, { inLog: 3 })
    const path = fileIn(dir, LOG)
    const { size } = statSync(path)
    const mask = 0x20
    for (let at = 0; at < size; at += 13) {
      flipByte(path, at, mask)
      await assert.rejects(openIn(t, dir), fails('ERR_STORE_CORRUPT', new RegExp(basename(path))), `byte ${at}`)
      flipByte(path, at, mask)
    }
    assert.equal(await countEntries((await openIn(t, dir)).level), 3)
  })

  test('with zeros in its middle is refused', async t => {
    const dir = await makeDatabase(t, { inLog: 300 })
    const path = fileIn(dir, LOG)
    const bytes = readFileSync(path)
    bytes.fill(0, 32_768, 40_960)
    writeFileSync(path, bytes)
    await refused(t, dir, new RegExp(basename(path)))
  })

  test('that is missing is refused; LevelDB alone would go on without', async t => {
    const dir = await makeDatabase(t, { inTables: 50, inLog: 300 })
    const path = fileIn(dir, LOG)
    rmSync(path)
    await refused(t, dir, new RegExp(`${basename(path)} is missing`))
    assert.equal(await countEntries(await openPlain(t, dir)), 50)
  })

  test('that is no longer needed may be damaged', async t => {
    const dir = await makeDatabase(t, { inTables: 50, inLog: 20 })
    writeFileSync(join(dir, '000001.log'), 'left behind')
    assert.equal(await countEntries((await openIn(t, dir)).level), 70)
  })

  test('cut off or missing with a later one behind it is refused', async t => {
    const dir = await makeDatabase(t, { inLog: 20 })
    const path = fileIn(dir, LOG)
    const [report] = await checkWal(dir, [basename(path)])
    // As if LevelDB had gone on in the next file: a batch of one entry.
    const batch = Buffer.concat([Buffer.alloc(12), Buffer.from([1, 7]), keyOf(20), Buffer.from([200, 1]), valueOf(20)])
    batch.writeBigUInt64LE(BigInt(report?.nextSequence ?? 0))
    batch.writeUInt32LE(1, 8)
    const later = join(dir, '000009.log')
    writeFileSync(later, writeLog([batch]))
    const whole = readFileSync(path)
    truncateSync(path, whole.length - 1)
    await refused(t, dir, new RegExp(`${basename(path)} at byte \\d+: the last record is cut off`))
    truncateSync(path, whole.length - ENTRY_BYTES)
    await refused(t, dir, /000009\.log at byte 0: records before it are missing/)
    writeFileSync(path, whole)
    assert.equal(await countEntries((await openIn(t, dir)).level), 21)
  })
})

suite('the list of files', () => {
  test('CURRENT missing is refused; LevelDB alone would begin anew and delete the tables', async t => {
    const dir = await makeDatabase(t, { inTables: 100, inLog: 100 })
    const table = fileIn(dir, TABLE)
    rmSync(join(dir, 'CURRENT'))
    await refused(t, dir, /CURRENT is missing/)
    assert.equal(await countEntries(await openPlain(t, dir)), 100)
    assert.equal(existsSync(table), false)
  })

  for (const at of [0, 9, 14, -1]) {
    test(`CURRENT with byte ${at} changed is refused`, async t => {
      const dir = await makeDatabase(t, { inLog: 10 })
      flipByte(join(dir, 'CURRENT'), at, 1)
      await refused(t, dir, /CURRENT/)
    })
  }

  test('CURRENT that is empty is refused', async t => {
    const dir = await makeDatabase(t, { inLog: 10 })
    truncateSync(join(dir, 'CURRENT'), 0)
    await refused(t, dir, /CURRENT should name a MANIFEST/)
  })

  test('MANIFEST with any byte changed is refused', async t => {
    const dir = await makeDatabase(t, { inTables: 100, inLog: 10 })
    const path = fileIn(dir, MANIFEST)
    for (let at = 0; at < statSync(path).size; at++) {
      flipByte(path, at)
      await assert.rejects(openIn(t, dir), fails('ERR_STORE_CORRUPT', new RegExp(dir)), `byte ${at}`)
      flipByte(path, at)
    }
    assert.equal(await countEntries((await openIn(t, dir)).level), 110)
  })

  test('MANIFEST cut off anywhere is refused, or nothing is lost', async t => {
    const dir = await makeDatabase(t, { inTables: 100, inLog: 10 })
    const path = fileIn(dir, MANIFEST)
    const whole = readFileSync(path)
    const before = contentsOf(dir)
    for (let length = 0; length < whole.length; length += 5) {
      truncateSync(path, length)
      const database = await Database.open({ dir, log: new KeptLog(), reserveBytes: 0 }).catch(
        fails('ERR_STORE_CORRUPT'),
      )
      if (database instanceof Database) {
        assert.equal(await countEntries(database.level), 110, `cut at ${length}`)
        await database.close()
        for (const name of readdirSync(dir)) if (!before.has(name)) rmSync(join(dir, name))
        for (const [name, bytes] of before) writeFileSync(join(dir, name), bytes, 'latin1')
      }
      writeFileSync(path, whole)
    }
  })

  test('MANIFEST missing is refused', async t => {
    const dir = await makeDatabase(t, { inLog: 10 })
    rmSync(fileIn(dir, MANIFEST))
    await refused(t, dir, /CURRENT names MANIFEST-\d+, which is missing/)
  })
})

suite('a table', () => {
  test('that is cut off is refused', async t => {
    const dir = await makeDatabase(t, { inTables: 500, inLog: 5 })
    const path = fileIn(dir, TABLE)
    const { size } = statSync(path)
    truncateSync(path, size - 10)
    await refused(t, dir, new RegExp(`${basename(path)} has ${size - 10} bytes and should have ${size}`))
  })

  test('that is missing is refused', async t => {
    const dir = await makeDatabase(t, { inTables: 500 })
    const path = fileIn(dir, TABLE)
    renameSync(path, join(scratch(t), 'away'))
    await refused(t, dir, new RegExp(`${basename(path)} is missing`))
  })
})

suite('repair', () => {
  test('keeps every batch of a damaged log but the damaged one', async t => {
    const dir = await makeDatabase(t, { inTables: 50, inLog: 300 })
    const path = fileIn(dir, LOG)
    flipByte(path, 20_000)
    const damaged = readFileSync(path)
    const report = await Database.repair(dir)
    assert.deepEqual(
      [report.isRebuilt, report.logs.length, report.logs[0]?.kept, report.originals],
      [false, 1, 299, join(dir, 'lost', '1')],
    )
    assert.deepEqual(readFileSync(join(dir, 'lost', '1', `${basename(path)}.damaged`)), damaged)
    assert.equal(await countEntries((await openIn(t, dir)).level), 349)
  })

  test('does nothing to a sound database', async t => {
    const dir = await makeDatabase(t, { inTables: 50, inLog: 30 })
    assert.deepEqual(await Database.repair(dir), { logs: [], isRebuilt: false, originals: null })
    assert.equal(existsSync(join(dir, 'lost')), false)
    assert.equal(await countEntries((await openIn(t, dir)).level), 80)
  })

  for (const [what, damage] of [
    ['CURRENT is missing', (dir: string) => rmSync(join(dir, 'CURRENT'))],
    ['MANIFEST is damaged', (dir: string) => flipByte(fileIn(dir, MANIFEST), 20)],
    ['MANIFEST is missing', (dir: string) => rmSync(fileIn(dir, MANIFEST))],
  ] as const) {
    test(`finds everything when ${what}`, async t => {
      const dir = await makeDatabase(t, { inTables: 200, inLog: 30 })
      damage(dir)
      assert.equal((await Database.repair(dir)).isRebuilt, true)
      const database = await openIn(t, dir)
      assert.equal(await countEntries(database.level), 230)
      await fill(database.level, 10, 230)
      await database.reopen()
      assert.equal(await countEntries(database.level), 240)
    })
  }

  test('finds what is left when a table is cut off, even without the mark of the format', async t => {
    const dir = await makeDatabase(t, { inTables: 500, inLog: 30 })
    const path = fileIn(dir, TABLE)
    truncateSync(path, 4000)
    assert.equal((await Database.repair(dir)).isRebuilt, true)
    assert.equal(await countEntries((await openIn(t, dir)).level), 30)
    assert.ok(existsSync(join(dir, 'lost', '1', basename(path))), 'the table is kept aside')
  })

  test('is refused while the database is open, and where there is none', async t => {
    const dir = scratch(t)
    await assert.rejects(Database.repair(dir), fails('ERR_STORE_MISSING'))
    await assert.rejects(Database.repair(join(dir, 'none')), fails('ERR_STORE_MISSING'))
    const database = await openIn(t, dir)
    await database.level.put(keyOf(0), Buffer.from('x'))
    await assert.rejects(Database.repair(dir), fails('ERR_STORE_LOCKED', new RegExp(`pid ${process.pid}`)))
    // Also when nobody wrote down who has it.
    rmSync(join(dir, 'owner.json'))
    await assert.rejects(Database.repair(dir), fails('ERR_STORE_LOCKED'))
    assert.ok(existsSync(join(dir, 'CURRENT')), 'the database is as it was')
    writeFileSync(join(dir, 'owner.json'), '')
  })

  test('that was broken off is told of, and can be repeated', async t => {
    const dir = await makeDatabase(t, { inTables: 20, inLog: 30 })
    flipByte(fileIn(dir, MANIFEST), 20)
    // In the way of the new list of files.
    mkdirSync(join(dir, '000001.dbtmp'))
    await assert.rejects(Database.repair(dir), fails('ERR_STORE_IO', /can be repeated/))
    for (const name of readdirSync(dir)) if (name.endsWith('.dbtmp')) rmSync(join(dir, name), { recursive: true })
    await assert.rejects(openIn(t, dir), fails('ERR_STORE_CORRUPT', /repair/))
    await Database.repair(dir)
    assert.equal(await countEntries((await openIn(t, dir)).level), 50)
  })
})
