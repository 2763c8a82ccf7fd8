import assert from 'node:assert/strict'
import { once } from 'node:events'
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { request } from 'node:http'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { type Hub, HubControl, type HubControlOptions, type TopAnswer } from '../../src/broker/index.ts'
import { silentLogger } from '../../src/common/index.ts'
import type { ReloadAnswer } from '../../src/control/index.ts'
import { configOf, type EmbeddedHub, embedHub } from '../support/embedded-hub.ts'

const RELOADED: ReloadAnswer = { ok: true, changed: ['listen'], restart: [], warnings: [] }
const PATIENCE_MS = 10_000

function makeDir(t: TestContext): string {
  const dir = mkdtempSync(join(tmpdir(), 'openedge-control-'))
  t.after(() => rmSync(dir, { recursive: true, force: true }))
  return dir
}

async function serve(
  t: TestContext,
  hub: Hub,
  options: Partial<HubControlOptions> & { path: string },
): Promise<HubControl> {
  const server = new HubControl(hub, {
    isAutomatic: true,
    version: '1.2.3',
    log: silentLogger,
    reload: async () => RELOADED,
    ...options,
  })
  t.after(() => server.stop())
  await server.start(new AbortController().signal)
  return server
}

interface Reply {
  readonly status: number
  readonly allow: string | undefined
  readonly body: unknown
}

function ask(path: string, url: string, method = 'GET', body = ''): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const asked = request({ socketPath: path, path: url, method, agent: false, timeout: PATIENCE_MS }, response => {
      let text = ''
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk
      })
      response.on('end', () => {
        resolve({ status: response.statusCode ?? 0, allow: response.headers.allow, body: JSON.parse(text) as unknown })
      })
    })
    asked.on('error', reject)
    asked.on('timeout', () => asked.destroy(new Error('no answer')))
    asked.end(body)
  })
}

async function hubWith(t: TestContext, lines = ''): Promise<EmbeddedHub & { path: string }> {
  const embedded = await embedHub(t, { config: configOf(lines) })
  const path = join(makeDir(t), 'own/hub.sock')
  await serve(t, embedded.hub, { path })
  return { ...embedded, path }
}

