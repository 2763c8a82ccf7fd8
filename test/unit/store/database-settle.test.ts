import assert from 'node:assert/strict'
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { basename, join } from 'node:path'
import { suite, type TestContext, test } from 'node:test'
import type { Database } from '../../../src/broker/store/database.ts'
import { checkWal, scanLog } from '../../../src/broker/store/wal-check.ts'
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
  scratch,
  valueOf,
} from './database-files.ts'

const LOG = /^\d+\.log$/
const MIDDLE = '000090.log'
const LAST = '000091.log'
/** A batch of one entry in the log: header, head of a batch, kind, key and value with their lengths. */
const ENTRY_BYTES = 7 + 12 + 1 + 1 + 7 + 2 + 200
/** Entries in tables, then in each of three logs. */
const TABLES = 40
const COUNTS = [200, 100, 30] as const
const ALL = TABLES + 330

interface Torn {
  readonly dir: string
  /** The first of three logs. */
  readonly first: string
}

/** As a run leaves it that writes with this mode and is killed: its entries are in tables and three logs. */
async function unclean(t: TestContext, sync: string | null): Promise<Torn> {
  const dir = await makeDatabase(t, { inTables: TABLES, inLog: COUNTS[0] })
  const first = fileIn(dir, LOG)
  const [report] = await checkWal(dir, [basename(first)])
  let sequence = report?.nextSequence ?? 0
  let index = TABLES + COUNTS[0]
  for (const [file, count] of [
    [MIDDLE, COUNTS[1]],
    [LAST, COUNTS[2]],
  ] as const) {
    const batches = Array.from({ length: count }, () => batchOf(index++, sequence++))
    writeFileSync(join(dir, file), writeLog(batches))
  }
  if (sync !== null) writeFileSync(join(dir, 'owner.json'), JSON.stringify({ pid: process.pid, started: 1, sync }))
  return { dir, first: basename(first) }
}

function batchOf(index: number, sequence: number): Buffer {
  const head = Buffer.alloc(12)
  head.writeBigUInt64LE(BigInt(sequence))
  head.writeUInt32LE(1, 8)
  return Buffer.concat([head, Buffer.from([1, 7]), keyOf(index), Buffer.from([200, 1]), valueOf(index)])
}

/** The entries are the first so many, and no other. */
async function hasFirst(database: Database, count: number): Promise<void> {
  assert.equal(await countEntries(database.level), count)
  if (count > 0) assert.ok(await database.level.get(keyOf(count - 1)), `entry ${count - 1} is missing`)
  assert.equal(await database.level.get(keyOf(count)), undefined)
}

function cutBy(dir: string, file: string, bytes: number): void {
  truncateSync(join(dir, file), statSync(join(dir, file)).size - bytes)
}

function zero(dir: string, file: string, from: number, to?: number): void {
  const path = join(dir, file)
  const bytes = readFileSync(path)
  writeFileSync(path, bytes.fill(0, from, to))
}

function copyOf(t: TestContext, dir: string): string {
  const copy = join(scratch(t), 'copy')
  cpSync(dir, copy, { recursive: true })
  return copy
}

/** Says in MANIFEST that so many numbers had been used when this log became the first. */
async function tellSequence(dir: string, log: number, sequence: number): Promise<void> {
  const path = fileIn(dir, /^MANIFEST-/)
  const edits: Buffer[] = []
  await scanLog(dir, basename(path), { isWal: false, record: bytes => edits.push(Buffer.from(bytes)) })
  const varint = [(sequence & 127) | 128, ((sequence >> 7) & 127) | 128, sequence >> 14]
  for (const number of [log - 1, log]) edits.push(Buffer.from([2, number, 4, ...varint]))
  writeFileSync(path, writeLog(edits))
}

interface Case {
  readonly what: string
  readonly damage: (torn: Torn) => void
  /** Entries that lie before the first gap. */
  readonly kept: number
  /** Batches behind it that could have been read. */
  readonly batches: number
  readonly files: (first: string) => string[]
}

const everything = (first: string): string[] => [first, MIDDLE, LAST]

