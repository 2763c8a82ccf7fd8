import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { suite, type TestContext, test } from 'node:test'
import { type Formats, settleFormat } from '../../../src/broker/store/database-format.ts'
import { KeptLog } from '../../support/kept-log.ts'
import { countEntries, fails, fill, keyOf, makeDatabase, openIn, openPlain, scratch } from './database-files.ts'

const MODULE = new URL('../../../src/broker/store/database.ts', import.meta.url).href
const COMMON = new URL('../../../src/common/index.ts', import.meta.url).href

/** Runs code in a process of its own, with Database, silentLogger and dir; its output. */
async function inChild(
  t: TestContext,
  dir: string,
  code: string,
): Promise<{ pid: number; firstLine: Promise<string>; end(): Promise<string> }> {
  const script = `import { Database } from ${JSON.stringify(MODULE)}
    import { silentLogger } from ${JSON.stringify(COMMON)}
    const dir = ${JSON.stringify(dir)}
    const open = () => Database.open({ dir, log: silentLogger, reserveBytes: 0 })
    ${code}`
  const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const closed = once(child, 'close')
  t.after(async () => {
    child.kill('SIGKILL')
    await closed
  })
  let text = ''
  const firstLine = new Promise<string>(resolve => {
    child.stdout.on('data', chunk => {
      text += String(chunk)
      if (text.includes('\n')) resolve(text.split('\n')[0] as string)
    })
  })
  const end = async (): Promise<string> => {
    child.stdin.end()
    await closed
    return text
  }
  return { pid: child.pid as number, firstLine, end }
}

suite('a directory', () => {
  test('is made, with those above it, and holds the database of before when opened again', async t => {
    const dir = join(scratch(t), 'var', 'db', 'data')
    const database = await openIn(t, dir)
    assert.equal(statSync(dir).mode & 0o777, 0o755 & ~process.umask())
    await fill(database.level, 10)
    await database.close()
    assert.equal(await countEntries((await openIn(t, dir)).level), 10)
  })

  test('that is a file, or lies in one, is refused', async t => {
    const dir = scratch(t)
    writeFileSync(join(dir, 'file'), '')
    await assert.rejects(openIn(t, join(dir, 'file')), fails('ERR_STORE_DIRECTORY', /file/, /storage\.dir/))
    await assert.rejects(openIn(t, join(dir, 'file', 'data')), fails('ERR_STORE_DIRECTORY', /file/))
  })

  test('that may not be written is refused', {
    skip: process.getuid?.() === 0 && 'root may write everywhere',
  }, async t => {
    const dir = scratch(t)
    mkdirSync(join(dir, 'data'), { mode: 0o555 })
    await assert.rejects(openIn(t, join(dir, 'data')), fails('ERR_STORE_DIRECTORY', /permission/i))
  })

  test('without a database is not made one when it must hold one', async t => {
    const dir = scratch(t)
    await assert.rejects(openIn(t, dir, { mustExist: true }), fails('ERR_STORE_MISSING', /no database/))
    await assert.rejects(openIn(t, join(dir, 'data'), { mustExist: true }), fails('ERR_STORE_MISSING', /no database/))
    assert.deepEqual(readdirSync(dir), [])
    await (await openIn(t, dir)).close()
    await openIn(t, dir, { mustExist: true })
  })

  test('with files of somebody else is refused and left alone', async t => {
    const dir = scratch(t)
    writeFileSync(join(dir, 'letter.txt'), 'Dear')
    await assert.rejects(
      openIn(t, dir),
      fails('ERR_STORE_FOREIGN', /not empty and holds no database of this hub/, /letter\.txt/),
    )
    assert.deepEqual(readdirSync(dir), ['letter.txt'])
  })

  test('may have lost+found, a stale owner and a reserve in it', async t => {
    const dir = scratch(t)
    mkdirSync(join(dir, 'lost+found'))
    writeFileSync(join(dir, 'reserve'), 'x')
    writeFileSync(join(dir, 'owner.json'), JSON.stringify({ pid: process.pid, started: 1 }))
    await openIn(t, dir)
  })

  test('with the stores of OpenEdge 0.1.5 is used beside them, with a warning', async t => {
    const dir = scratch(t)
    for (const name of ['msgqos1.db', 'offset.db', 'session.db']) writeFileSync(join(dir, name), name)
    const log = new KeptLog()
    await openIn(t, dir, { log })
    const line = log.lines.find(each => each.event === 'store.old.ignored')
    assert.match(JSON.stringify(line?.fields), /msgqos1\.db.*not carried over/)
    assert.equal(readFileSync(join(dir, 'session.db'), 'utf8'), 'session.db')
  })

  test('in which making a database was broken off gets one', async t => {
    const dir = scratch(t)
    for (const name of ['LOCK', 'LOG', 'MANIFEST-000001', '000001.dbtmp']) writeFileSync(join(dir, name), '')
    const database = await openIn(t, dir)
    await fill(database.level, 1)
    await database.reopen()
    assert.equal(await countEntries(database.level), 1)
  })
})