describe('the control socket', { skip: process.platform === 'win32' ? 'there are no unix sockets' : false }, () => {
  test('is for the owner only, and gone after the stop', async t => {
    const { hub } = await embedHub(t)
    const path = join(makeDir(t), 'own/hub.sock')
    const server = await serve(t, hub, { path })
    assert.equal(lstatSync(path).mode & 0o777, 0o600)
    assert.equal(lstatSync(join(path, '..')).mode & 0o777, 0o700)
    await server.stop()
    assert.equal(existsSync(path), false)
    await server.stop()
  })

  test('a folder of its own that lets others in is set right', async t => {
    const { hub } = await embedHub(t)
    const dir = makeDir(t)
    chmodSync(dir, 0o777)
    await serve(t, hub, { path: join(dir, 'hub.sock') })
    assert.equal(lstatSync(dir).mode & 0o777, 0o700)
  })

  test('a folder that is not to be trusted is refused', async t => {
    const { hub } = await embedHub(t)
    const dir = makeDir(t)
    mkdirSync(join(dir, 'real'))
    symlinkSync(join(dir, 'real'), join(dir, 'link'))
    writeFileSync(join(dir, 'file'), '')
    mkdirSync(join(dir, 'shared'))
    chmodSync(join(dir, 'shared'), 0o777)
    const refused = (folder: string, problem: RegExp, isAutomatic = true): Promise<void> =>
      assert.rejects(serve(t, hub, { path: join(folder, 'hub.sock'), isAutomatic }), {
        code: 'ERR_LISTEN_PERMISSION',
        message: problem,
      })
    await refused(join(dir, 'link'), /link, is a symbolic link: remove it/)
    await refused(join(dir, 'file'), /file: is not a folder/)
    await refused(join(dir, 'shared'), /shared, may be written to by other users/, false)
    assert.equal(lstatSync(join(dir, 'shared')).mode & 0o777, 0o777)
    if (process.getuid?.() !== 0) return
    mkdirSync(join(dir, 'foreign'))
    chownSync(join(dir, 'foreign'), 12_345, 12_345)
    await refused(join(dir, 'foreign'), /foreign, belongs to another user/)
  })

  test('takes the place of one that nobody answers, and of nothing else', async t => {
    const { hub } = await embedHub(t)
    const dir = makeDir(t)
    const path = join(dir, 'hub.sock')
    await leaveSocket(path)
    await serve(t, hub, { path })
    assert.equal((await ask(path, '/v1/stats')).status, 200)
    await assert.rejects(serve(t, hub, { path }), {
      code: 'ERR_LISTEN_ADDRESS_IN_USE',
      message: `the control socket ${path} belongs to a hub that is running`,
    })
    assert.equal((await ask(path, '/v1/stats')).status, 200)
    writeFileSync(join(dir, 'file'), 'precious')
    await assert.rejects(serve(t, hub, { path: join(dir, 'file') }), /not a socket: move it away/)
    assert.ok(existsSync(join(dir, 'file')), 'the file is still there')
  })

  test('leaves a link for those who look elsewhere, unless another hub is found there', async t => {
    const { hub } = await embedHub(t)
    const dir = makeDir(t)
    const [path, pointer] = [join(dir, 'run/hub.sock'), join(dir, 'own/auto.sock')]
    mkdirSync(join(dir, 'own'))
    await leaveSocket(pointer)
    const server = await serve(t, hub, { path, pointer, isAutomatic: false })
    assert.equal(readlinkSync(pointer), path)
    assert.equal((await ask(pointer, '/v1/stats')).status, 200)
    const second = await serve(t, hub, { path: join(dir, 'run/second.sock'), pointer, isAutomatic: false })
    assert.equal(readlinkSync(pointer), path, 'the first one keeps it')
    await second.stop()
    assert.equal(readlinkSync(pointer), path)
    await server.stop()
    assert.deepEqual(readdirSync(join(dir, 'own')), [], 'it goes with the socket')
    symlinkSync(path, pointer) // one that was killed
    await serve(t, hub, { path: pointer })
    assert.ok(lstatSync(pointer).isSocket(), 'a hub that is there takes its place')
  })

  test('opens though it can leave no link', async t => {
    const { hub } = await embedHub(t)
    const dir = makeDir(t)
    writeFileSync(join(dir, 'file'), '')
    await serve(t, hub, { path: join(dir, 'hub.sock'), pointer: join(dir, 'file/auto.sock') })
    assert.equal((await ask(join(dir, 'hub.sock'), '/v1/stats')).status, 200)
  })

  test('clears its own folder of what hubs have left behind for good', async t => {
    const { hub } = await embedHub(t)
    const dir = makeDir(t)
    for (const name of ['old', 'young']) await leaveSocket(join(dir, name))
    await serve(t, hub, { path: join(dir, 'living') })
    for (const name of ['old', 'living']) utimesSync(join(dir, name), 1, 1)
    symlinkSync(join(dir, 'nowhere'), join(dir, 'lost'))
    symlinkSync(join(dir, 'living'), join(dir, 'alias'))
    for (const name of ['lost', 'alias']) lutimesSync(join(dir, name), 1, 1)
    writeFileSync(join(dir, 'file'), '')
    utimesSync(join(dir, 'file'), 1, 1)
    await serve(t, hub, { path: join(dir, 'hub.sock') })
    assert.deepEqual(readdirSync(dir).sort(), ['alias', 'file', 'hub.sock', 'living', 'young'])
  })
})

/** What a process leaves behind that was killed. */
async function leaveSocket(path: string): Promise<void> {
  const other = createServer().listen(`${path}.tmp`)
  await once(other, 'listening')
  renameSync(`${path}.tmp`, path)
  other.close()
  await once(other, 'close')
  assert.ok(lstatSync(path).isSocket(), 'the file is there')
}