const CASES: readonly Case[] = [
  {
    what: 'an older log that lost its end within a record',
    damage: ({ dir, first }) => cutBy(dir, first, ENTRY_BYTES * 3 + 20),
    kept: TABLES + COUNTS[0] - 4,
    batches: COUNTS[1] + COUNTS[2],
    files: everything,
  },
  {
    what: 'an older log that lost whole records',
    damage: ({ dir, first }) => cutBy(dir, first, ENTRY_BYTES * 5),
    kept: TABLES + COUNTS[0] - 5,
    batches: COUNTS[1] + COUNTS[2],
    // Nothing of the first has to go.
    files: () => [MIDDLE, LAST],
  },
  {
    what: 'an older log that lost all',
    damage: ({ dir, first }) => truncateSync(join(dir, first), 0),
    kept: TABLES,
    batches: COUNTS[1] + COUNTS[2],
    files: () => [MIDDLE, LAST],
  },
  {
    what: 'an older log of which the name was lost',
    damage: ({ dir, first }) => rmSync(join(dir, first)),
    kept: TABLES,
    batches: COUNTS[1] + COUNTS[2],
    files: everything,
  },
  {
    what: 'an older log that ends with zeros',
    damage: ({ dir, first }) => zero(dir, first, 8192),
    kept: TABLES + Math.floor(8192 / ENTRY_BYTES),
    batches: COUNTS[1] + COUNTS[2],
    files: everything,
  },
  {
    what: 'a log in the middle that lost its end',
    damage: ({ dir }) => cutBy(dir, MIDDLE, 1),
    kept: TABLES + COUNTS[0] + COUNTS[1] - 1,
    batches: COUNTS[2],
    files: () => [MIDDLE, LAST],
  },
  {
    what: 'a log in the middle of which the name was lost',
    damage: ({ dir }) => rmSync(join(dir, MIDDLE)),
    kept: TABLES + COUNTS[0],
    batches: COUNTS[2],
    files: () => [LAST],
  },
  {
    what: 'a latest log that lost its beginning',
    damage: ({ dir }) => zero(dir, LAST, 0, 4096),
    kept: TABLES + COUNTS[0] + COUNTS[1],
    // Where the first record of a block is lost, nothing tells where the others begin.
    batches: 0,
    files: () => [LAST],
  },
]

