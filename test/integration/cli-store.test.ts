/** What a hub that was started from the command line keeps on disk, and what it says of it. */
import assert from 'node:assert/strict'
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { connect, connectAsync } from 'mqtt'
import { makeWorkdir, openedge, startOpenedge } from './cli-process.ts'

const OPEN = `
listen: [tcp://127.0.0.1:0]
anonymous:
  permissions:
    - { action: pub, permit: ['#'] }
    - { action: sub, permit: ['#'] }
`
const SERVICE = 'etc/openedge/service.yml'
const DATA = 'var/db/openedge/data'
const IN_MEMORY = /^In memory: nothing survives a stop, /m
const CLIENT = { reconnectPeriod: 0, connectTimeout: 10_000 }
const LAST = 'a/last'

/** Leaves a kept session, a message that waits for it, and a retained message. */
async function leaveBehind(url: string): Promise<void> {
  const subscriber = await connectAsync(url, { ...CLIENT, clientId: 'kept', clean: false })
  await subscriber.subscribeAsync('a/#', { qos: 1 })
  await subscriber.endAsync()
  const publisher = await connectAsync(url, CLIENT)
  await publisher.publishAsync('a/queued', 'q', { qos: 1 })
  await publisher.publishAsync('b/retained', 'r', { qos: 1, retain: true })
  await publisher.endAsync()
}

/** What of that is there: whether there was a session, and the topics that came before one that is published now. */
async function comeBack(t: TestContext, url: string): Promise<{ session: boolean; topics: string[] }> {
  // The messages that waited come with the CONNACK: too early for whoever listens once he is connected.
  const client = connect(url, { ...CLIENT, clientId: 'kept', clean: false })
  t.after(() => client.end(true))
  const topics: string[] = []
  const isOver = new Promise<void>((resolve, reject) => {
    client.on('error', reject)
    client.on('message', topic => (topic === LAST ? resolve() : topics.push(topic)))
  })
  const session = await new Promise<boolean>((resolve, reject) => {
    client.once('connect', ({ sessionPresent }) => resolve(sessionPresent))
    client.once('error', reject)
  })
  await client.subscribeAsync(['b/#', LAST], { qos: 1 })
  await client.publishAsync(LAST, '', { qos: 1 })
  await isOver
  await client.endAsync()
  return { session, topics: topics.sort() }
}

describe('a hub with a configuration', () => {
  test('keeps sessions, queued and retained messages, below its work directory', async t => {
    const dir = makeWorkdir(t, { [`edge/${SERVICE}`]: OPEN })
    const first = startOpenedge(t, ['hub', '-w', 'edge'], dir)
    const url = await first.url('tcp')
    assert.match(first.stdout, /^Stored in edge\/var\/db\/openedge\/data \(sync: always\): .+ a power cut\.$/m)
    await leaveBehind(url)
    const { code, stderr } = await first.stop()
    assert.equal(code, 0)
    assert.match(stderr, / msg="hub\.started" .* storage="?edge\/var\/db\/openedge\/data/)
    assert.deepEqual(readdirSync(dir), ['edge'])
    assert.ok(existsSync(join(dir, 'edge', DATA)), 'the store is below the work directory')

    const second = startOpenedge(t, ['hub', '-c', SERVICE], join(dir, 'edge'))
    assert.deepEqual(await comeBack(t, await second.url('tcp')), { session: true, topics: ['a/queued', 'b/retained'] })
    assert.match(second.stdout, /^Stored in var\/db\/openedge\/data \(sync: always\)/m)
    assert.equal((await second.stop()).code, 0)
  })

  test('says how it syncs, and where when that is elsewhere', async t => {
    const dir = makeWorkdir(t)
    const data = join(dir, 'elsewhere')
    for (const [storage, pattern] of [
      ['sync: interval, interval: 250ms', /\(sync: interval\): .+ the last 250ms of it\.$/m],
      ['sync: never', /\(sync: never\): .+ the last seconds of it\.$/m],
    ] as const) {
      const work = makeWorkdir(t, { [SERVICE]: `${OPEN}storage: { dir: '${data}', ${storage} }\n` })
      const hub = startOpenedge(t, ['hub', '-w', work], dir)
      await hub.until(pattern)
      assert.ok(hub.stdout.includes(`Stored in ${data} (`), hub.stdout)
      assert.equal((await hub.stop()).code, 0)
    }
  })

  test('keeps nothing with --memory, nor with an empty storage.dir', async t => {
    const empty = `${OPEN}storage: { dir: "" }\n`
    for (const [yaml, args, because] of [
      [OPEN, ['hub', '--memory'], '--memory'],
      [empty, ['hub'], 'storage.dir is empty'],
    ] as const) {
      const dir = makeWorkdir(t, { [SERVICE]: yaml })
      const first = startOpenedge(t, args, dir)
      await leaveBehind(await first.url('tcp'))
      assert.match(first.stdout, IN_MEMORY)
      assert.ok(first.stdout.includes(`(${because}).`), first.stdout)
      assert.equal((await first.stop()).code, 0)
      assert.match(first.stderr, / msg="hub\.started" .* storage=none/)
      assert.deepEqual(readdirSync(dir), ['etc'])
      const second = startOpenedge(t, args, dir)
      assert.deepEqual(await comeBack(t, await second.url('tcp')), { session: false, topics: [] })
      assert.equal((await second.stop()).code, 0)
    }
  })

  test('warns of a folder that the environment leaves empty', async t => {
    const dir = makeWorkdir(t, { [SERVICE]: `${OPEN}storage:\n  dir: \${DATA_DIR}\n` })
    const hub = startOpenedge(t, ['hub'], dir, { DATA_DIR: '' })
    await hub.url('tcp')
    assert.match(hub.stdout, IN_MEMORY)
    assert.equal((await hub.stop()).code, 0)
    assert.match(hub.stderr, /^etc\/openedge\/service\.yml:8:8: warning: storage\.dir: is empty in the environment/)
  })
})

describe('a store that can not be opened', () => {
  test('is no mistake of the command line: exit code 1, the folder, and no stack', async t => {
    const dir = makeWorkdir(t, { [SERVICE]: OPEN, 'var/db/openedge': 'a file where a folder should be' })
    const { code, stdout, stderr } = await openedge(['hub'], { cwd: dir })
    assert.equal(code, 1)
    assert.equal(stdout, '')
    const lines = stderr.trimEnd().split('\n')
    const message = lines.find(line => line.startsWith('openedge: ')) ?? ''
    assert.ok(message.includes(DATA), stderr)
    assert.doesNotMatch(stderr, /^\s+at /m)
    assert.doesNotMatch(stderr, /--help/)
    const hub = startOpenedge(t, ['hub', '--memory'], dir)
    await hub.url('tcp')
    assert.equal((await hub.stop()).code, 0)
  })

  test('that another hub has open names that hub', async t => {
    const dir = makeWorkdir(t, { [SERVICE]: OPEN })
    const owner = startOpenedge(t, ['hub'], dir)
    await owner.url('tcp')
    const { code, stderr } = await openedge(['hub'], { cwd: dir })
    assert.equal(code, 1)
    assert.match(stderr, new RegExp(`^openedge: .*${DATA}.*\\b${owner.child.pid}\\b`, 'm'))
    assert.equal((await owner.stop()).code, 0)
  })
})