suite('an open database', () => {
  test('is refused to a second one of the same process, by any path, and stays locked to others', async t => {
    const dir = scratch(t)
    await openIn(t, dir)
    const link = join(scratch(t), 'link')
    symlinkSync(dir, link)
    const refusal = fails('ERR_STORE_LOCKED', new RegExp(`pid ${process.pid}\\b`), new RegExp(dir))
    await assert.rejects(openIn(t, dir), refusal)
    await assert.rejects(openIn(t, link), refusal)
    const child = await inChild(
      t,
      dir,
      'open().then(() => console.log("opened"), error => console.log(error.code, error.message))',
    )
    assert.match(await child.end(), new RegExp(`^ERR_STORE_LOCKED .*pid ${process.pid}\\b`))
  })

  test('is refused to another process with the pid of its owner', async t => {
    const dir = scratch(t)
    const child = await inChild(
      t,
      dir,
      'const db = await open(); console.log("open"); process.stdin.resume().on("end", () => db.close())',
    )
    assert.equal(await child.firstLine, 'open')
    await assert.rejects(openIn(t, dir), fails('ERR_STORE_LOCKED', new RegExp(`pid ${child.pid}\\b`)))
    assert.deepEqual(JSON.parse(readFileSync(join(dir, 'owner.json'), 'utf8')).pid, child.pid)
    await child.end()
    assert.equal(existsSync(join(dir, 'owner.json')), false)
    await openIn(t, dir)
  })

  test("of a process that was killed is nobody's, and keeps what was written", async t => {
    const dir = scratch(t)
    const child = await inChild(
      t,
      dir,
      `const db = await open()
      await db.level.put(Buffer.from('a'), Buffer.from('b'))
      console.log("written"); process.stdin.resume()`,
    )
    assert.equal(await child.firstLine, 'written')
    process.kill(child.pid, 'SIGKILL')
    await child.end()
    assert.ok(existsSync(join(dir, 'owner.json')), 'the killed process can not have removed its file')
    const database = await openIn(t, dir)
    assert.equal(String(await database.level.get(Buffer.from('a'))), 'b')
  })

  test('has what was written after it was opened again, and takes more', async t => {
    const dir = scratch(t)
    const database = await openIn(t, dir)
    for (let round = 0; round < 5; round++) {
      await fill(database.level, 20, round * 20)
      await database.reopen()
    }
    assert.equal(await countEntries(database.level), 100)
    await assert.rejects(openIn(t, dir), fails('ERR_STORE_LOCKED'))
    await database.close()
    await database.close()
    await assert.rejects(database.reopen(), fails('ERR_STORE_CLOSED'))
    assert.equal(await countEntries((await openIn(t, dir)).level), 100)
  })

  test('that could not be opened again can be tried once more', async t => {
    const dir = scratch(t)
    const database = await openIn(t, dir)
    await fill(database.level, 3)
    const current = join(dir, 'CURRENT')
    const text = readFileSync(current)
    writeFileSync(current, 'nothing')
    await assert.rejects(database.reopen(), fails('ERR_STORE_CORRUPT', /CURRENT/))
    await assert.rejects(database.level.get(keyOf(0)), { code: 'LEVEL_DATABASE_NOT_OPEN' })
    writeFileSync(current, text)
    await database.reopen()
    assert.equal(await countEntries(database.level), 3)
  })

  test('that is closed while it is opened again stays closed', async t => {
    const dir = scratch(t)
    const database = await openIn(t, dir)
    await fill(database.level, 3)
    const again = database.reopen().catch(() => {})
    await database.close()
    await again
    assert.equal(await countEntries((await openIn(t, dir)).level), 3)
  })

  test('knows how much it has and how much there is room for', async t => {
    const dir = scratch(t)
    const database = await openIn(t, dir, { reserveBytes: 3_000_000 })
    const before = await database.usedBytes()
    assert.ok(before < 100_000, `${before} bytes`)
    await database.level.put(keyOf(0), Buffer.alloc(1_000_000, 'x'))
    assert.ok((await database.usedBytes()) - before >= 1_000_000, 'a million more bytes')
    const free = await database.freeBytes()
    assert.ok(Number.isSafeInteger(free) && free > 0, `${free} bytes free`)
  })
})