for (const mode of ['interval', 'never'] as const) {
  suite(`after a loss of power with sync ${mode}`, () => {
    for (const { what, damage, kept, batches, files } of CASES) {
      test(`${what} and those behind it count up to the gap, with a warning`, async t => {
        const torn = await unclean(t, mode)
        const { dir } = torn
        damage(torn)
        const before = contentsOf(dir)
        const log = new KeptLog()
        const database = await openIn(t, dir, { log, sync: mode })
        await hasFirst(database, kept)

        const lines = log.lines.filter(line => line.event === 'store.repaired')
        assert.equal(lines.length, 1)
        assert.equal(lines[0]?.level, 'warn')
        const told = lines[0]?.fields as { files: string[]; batches: number; bytes: number; originals: string }
        assert.deepEqual(told.files, files(torn.first))
        assert.equal(told.batches, batches)
        assert.ok(told.bytes >= told.batches * ENTRY_BYTES, `${told.bytes} bytes are too few`)
        assert.equal(told.originals, join(dir, 'lost', '1'))
        for (const file of told.files) {
          const original = before.get(file)
          if (original !== undefined) assert.equal(readFileSync(join(told.originals, file), 'latin1'), original)
        }

        // It goes on as any database, and is whole from now on.
        await fill(database.level, 20, kept)
        await database.close()
        const again = new KeptLog()
        await hasFirst(await openIn(t, dir, { log: again, sync: 'always' }), kept + 20)
        assert.deepEqual(again.lines, [])
      })
    }

    test('a log behind an empty one is given up where no number tells that something is missing', async t => {
      const { dir, first } = await unclean(t, mode)
      truncateSync(join(dir, first), 0)
      await tellSequence(dir, Number.parseInt(first, 10), 60_000)
      await openIn(t, copyOf(t, dir))
      const database = await openIn(t, dir, { sync: mode })
      await hasFirst(database, TABLES)
    })

    test('the one log is made anew when its name was lost', async t => {
      const dir = await makeDatabase(t, { inTables: TABLES, inLog: 5 })
      writeFileSync(join(dir, 'owner.json'), JSON.stringify({ pid: 1, started: 1, sync: mode }))
      const path = fileIn(dir, LOG)
      rmSync(path)
      const log = new KeptLog()
      await hasFirst(await openIn(t, dir, { log, sync: mode }), TABLES)
      const line = log.lines.find(each => each.event === 'store.repaired')
      const reason = `${basename(path)} is missing`
      assert.deepEqual(line?.fields, { dir, files: [basename(path)], bytes: 0, batches: 0, reason, originals: null })
      assert.equal(existsSync(join(dir, 'lost')), false)
    })

    test('nothing is given up when nothing is missing', async t => {
      const { dir } = await unclean(t, mode)
      const log = new KeptLog()
      await hasFirst(await openIn(t, dir, { log, sync: mode }), ALL)
      assert.deepEqual(log.lines, [])
      assert.equal(existsSync(join(dir, 'lost')), false)
    })

    test('a hole in the one log counts as its end', async t => {
      const dir = await makeDatabase(t, { inLog: 300 })
      writeFileSync(join(dir, 'owner.json'), JSON.stringify({ pid: 1, started: 1, sync: mode }))
      zero(dir, basename(fileIn(dir, LOG)), 16_384, 20_480)
      const log = new KeptLog()
      const database = await openIn(t, dir, { log, sync: mode })
      // The mark of the format is the first record of a new database.
      const count = await countEntries(database.level)
      assert.ok(count > 60 && count <= Math.floor(16_384 / ENTRY_BYTES), `${count} entries`)
      await hasFirst(database, count)
      assert.equal(log.count('store.repaired'), 1)
    })

    test('settling that is broken off is done the next time', async t => {
      const { dir, first } = await unclean(t, mode)
      cutBy(dir, first, 20)
      const torn = copyOf(t, dir)
      // A later log is emptied first.
      for (const emptied of [[LAST], [LAST, MIDDLE]]) {
        const copy = copyOf(t, torn)
        mkdirSync(join(copy, 'lost', '1'), { recursive: true })
        writeFileSync(join(copy, `${first}.tmp`), 'a draft')
        for (const file of emptied) truncateSync(join(copy, file), 0)
        const log = new KeptLog()
        await hasFirst(await openIn(t, copy, { log, sync: mode }), TABLES + COUNTS[0] - 1)
        assert.equal(log.count('store.repaired'), 1)
      }
    })

    test('damage of MANIFEST and of tables is refused as ever', async t => {
      for (const pattern of [/^MANIFEST-/, /^\d+\.ldb$/]) {
        const { dir, first } = await unclean(t, mode)
        cutBy(dir, first, 20)
        const path = fileIn(dir, pattern)
        if (path.endsWith('.ldb')) truncateSync(path, 10)
        else flipByte(path, 20)
        const before = contentsOf(dir)
        await assert.rejects(openIn(t, dir, { sync: mode }), fails('ERR_STORE_CORRUPT', new RegExp(basename(path))))
        assert.deepEqual([...contentsOf(dir)], [...before])
      }
    })

    test('a gap is refused to what only looks at the database, and nothing is changed', async t => {
      const { dir, first } = await unclean(t, mode)
      cutBy(dir, first, 20)
      const before = contentsOf(dir)
      await assert.rejects(openIn(t, dir), fails('ERR_STORE_CORRUPT', new RegExp(first)))
      assert.deepEqual([...contentsOf(dir)], [...before])
    })
  })
}