describe('what a hub answers', { skip: process.platform === 'win32' ? 'there are no unix sockets' : false }, () => {
  test('its figures', async t => {
    const { path, connect } = await hubWith(t, 'subscriptions: [{ source: { topic: a/+ }, target: { topic: b } }]')
    const client = await connect('talker')
    for (let i = 0; i < 3; i++) await client.publish({ topic: 'a/1', payload: Buffer.from('x') })
    const stats = (await ask(path, '/v1/stats')).body as TopAnswer['snapshot']
    assert.equal(stats.messages.received, 3)
    assert.equal(stats.clients.connected, 1)
    const top = (await ask(path, '/v1/top?x=1')).body as TopAnswer
    assert.equal(top.version, '1.2.3')
    assert.equal(top.pid, process.pid)
    assert.equal(top.snapshot.messages.received, 3)
    assert.deepEqual(
      top.topics.find(({ topic }) => topic === 'a/1'),
      { topic: 'a/1', messages: 3 },
    )
    assert.deepEqual(
      top.rules.map(({ name, matched }) => ({ name, matched })),
      [{ name: 'a/+ -> b', matched: 3 }],
    )
    assert.deepEqual(
      top.clients.map(({ id, received, transport }) => ({ id, received, transport })),
      [{ id: 'talker', received: 3, transport: 'tcp' }],
    )
    assert.equal(top.loopDelay, null)
    assert.equal((await ask(path, '/v1/top?interval=')).status, 200)
    assert.equal((await ask(path, '/v1/top?interval=-1&interval=x')).status, 200)
    await new Promise(resolve => setTimeout(resolve, 50))
    const again = (await ask(path, '/v1/top')).body as TopAnswer
    assert.ok(again.at > top.at, 'its clock goes on')
    assert.ok(again.loopDelay !== null && again.loopDelay.maxMs >= again.loopDelay.meanMs, 'the event loop is measured')
    const rules = (await ask(path, '/v1/rules')).body as TopAnswer['rules']
    assert.equal(rules.length, 1)
  })

  test('what it knows of one session, whatever its name', async t => {
    const { path, connect } = await hubWith(t, 'limits: { clientid: { charset: any } }')
    const id = 'a/b ü?%'
    await connect(id)
    const { status, body } = await ask(path, `/v1/sessions/${encodeURIComponent(id)}`)
    assert.equal(status, 200)
    assert.equal((body as { id: string }).id, id)
    assert.equal((await ask(path, '/v1/sessions/nobody')).status, 404)
    assert.equal((await ask(path, '/v1/sessions/__proto__')).status, 404)
    assert.equal((await ask(path, '/v1/sessions/')).status, 404)
    assert.equal((await ask(path, '/v1/sessions/%ff')).status, 400)
  })

  test('what came of a reload', async t => {
    const { hub } = await embedHub(t)
    const path = join(makeDir(t), 'hub.sock')
    const answers: ReloadAnswer[] = [RELOADED, { ok: false, problems: ['service.yml:1:1: listen: is wrong'] }]
    await serve(t, hub, { path, reload: async () => answers.shift() ?? Promise.reject(new Error('boom')) })
    assert.deepEqual(await ask(path, '/v1/reload', 'POST'), { status: 200, allow: undefined, body: RELOADED })
    assert.deepEqual((await ask(path, '/v1/reload', 'POST')).body, {
      ok: false,
      problems: ['service.yml:1:1: listen: is wrong'],
    })
    const { status, body } = await ask(path, '/v1/reload', 'POST')
    assert.equal(status, 500)
    assert.doesNotMatch(JSON.stringify(body), /boom/)
  })

  test('that it does not know what it is asked', async t => {
    const { path } = await hubWith(t)
    assert.equal((await ask(path, '/')).status, 404)
    assert.equal((await ask(path, '/v1/constructor')).status, 404)
    assert.deepEqual(await ask(path, '/v1/reload'), {
      status: 405,
      allow: 'POST',
      body: { error: '/v1/reload takes POST only' },
    })
    const { status, allow } = await ask(path, '/v1/stats', 'DELETE')
    assert.deepEqual({ status, allow }, { status: 405, allow: 'GET' })
    assert.equal((await ask(path, '/v1/reload', 'POST', 'x'.repeat(5000))).status, 413)
  })

  test('no more than a few at a time, and nobody who speaks another language', async t => {
    const { path } = await hubWith(t)
    const garbage = connect(path)
    garbage.write('\u0010\u0000CONNECT\r\n\r\n')
    const [answer] = (await once(garbage, 'data')) as [Buffer]
    assert.match(answer.toString(), /^HTTP\/1\.1 400 /)
    garbage.destroy()
    const idle = Array.from({ length: 40 }, () => connect(path))
    t.after(() => {
      for (const socket of idle) socket.destroy()
    })
    const closed = await Promise.all(
      idle.slice(16).map(async socket => {
        socket.on('error', () => {})
        await once(socket, 'close')
        return true
      }),
    )
    assert.equal(closed.length, 24)
    for (const socket of idle) socket.destroy()
    await Promise.all(idle.map(async socket => socket.closed || once(socket, 'close')))
    assert.equal((await ask(path, '/v1/stats')).status, 200)
  })
})