suite('the reserve', () => {
  const sizeIn = (dir: string): number | undefined => statSync(join(dir, 'reserve'), { throwIfNoEntry: false })?.size

  test('takes the room it keeps, is given up and comes back', async t => {
    const dir = scratch(t)
    const database = await openIn(t, dir, { reserveBytes: 2_500_000 })
    assert.equal(sizeIn(dir), 2_500_000)
    assert.ok(statSync(join(dir, 'reserve')).blocks * 512 >= 2_500_000, 'it has no holes')
    await database.releaseReserve()
    await database.releaseReserve()
    assert.equal(sizeIn(dir), undefined)
    assert.equal(await database.restoreReserve(), true)
    assert.equal(sizeIn(dir), 2_500_000)
  })

  test('is kept when its size is right, made anew when not, and removed when none is wanted', async t => {
    const dir = scratch(t)
    const inode = (): number => statSync(join(dir, 'reserve')).ino
    await (await openIn(t, dir, { reserveBytes: 10_000 })).close()
    const first = inode()
    await (await openIn(t, dir, { reserveBytes: 10_000 })).close()
    assert.equal(inode(), first)
    await (await openIn(t, dir, { reserveBytes: 20_000 })).close()
    assert.equal(sizeIn(dir), 20_000)
    await (await openIn(t, dir)).close()
    assert.equal(sizeIn(dir), undefined)
  })

  test('is not made where there is too little room', async t => {
    const dir = scratch(t)
    const log = new KeptLog()
    const database = await openIn(t, dir, { reserveBytes: 2 ** 52, log })
    assert.equal(sizeIn(dir), undefined)
    assert.equal(log.count('store.reserve.missing'), 1)
    assert.equal(await database.restoreReserve(), false)
  })
})

suite('the format', () => {
  const KEY = Buffer.from('Mformat')

  test('is written into a new database, with who made it', async t => {
    const database = await openIn(t, scratch(t))
    const mark = JSON.parse(String(await database.level.get(KEY)))
    assert.deepEqual([mark.product, mark.format, typeof mark.by], ['openedge-hub', 1, 'string'])
  })

  test('missing from a database that holds something is of something else', async t => {
    const dir = scratch(t)
    const plain = await openPlain(t, dir)
    await plain.put(Buffer.from('somebody'), Buffer.from('else'))
    await plain.close()
    await assert.rejects(
      openIn(t, dir),
      fails('ERR_STORE_FOREIGN', /LevelDB database of something else/, /storage\.dir/),
    )
    assert.equal(existsSync(join(dir, 'owner.json')), false)
    assert.equal(String(await (await openPlain(t, dir)).get(Buffer.from('somebody'))), 'else')
  })

  test('that is newer needs a newer openedge', async t => {
    const dir = await makeDatabase(t, { inLog: 1 })
    const plain = await openPlain(t, dir)
    await plain.put(KEY, Buffer.from('{"product":"openedge-hub","format":2,"by":"9.0.0"}'))
    await plain.close()
    await assert.rejects(openIn(t, dir), fails('ERR_STORE_VERSION', /has format 2/, /up to 1/, /newer openedge/))
  })

  for (const [mark, code] of [
    ['{"product":"other","format":1}', 'ERR_STORE_FOREIGN'],
    ['{"product":"openedge-hub"}', 'ERR_STORE_CORRUPT'],
    ['{"product":"openedge-hub","format":-1}', 'ERR_STORE_CORRUPT'],
    ['{"prod', 'ERR_STORE_CORRUPT'],
    ['null', 'ERR_STORE_FOREIGN'],
  ] as const) {
    test(`${mark} is refused`, async t => {
      const dir = await makeDatabase(t, { inLog: 1 })
      const plain = await openPlain(t, dir)
      await plain.put(KEY, Buffer.from(mark))
      await plain.close()
      await assert.rejects(openIn(t, dir), fails(code))
      // It is closed again: another may open it.
      await openPlain(t, dir)
    })
  }

  test('that is older is changed step by step, or refused when nobody knows how', async t => {
    const { level } = await openIn(t, scratch(t))
    const add = (key: string) => () => level.put(Buffer.from(key), Buffer.from(''))
    const formats: Formats = {
      current: 3,
      migrations: new Map([
        [1, add('x1')],
        [2, add('x2')],
      ]),
    }
    await settleFormat('/store', level, formats)
    assert.equal(JSON.parse(String(await level.get(KEY))).format, 3)
    assert.deepEqual((await level.keys({ gte: Buffer.from('x'), lt: Buffer.from('y') }).all()).map(String), [
      'x1',
      'x2',
    ])
    const older = settleFormat('/store', level, { current: 4, migrations: new Map() })
    await assert.rejects(older, fails('ERR_STORE_VERSION', /has format 3/, /older openedge/))
  })
})