suite('a gap in the logs is refused, and nothing is changed,', () => {
  for (const [what, sync] of [
    ['after a run with sync always', 'always'],
    ['after a run that ended well', null],
    ['after a run of which the mode is not known', 'sometimes'],
  ] as const) {
    test(`${what}, whatever the mode is now`, async t => {
      for (const { damage } of CASES) {
        const torn = await unclean(t, sync)
        damage(torn)
        const before = contentsOf(torn.dir)
        for (const mode of ['always', 'interval', 'never'] as const)
          await assert.rejects(openIn(t, torn.dir, { sync: mode }), fails('ERR_STORE_CORRUPT', /\.log/))
        assert.deepEqual([...contentsOf(torn.dir)], [...before])
      }
    })
  }

  test('while the database is open', async t => {
    const dir = scratch(t)
    const database = await openIn(t, dir, { sync: 'never' })
    await fill(database.level, 300)
    flipByte(fileIn(dir, LOG), 20_000)
    await assert.rejects(database.reopen(), fails('ERR_STORE_CORRUPT', /\.log/))
    // The next run may: this one did not end well.
    await database.close()
    const log = new KeptLog()
    await openIn(t, dir, { log, sync: 'never' })
    assert.equal(log.count('store.repaired'), 1)
  })
})

suite('what was replaced', () => {
  test('is kept of the latest three repairs, and does not count as used', async t => {
    const { dir, first } = await unclean(t, 'never')
    cutBy(dir, first, 20)
    const torn = copyOf(t, dir)
    for (let round = 1; round <= 12; round++) {
      const database = await openIn(t, dir, { sync: 'never' })
      assert.ok(existsSync(join(dir, 'lost', String(round), LAST)), `round ${round}`)
      const files = readdirSync(dir, { withFileTypes: true }).filter(entry => entry.isFile())
      const bytes = files.reduce((sum, { name }) => sum + statSync(join(dir, name)).size, 0)
      assert.equal(await database.usedBytes(), bytes)
      await database.close()
      for (const { name } of files) rmSync(join(dir, name), { force: true })
      cpSync(torn, dir, { recursive: true })
    }
    assert.deepEqual(readdirSync(join(dir, 'lost')).sort(), ['10', '11', '12'])
  })

  test('does not keep a new database from being made beside it', async t => {
    const dir = scratch(t)
    mkdirSync(join(dir, 'lost', '1'), { recursive: true })
    writeFileSync(join(dir, 'lost', '1', '000003.log'), 'old')
    await (await openIn(t, dir)).close()
    assert.equal(readFileSync(join(dir, 'lost', '1', '000003.log'), 'utf8'), 'old')
  })
})

suite('the mode of a run', () => {
  const ownerIn = (dir: string): { started: number; sync: string } =>
    JSON.parse(readFileSync(join(dir, 'owner.json'), 'utf8'))

  test('is written down while the database is open', async t => {
    const dir = scratch(t)
    for (const sync of ['interval', 'never', 'always'] as const) {
      const database = await openIn(t, dir, { sync })
      assert.equal(ownerIn(dir).sync, sync)
      await database.close()
      assert.equal(existsSync(join(dir, 'owner.json')), false)
    }
  })

  test('stays when the last sync fails, and the same process may open the database again', async t => {
    const dir = scratch(t)
    const log = new KeptLog()
    const database = await openIn(t, dir, { log, sync: 'interval' })
    await fill(database.level, 3)
    // Nobody can sync that.
    mkdirSync(join(dir, '000001.log'))
    await assert.rejects(database.syncLogs(), fails('ERR_STORE_IO', /can not be brought to the disk/))
    await database.close()
    assert.equal(log.count('store.sync.failed'), 1)
    assert.equal(ownerIn(dir).sync, 'interval')
    rmSync(join(dir, '000001.log'), { recursive: true })
    assert.equal(await countEntries((await openIn(t, dir, { sync: 'interval' })).level), 3)
  })
})

test('logs can be synced while LevelDB makes tables of them and removes them', async t => {
  const database = await openIn(t, scratch(t), { sync: 'interval', reserveBytes: 4 << 20 })
  const value = Buffer.alloc(100_000, 'x')
  let writing = true
  const written = (async () => {
    for (let index = 0; index < 200; index++) await database.level.put(keyOf(index), value)
    writing = false
  })()
  let syncs = 0
  for (; writing; syncs++) await database.syncLogs()
  await written
  assert.ok(syncs > 0, 'it was never synced')
})
