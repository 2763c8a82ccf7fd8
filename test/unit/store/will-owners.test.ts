/** Wills that are published when their clients have long gone: whose they were is known, and whether he still may. */
import assert from 'node:assert/strict'
import { cpSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { suite, type TestContext, test } from 'node:test'
import { crc32 } from 'node:zlib'
import { ClassicLevel } from 'classic-level'
import type { Hub } from '../../../src/broker/index.ts'
import type { HubConfig } from '../../../src/config/index.ts'
import { configOf, until } from '../../support/embedded-hub.ts'
import { OPEN_TO_ALL } from '../../support/hub.ts'
import { KillableHub } from '../../support/killable-hub.ts'
import { type ConnectOptions, publish } from '../../support/packets.ts'
import type { RawClient } from '../../support/raw-client.ts'
import { heard, linesOf, rule, rulesYaml } from '../../support/rules.ts'
import { SlowStore } from '../../support/slow-store.ts'
import { StoredHub } from '../../support/stored-hub.ts'
import { ReloadedHub, TCP } from '../reload/reloaded-hub.ts'
import { scratch } from './database-files.ts'

/** Only somebody whom the configuration knows can be asked for. */
function rulesFor(...names: string[]): string {
  const own = names.map(name => rule(`wills -> of/${name}`, { from: name }))
  return rulesYaml(rule('wills -> by/{clientid}/{username}'), rule('wills -> id/{clientid}'), ...own)
}

const TOPICS: [string, number][] = [
  ['wills', 1],
  ['by/#', 1],
  ['id/#', 1],
  ['of/#', 1],
]
const WILL: ConnectOptions = { will: { topic: 'wills', payload: 'dead', qos: 1 } }

function account(name: string, pub: string): string {
  return `{ username: ${name}, password: pw, permissions: [{ action: pub, permit: ['${pub}'] }, { action: sub, permit: ['#'] }] }`
}

/** Ann may publish to these topics; empty: she is nobody. */
function yamlOf(ann = '#'): string {
  const bob = account('bob', '#')
  if (ann === '') return `${rulesFor('bob', 'anonymous')}\nprincipals: [${bob}]`
  return `${rulesFor('ann', 'bob', 'anonymous')}\nprincipals: [${account('ann', ann)}, ${bob}]`
}

const as = (username: string): ConnectOptions => ({ ...WILL, username, password: 'pw' })

/** All who may die, and the copies of their Wills. */
const MORTALS: readonly (readonly [name: string, options: ConnectOptions, copies: readonly string[]])[] = [
  ['a client of a principal', as('ann'), ['by/mortal/ann', 'id/mortal', 'of/ann']],
  ['a kept client of a principal', { ...as('bob'), cleanSession: false }, ['by/mortal/bob', 'id/mortal', 'of/bob']],
  ['an anonymous client', WILL, ['id/mortal', 'of/anonymous']],
  ['a kept anonymous client', { ...WILL, cleanSession: false }, ['id/mortal', 'of/anonymous']],
]

const linesFor = (copies: readonly string[]): string[] => ['wills', ...copies].map(topic => `${topic} 1 dead`).sort()

/** So many messages, and nothing behind them. */
async function receive(client: RawClient, count: number): Promise<string[]> {
  const lines: string[] = []
  for (let i = 0; i < count; i++) lines.push(...linesOf([await client.receive()]))
  await client.quiet()
  return lines.sort()
}

/** Has somebody die while nothing can be stored. */
async function hold(disk: SlowStore, options: ConnectOptions): Promise<void> {
  const { stored } = disk
  const mortal = await stored.guest('mortal', options)
  await disk.failNow()
  await disk.cut(mortal, 'mortal')
  await until(() => stored.log.count('will.failed') === 1, 'the Will is put off')
}

suite('a Will that is held', () => {
  for (const isHooked of [false, true]) {
    for (const [name, options, copies] of MORTALS) {
      test(`rules know whose it is: ${name}${isHooked ? ', with a hook' : ''}`, async t => {
        const disk = await SlowStore.start(t, { config: configOf(yamlOf()) })
        const { stored } = disk
        const device = await stored.kept('device', false)
        await device.subscribe(...TOPICS)
        if (isHooked) stored.hub.on('publish', () => {})
        await hold(disk, options)
        await disk.heal()
        assert.deepEqual(await receive(device, copies.length + 1), linesFor(copies))
        assert.equal(await disk.settledKeys('w'), 0, 'no Will is stored any more')
      })
    }
  }

  test('rules know the username where there are no principals', async t => {
    const disk = await SlowStore.start(t)
    const { stored } = disk
    stored.hub.useRules([rule('wills -> by/{clientid}/{username}')])
    const device = await stored.kept('device', false)
    await device.subscribe(...TOPICS)
    await hold(disk, { ...WILL, username: 'eve' })
    await disk.heal()
    assert.deepEqual(await receive(device, 2), linesFor(['by/mortal/eve']))
  })

  test('is not confused with the one its client came back with as another', async t => {
    const disk = await SlowStore.start(t, { config: configOf(yamlOf()) })
    const { stored } = disk
    const device = await stored.kept('device', false)
    await device.subscribe(...TOPICS)
    await hold(disk, as('ann'))
    const again = await stored.guest('mortal', as('bob'))
    await disk.heal()
    assert.deepEqual(await receive(device, 4), linesFor(['by/mortal/ann', 'id/mortal', 'of/ann']))
    assert.equal(await disk.settledKeys('w'), 1, 'the second Will is stored')
    again.destroy()
    assert.deepEqual(await receive(device, 4), linesFor(['by/mortal/bob', 'id/mortal', 'of/bob']))
    assert.equal(await disk.settledKeys('w'), 0, 'no Will is stored any more')
  })
})

/** Who is cut off by the death of a hub: its directory, with his Will in it. */
async function dieWith(t: TestContext, options: ConnectOptions): Promise<string> {
  const dir = join(scratch(t), 'data')
  const hub = await KillableHub.start(t, dir, yamlOf())
  const device = await hub.open()
  await device.connect({ clientId: 'device', cleanSession: false })
  await device.subscribe(...TOPICS)
  await device.disconnect()
  const mortal = await hub.open()
  assert.equal((await mortal.connect({ clientId: 'mortal', ...options })).returnCode, 0)
  await hub.kill()
  return dir
}

/** A hub that starts on a copy of the directory. */
async function raise(t: TestContext, dir: string, config: HubConfig): Promise<StoredHub> {
  const stored = await StoredHub.start(t)
  await stored.stop()
  rmSync(stored.dir, { recursive: true, force: true })
  cpSync(dir, stored.dir, { recursive: true })
  rmSync(join(stored.dir, 'owner.json'), { force: true }) // of a process that is gone
  await stored.start({ config })
  return stored
}

/** What it has published, and how many Wills it leaves on disk. */
async function look(stored: StoredHub): Promise<{ lines: string[]; wills: number }> {
  const device = await stored.kept('device', true)
  await until(() => stored.hub.sessions.get('device')?.queued === 0, 'all that waits is sent')
  const lines = await heard(device)
  await device.disconnect()
  await stored.settled()
  await stored.stop()
  return { lines, wills: (await stored.contents()).count('w') }
}

suite('a Will of the file, when the hub was killed', () => {
  for (const [name, options, copies] of MORTALS) {
    test(`rules know whose it is: ${name}`, async t => {
      const dir = await dieWith(t, options)
      const { lines, wills } = await look(await raise(t, dir, configOf(yamlOf())))
      assert.deepEqual(lines, linesFor(copies))
      assert.equal(wills, 0, 'no Will is stored any more')
    })
  }

  for (const [name, yaml, isPublished] of [
    ['was removed', yamlOf(''), false],
    ['may no longer publish there', yamlOf('else/#'), false],
    ['may still publish there, with less', yamlOf('wills'), true],
  ] as const) {
    test(`whose principal ${name} is ${isPublished ? '' : 'not '}published, and gone`, async t => {
      const dir = await dieWith(t, as('ann'))
      const stored = await raise(t, dir, configOf(yaml))
      const { lines, wills } = await look(stored)
      assert.deepEqual(lines, isPublished ? linesFor(['by/mortal/ann', 'id/mortal', 'of/ann']) : [])
      assert.equal(wills, 0, 'no Will is stored any more')
      assert.equal(stored.log.count('will.revoked'), isPublished ? 0 : 1, 'it is logged')
    })
  }

  test('of an anonymous client, when nobody may be anonymous any more, is not published, and gone', async t => {
    const dir = await dieWith(t, WILL)
    const closed = configOf(`${rulesFor('bob')}\nprincipals: [${account('bob', '#')}]`, '')
    const stored = await raise(t, dir, closed)
    await stored.settled()
    assert.equal(stored.log.count('will.revoked'), 1, 'it is logged')
    await stored.stop()
    const { count } = await stored.contents()
    assert.deepEqual([count('w'), count('qm')], [0, 0], 'neither the Will nor what came of it is stored')
  })
})

suite('a Will that was held when the hub ended', () => {
  for (const [name, yaml, isPublished] of [
    ['and whose principal was removed meanwhile is not published, and gone', yamlOf(''), false],
    ['is published at the next start, as whose it was', yamlOf(), true],
  ] as const) {
    test(name, async t => {
      const disk = await SlowStore.start(t, { config: configOf(yamlOf()) })
      const { stored } = disk
      await stored.absent('device', ...TOPICS)
      await hold(disk, as('ann'))
      await new Promise<void>(resolve => stored.hub.close(resolve)) // a write that waits is one that never was
      const copy = join(scratch(t), 'data')
      cpSync(stored.dir, copy, { recursive: true })
      await disk.restart()
      const { lines, wills } = await look(await raise(t, copy, configOf(yaml)))
      assert.deepEqual(lines, isPublished ? linesFor(['by/mortal/ann', 'id/mortal', 'of/ann']) : [])
      assert.equal(wills, 0, 'no Will is stored any more')
    })
  }
})

/** The part of LevelDB through which the store writes. */
interface Disk {
  batch(...operations: unknown[]): unknown
}

interface Chained {
  _write(options: unknown): Promise<void>
}

interface Breakable {
  /** The next write fails, and those that try it again wait. */
  readonly fail: () => void
  readonly heal: () => void
}

/** The disk below a hub that has not written yet. */
function diskOf(hub: Hub): Breakable {
  const disk = hub.state.store?.database.level as unknown as Disk
  const batch = disk.batch.bind(disk)
  let state: 'good' | 'failing' | 'failed' = 'good'
  let heal = (): void => {}
  const healed = new Promise<void>(resolve => {
    heal = resolve
  })
  const write = async (work: () => unknown): Promise<void> => {
    if (state === 'failing') {
      state = 'failed'
      throw new Error('the disk is broken')
    }
    if (state === 'failed') await healed
    await work()
  }
  disk.batch = (...operations) => {
    if (operations.length > 0) return write(() => batch(...operations))
    const chained = batch() as Chained
    const plain = chained._write.bind(chained)
    chained._write = options => write(() => plain(options))
    return chained
  }
  return { fail: () => void (state = 'failing'), heal }
}

suite('a reload while a Will is held', () => {
  const running = (ann?: string): string => [TCP, OPEN_TO_ALL, yamlOf(ann)].join('\n')

  for (const [name, ann, isPublished] of [
    ['removes its principal: it is not published, and gone', '', false],
    ['takes the permission to publish there: it is not published, and gone', 'else/#', false],
    ['leaves the permission: it is published, as whose it was', 'wills', true],
  ] as const) {
    test(name, async t => {
      const dir = join(scratch(t), 'data')
      const reloaded = await ReloadedHub.start(t, running(), { dir })
      const { hub } = reloaded
      const disk = diskOf(hub)
      t.after(disk.heal)
      const device = await reloaded.connect(t, 'device', { cleanSession: false })
      await device.subscribe(...TOPICS)
      const mortal = await reloaded.connect(t, 'mortal', as('ann'))
      disk.fail()
      const { store } = hub.state
      assert.ok(store !== null, 'there is a store')
      store.saveRetained('disk/trouble', 0, Buffer.from('x'))
      await until(() => store.blocked === 'failed', 'the disk fails')
      mortal.destroy()
      await until(() => reloaded.logged('will.failed') === 1, 'the Will is put off')
      await reloaded.reload(running(ann))
      assert.deepEqual(await heard(device), [], 'it is held')
      disk.heal()
      await until(() => store.blocked === null, 'the store takes messages again')
      if (isPublished) {
        assert.deepEqual(await receive(device, 4), linesFor(['by/mortal/ann', 'id/mortal', 'of/ann']))
      } else {
        await until(() => reloaded.logged('will.revoked') === 1, 'it is logged')
        assert.deepEqual(await heard(device), [])
      }
      assert.equal(hub.heldWills.size, 0, 'none is held any more')
      await store.commit.settled()
      await reloaded.stop()
      assert.equal(await willsIn(dir), 0, 'no Will is stored any more')
    })
  }
})

async function willsIn(dir: string): Promise<number> {
  const level = new ClassicLevel<Buffer, Buffer>(dir, { keyEncoding: 'buffer', valueEncoding: 'buffer' })
  try {
    let count = 0
    for await (const key of level.keys()) if (key[0] === 'w'.charCodeAt(0)) count++
    return count
  } finally {
    await level.close()
  }
}

suite('a Will that an older version stored, without an owner', () => {
  /** Puts a record into a store whose hub is stopped. */
  async function put(stored: StoredHub, key: Buffer, body: Buffer): Promise<void> {
    const level = new ClassicLevel<Buffer, Buffer>(stored.dir, { keyEncoding: 'buffer', valueEncoding: 'buffer' })
    try {
      const sum = Buffer.alloc(4)
      sum.writeUInt32BE(crc32(body, crc32(key)))
      await level.put(key, Buffer.concat([body, sum]))
    } finally {
      await level.close()
    }
  }

  for (const [what, change] of [
    ['with principals', { config: configOf(yamlOf()) }],
    ['without', {}],
  ] as const) {
    for (const qos of [0, 1, 2]) {
      test(`is read and published: QoS ${qos}, ${what}`, async t => {
        const stored = await StoredHub.start(t, change)
        await stored.absent('device', ['wills', 2], ['id/#', 2], ['of/#', 2], ['by/#', 2])
        await stored.guest('bystander')
        await stored.stop()
        const packet = publish({ topic: 'wills', payload: 'dead', qos, retain: true, packetId: 0 })
        await put(stored, Buffer.from('wmortal'), packet)
        await stored.start(change)
        const observer = await stored.guest('observer')
        await observer.subscribe(['wills', 0])
        assert.deepEqual(await heard(observer), ['wills 0 dead RETAIN'], 'it is retained')
        if (qos > 0) {
          const device = await stored.kept('device', true)
          const wanted = [...('config' in change ? [`id/mortal ${qos} dead`] : []), `wills ${qos} dead`]
          assert.deepEqual(await receive(device, wanted.length), wanted)
        }
        await stored.settled()
        await stored.stop()
        assert.equal((await stored.contents()).count('w'), 0, 'the Will is no longer stored')
      })
    }
  }
})
