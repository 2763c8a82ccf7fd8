import assert from 'node:assert/strict'
import { appendFileSync, cpSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { suite, test } from 'node:test'
import { compactStore, verifyStore } from '../../../src/broker/store/index.ts'
import { queueKey, recordKey, sessionKey } from '../../../src/broker/store/keys.ts'
import { silentLogger } from '../../../src/common/index.ts'
import { contentsOf, fails, fileIn, flipByte, openIn, openPlain, scratch } from './database-files.ts'
import { findingsOf, flipValue, keysOf, makeStore, OWN, SHARED, tableIn, tamper } from './verify-stores.ts'

const FOOTER_BYTES = 48
const ignore = (): void => {}

suite('a check', () => {
  test('of what a hub that died has left finds nothing', async t => {
    for (const inTables of [false, true]) {
      const dir = await makeStore(t, { inTables })
      const report = await verifyStore(dir, finding => assert.fail(`${finding.where}: ${finding.what}`))
      assert.equal(report.problems, 0)
      assert.equal(report.dir, dir)
      assert.ok((report.records ?? 0) > 3 * SHARED, `${report.records} records were looked at`)
      assert.ok(report.files >= 2, `${report.files} files were looked at`)
    }
  })

  test('names every record that is not what was written', async t => {
    const dir = await makeStore(t)
    const wanted: string[] = []
    await tamper(dir, async level => {
      const kinds = [
        ['s', 'session 2'],
        ['f', 'subscription "shared/#" of session 1'],
        ['i', 'receipt of packet 7 of session 4'],
        ['r', 'retained message "retained/1"'],
        ['w', 'Will of "kept-d"'],
      ] as const
      for (const [kind, name] of kinds) {
        const keys = await keysOf(level, kind)
        const key = keys[kind === 's' ? 1 : 0] as Buffer
        await flipValue(level, key, 0)
        wanted.push(`${name}: wrong checksum`)
      }
      const own = (await keysOf(level, 'q')).filter(key => key.readUInt32BE(1) === 3)
      await flipValue(level, own[0] as Buffer, 40)
      wanted.push(`queue entry ${own[0]?.readUIntBE(5, 6)} of session 3: wrong checksum`)
    })
    const { problems } = await findingsOf(dir)
    for (const problem of wanted) assert.ok(problems.includes(problem), `${problem}, in:\n${problems.join('\n')}`)
    // What belongs to the session without a sound record is of no use to anybody.
    const others = problems.filter(problem => !wanted.includes(problem))
    assert.equal(others.length, 1 + SHARED, others.join('\n'))
    for (const other of others) assert.match(other, /of session 2: the record of its session is lost$/)
  })

  test('follows references', async t => {
    const dir = await makeStore(t)
    let first = 0
    let second = 0
    await tamper(dir, async level => {
      const keys = await keysOf(level, 'm')
      first = keys[0]?.readUIntBE(1, 6) as number
      second = keys[1]?.readUIntBE(1, 6) as number
      await level.del(recordKey(first))
      await flipValue(level, recordKey(second), 30)
    })
    const { problems } = await findingsOf(dir)
    assert.deepEqual(problems, [
      `message record ${second}: wrong checksum`,
      `queue entry ${first} of session 1: its message record is missing`,
      `queue entry ${second} of session 1: its message record is damaged (wrong checksum)`,
      `queue entry ${first} of session 2: its message record is missing`,
      `queue entry ${second} of session 2: its message record is damaged (wrong checksum)`,
    ])
  })

  test('tells what a killed hub leaves behind from what is lost', async t => {
    const dir = await makeStore(t)
    await tamper(dir, async level => {
      const [key] = await keysOf(level, 'q')
      const value = (await level.get(key as Buffer)) as Buffer
      // As when the hub is killed while it deletes the queue of a session that ended; the sum is that of another key.
      await level.put(queueKey(77, 1), value)
    })
    const damaged = await findingsOf(dir)
    assert.deepEqual(damaged.problems, ['queue entry 1 of session 77: wrong checksum'])

    const other = await makeStore(t)
    await tamper(other, async level => {
      for (const kind of ['f', 'k', 's']) {
        for (const key of await keysOf(level, kind)) if (key.readUInt32BE(1) === 3) await level.del(key)
      }
    })
    const { findings, problems } = await findingsOf(other)
    assert.deepEqual(problems, [])
    const what = `${OWN} queue entries are left, though the session has ended; the hub removes them`
    assert.deepEqual(findings, [{ where: 'session 3', what, remedy: '', isProblem: false }])

    const headless = await makeStore(t)
    await tamper(headless, level => level.del(sessionKey(3)))
    const lost = await findingsOf(headless)
    assert.ok(lost.problems.length > 1, lost.problems.join('\n'))
    assert.match(lost.problems[0] ?? '', /^subscription "own\/#" of session 3: the record of its session is lost$/)
  })

  test('finds records of no kind that the hub knows', async t => {
    const dir = await makeStore(t)
    await tamper(dir, async level => {
      await level.put(Buffer.from('?\u001b[31m'), Buffer.from('x'))
      await level.put(Buffer.from('m12'), Buffer.from('x'))
    })
    assert.deepEqual((await findingsOf(dir)).problems, [
      'record of unknown kind 3f1b5b33316d: the hub writes no such records',
      'record of unknown kind 6d3132: the hub writes no such records',
    ])
  })
})

suite('a check of files', () => {
  test('finds a flipped bit wherever it is in a table', async t => {
    const source = await makeStore(t, { inTables: true, payload: 600 })
    const size = statSync(tableIn(source)).size
    const places = Array.from({ length: 30 }, (_, i) => Math.floor(((size - FOOTER_BYTES) * i) / 30))
    for (const at of [...places, size - 1, size - FOOTER_BYTES]) {
      const dir = join(scratch(t), 'data')
      cpSync(source, dir, { recursive: true })
      const table = tableIn(dir)
      flipByte(table, at, 1 << (at % 8))
      const { problems } = await findingsOf(dir)
      const name = basename(table)
      assert.ok(
        problems.some(problem => problem.startsWith(`${name} at byte `)),
        `byte ${at}: ${problems.join('\n')}`,
      )
    }
  })

  test('reads tables that are packed', async t => {
    const dir = scratch(t)
    const level = await openPlain(t, dir)
    for (let i = 0; i < 2000; i++) await level.put(Buffer.from(`q${i}`), Buffer.from(`abcdefgh ${i} `.repeat(30)))
    await level.compactRange(Buffer.from('a'), Buffer.from('z'))
    await level.close()
    const packed = readFileSync(tableIn(dir)).length
    assert.ok(packed < 300_000, `${packed} bytes are packed`)
    await assert.rejects(verifyStore(dir, ignore), fails('ERR_STORE_FOREIGN'))
    flipByte(tableIn(dir), 1000)
    const { problems } = await findingsOf(dir)
    assert.equal(problems.length, 2, problems.join('\n'))
    assert.match(problems[0] ?? '', /at byte \d+: a block of \d+ bytes (?:can not be read|has a wrong checksum) /)
  })

  test('lists all that is missing or cut off, and leaves it as it is', async t => {
    const dir = await makeStore(t, { inTables: true })
    const table = tableIn(dir)
    const log = fileIn(dir, /^\d+\.log$/)
    truncateSync(table, 1000)
    rmSync(log)
    const before = contentsOf(dir)
    const { problems } = await findingsOf(dir)
    assert.equal(problems.length, 3, problems.join('\n'))
    assert.match(problems[0] ?? '', /^\d+\.ldb: has 1000 bytes and should have \d+$/)
    assert.match(problems[1] ?? '', /^\d+\.ldb at byte 952: it has not the end of a table$/)
    assert.match(problems[2] ?? '', /^\d+\.log: is missing/)
    assert.deepEqual([...contentsOf(dir)], [...before])
    const { records } = await verifyStore(dir, ignore)
    assert.equal(records, null)
  })

  test('names the byte of a damaged log, and tells of a last write that was not finished', async t => {
    const dir = await makeStore(t)
    const log = fileIn(dir, /^\d+\.log$/)
    flipByte(log, 900)
    const { problems } = await findingsOf(dir)
    assert.equal(problems.length, 1, problems.join('\n'))
    assert.match(problems[0] ?? '', /^\d+\.log at byte \d+: /)

    const torn = await makeStore(t)
    const path = fileIn(torn, /^\d+\.log$/)
    truncateSync(path, statSync(path).size - 3)
    const { findings, problems: none } = await findingsOf(torn)
    assert.deepEqual(none, [])
    assert.match(findings[0]?.what ?? '', /was not finished$/)
  })

  test('knows CURRENT and MANIFEST', async t => {
    for (const [damage, expected] of [
      [(dir: string) => rmSync(join(dir, 'CURRENT')), /^CURRENT: is missing$/],
      [
        (dir: string) => writeFileSync(join(dir, 'CURRENT'), 'nonsense'),
        /^CURRENT: should name a MANIFEST and has "nonsense"$/,
      ],
      [(dir: string) => rmSync(fileIn(dir, /^MANIFEST/)), /^MANIFEST-\d+: is missing, and CURRENT names it$/],
      [(dir: string) => truncateSync(fileIn(dir, /^MANIFEST/), 0), /^MANIFEST-\d+: is empty/],
      [(dir: string) => flipByte(fileIn(dir, /^MANIFEST/), 20), /^MANIFEST-\d+ at byte 0: |^MANIFEST-\d+: /],
    ] as const) {
      const dir = await makeStore(t)
      damage(dir)
      const { problems } = await findingsOf(dir)
      assert.match(problems[0] ?? '', expected)
    }
  })

  test('refuses a directory in use, an empty one, and one of something else', async t => {
    const used = scratch(t)
    await openIn(t, used)
    await assert.rejects(verifyStore(used, ignore), fails('ERR_STORE_LOCKED', new RegExp(`pid ${process.pid}`)))
    await assert.rejects(verifyStore(scratch(t), ignore), fails('ERR_STORE_MISSING'))
    const other = scratch(t)
    writeFileSync(join(other, 'letter.txt'), 'Dear all')
    await assert.rejects(verifyStore(other, ignore), fails('ERR_STORE_FOREIGN', /letter\.txt/))
  })
})

suite('compacting', () => {
  test('gives back what was deleted, and keeps the rest', async t => {
    const dir = await makeStore(t)
    await tamper(dir, async level => {
      const filler = Buffer.from('filler')
      for (let i = 0; i < 2000; i++)
        await level.put(Buffer.concat([filler, Buffer.from(`${i}`)]), Buffer.alloc(1000, `${i}`))
      for (let i = 0; i < 2000; i++) await level.del(Buffer.concat([filler, Buffer.from(`${i}`)]))
    })
    const { before, after } = await compactStore(dir, silentLogger)
    assert.ok(before > after + 10_000, `${before} before, ${after} after`)
    assert.deepEqual((await findingsOf(dir)).problems, [])
  })

  test('does not touch what is damaged', async t => {
    const dir = await makeStore(t, { inTables: true })
    flipByte(tableIn(dir), 200)
    const before = contentsOf(dir)
    await assert.rejects(compactStore(dir, silentLogger), fails('ERR_STORE_CORRUPT', /\.ldb at byte 0: .*store repair/))
    assert.deepEqual([...contentsOf(dir)], [...before])
    appendFileSync(join(dir, 'CURRENT'), 'x')
    await assert.rejects(compactStore(dir, silentLogger), fails('ERR_STORE_CORRUPT', /CURRENT/))
  })
})
