/** What goes wrong with one remote: a clear line that names the rule, and no harm to the others. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite, test } from 'node:test'
import { freePorts } from '../support/bridge-broker.ts'
import { tlsOf } from '../support/bridge-certs.ts'
import { BridgeClient } from '../support/bridge-client.ts'
import type { FakeOptions } from '../support/bridge-fake.ts'
import { type BridgeLines, type RuleLines, Stage, type TestBridge } from '../support/bridge-stage.ts'
import type { Cleanup } from '../support/raw-client.ts'

/** After so many attempts that fail alike there is one line in the log, and a second at most. */
const ATTEMPTS = 5
const MOST_LINES = 2

type Remote = Readonly<Record<string, unknown>>

interface Scene {
  stage: Stage
  bridge: TestBridge
  /** Sends a message through the good rule, and waits for it. */
  forward: () => Promise<void>
}

const rule = (name: string): RuleLines => ({
  name,
  hub: { clientid: `${name}-hub`, subscriptions: [{ topic: `${name}/up`, qos: 1 }] },
  remote: { name, clientid: `${name}-remote`, subscriptions: [{ topic: `${name}/down`, qos: 1 }] },
})

/** A bridge with a rule `good`, that works, and a rule `bad` to this remote. */
async function scene(stage: Stage, bad: Remote, directory?: string): Promise<Scene> {
  const [hub, remote] = [await stage.hub(), await stage.mosquitto()]
  const lines: BridgeLines = {
    hub: { address: hub.address },
    remotes: [
      { name: 'good', address: remote.address },
      { name: 'bad', interval: '50ms', ...bad },
    ],
    rules: [rule('good'), rule('bad')],
  }
  const bridge = await stage.bridge(lines, directory)
  await bridge.connected('good')
  const [local, far] = [await hub.client(), await remote.client({}, ['good/up', 1])]
  let last = 0
  const forward = async (): Promise<void> => {
    const payload = `${++last}`
    await local.publish({ topic: 'good/up', payload, qos: 1 })
    await far.untilPayload(payload)
  }
  return { stage, bridge, forward }
}

/** The link of the bad rule fails some times in this way while the good one works; the log says it once. */
async function assertFails({ bridge, forward }: Scene, code: string, ...words: string[]): Promise<void> {
  const attempts = new Set<number>()
  await bridge.until(
    () => {
      const { lastErrorAt } = bridge.link('remote', 'bad')
      if (lastErrorAt !== 0) attempts.add(lastErrorAt)
      return attempts.size >= ATTEMPTS
    },
    `${ATTEMPTS} attempts`,
    30_000,
  )
  await forward()
  assert.equal(bridge.link('remote', 'bad').lastErrorCode, code, bridge.link('remote', 'bad').lastError)
  for (const word of words)
    assert.ok(bridge.link('remote', 'bad').lastError.includes(word), bridge.link('remote', 'bad').lastError)
  const lines = bridge.log.find(['warn', 'error'], code)
  assert.ok(lines.length >= 1 && lines.length <= MOST_LINES, `${lines.length} lines\n${bridge.log.toString()}`)
  for (const { text } of lines) assert.match(text, /\bbad\b/, 'the line names the rule')
  assert.deepEqual(bridge.log.find(['warn', 'error'], "'good'"), [], 'there is nothing to say of the other rule')
  assert.equal(bridge.link('remote', 'good').connects, 1, 'the other rule stays connected')
  assert.equal(bridge.link('hub', 'bad').connects, 1, 'and so does the link to the hub')
}

async function failing(t: Cleanup, options: FakeOptions, more: Remote = {}): Promise<Scene> {
  const stage = new Stage(t)
  const fake = await stage.fake(options)
  return scene(stage, { address: fake.address, ...more })
}

suite('TLS', () => {
  test('with a client certificate', async t => {
    const stage = new Stage(t)
    const certificates = await stage.certificates()
    const fake = await stage.fake({ tls: tlsOf(certificates.server, certificates.ca), acknowledges: true })
    const { bridge } = await scene(stage, { address: fake.address, ca: certificates.ca, ...certificates.client })
    await bridge.connected('bad')
    assert.equal((await fake.ready()).connect.clientId, 'bad-remote')
  })

  test('the name and the protocol are told that the broker is to be asked for', async t => {
    const stage = new Stage(t)
    const certificates = await stage.certificates()
    const told: unknown[] = []
    const tls = {
      ...tlsOf(certificates.server),
      ALPNProtocols: ['x-amzn-mqtt-ca'],
      SNICallback: (name: string, done: (error: null) => void) => {
        told.push(name)
        done(null)
      },
    }
    const fake = await stage.fake({ tls })
    const names = { servername: 'localhost', alpn: ['x-amzn-mqtt-ca'] }
    const { bridge } = await scene(stage, { address: fake.address, ca: certificates.ca, ...names })
    await bridge.connected('bad')
    assert.deepEqual([told[0], (await fake.ready()).alpn], ['localhost', 'x-amzn-mqtt-ca'])
  })

  const cases: [what: string, options: (c: Certificates) => { server: FakeOptions; side: Remote }][] = [
    ['an authority that is not ours', c => ({ server: { tls: tlsOf(c.server) }, side: { ca: c.otherCa } })],
    ['a server certificate that is past', c => ({ server: { tls: tlsOf(c.expiredServer) }, side: { ca: c.ca } })],
    [
      'a client certificate that is past',
      c => ({ server: { tls: tlsOf(c.server, c.ca) }, side: { ca: c.ca, ...c.expiredClient } }),
    ],
    ['no client certificate', c => ({ server: { tls: tlsOf(c.server, c.ca) }, side: { ca: c.ca } })],
    [
      'a server certificate for another name',
      c => ({ server: { tls: tlsOf(c.server) }, side: { ca: c.ca, servername: 'cloud.example' } }),
    ],
  ]
  for (const [what, options] of cases) {
    test(`${what}: ERR_BRIDGE_TLS`, async t => {
      const stage = new Stage(t)
      const { server, side } = options(await stage.certificates())
      const fake = await stage.fake(server)
      await assertFails(await scene(stage, { address: fake.address, ...side }), 'ERR_BRIDGE_TLS')
    })
  }

  for (const [what, isPast] of [
    ['takes ours', false],
    ['refuses ours that is past', true],
  ] as const) {
    test(`mosquitto, which asks for a certificate, ${what}`, async t => {
      const stage = new Stage(t)
      const { ca, server, client, expiredClient } = await stage.certificates()
      const lines = ['allow_anonymous true', `cafile ${ca}`, `certfile ${server.cert}`, `keyfile ${server.key}`]
      const { port } = await stage.mosquitto({ lines: [...lines, 'require_certificate true'] })
      const own = isPast ? expiredClient : client
      const all = await scene(stage, { address: `ssl://127.0.0.1:${port}`, ca, ...own })
      if (isPast) await assertFails(all, 'ERR_BRIDGE_TLS', 'expired')
      else await all.bridge.connected('bad')
    })
  }

  test('a broker that does not speak TLS: ERR_BRIDGE_TLS', async t => {
    const stage = new Stage(t)
    const { port } = await stage.mosquitto()
    await assertFails(await scene(stage, { address: `ssl://127.0.0.1:${port}` }), 'ERR_BRIDGE_TLS')
  })
})

type Certificates = Awaited<ReturnType<Stage['certificates']>>

suite('CONNECT is refused', () => {
  test('a wrong password, by a hub', async t => {
    const stage = new Stage(t)
    const access = `principals: [{ username: u, password: right, permissions: [{ action: sub, permit: ['#'] }] }]`
    const remote = await stage.hub({ access })
    const all = await scene(stage, { address: remote.address, username: 'u', password: 'wrong' })
    await assertFails(all, 'ERR_BRIDGE_AUTH')
    assert.ok(!all.bridge.log.toString().includes('wrong'), 'the password is in no line')
  })

  test('nobody is let in by mosquitto without a password', async t => {
    const stage = new Stage(t)
    const remote = await stage.mosquitto({ lines: ['allow_anonymous false'] })
    await assertFails(await scene(stage, { address: remote.address }), 'ERR_BRIDGE_AUTH')
  })

  const codes: [code: number, wanted: string][] = [
    [1, 'ERR_BRIDGE_PROTOCOL_LEVEL'],
    [2, 'ERR_BRIDGE_CLIENT_ID'],
    [3, 'ERR_BRIDGE_UNAVAILABLE'],
    [4, 'ERR_BRIDGE_AUTH'],
    [5, 'ERR_BRIDGE_AUTH'],
  ]
  for (const [code, wanted] of codes) {
    test(`CONNACK ${code}: ${wanted}`, async t => {
      await assertFails(await failing(t, { connack: () => code }), wanted)
    })
  }

  test('a password file is read at each attempt: the right one lets it in', async t => {
    const stage = new Stage(t)
    const dir = mkdtempSync(join(tmpdir(), 'openedge-bridge-password-'))
    stage.after(() => rmSync(dir, { recursive: true, force: true }))
    const fake = await stage.fake({ connack: ({ password }) => (password === 'second' ? 0 : 5) })
    const all = await scene(stage, { address: fake.address, username: 'u', passwordfile: 'token' }, dir)
    await assertFails(all, 'ERR_BRIDGE_CREDENTIALS_FILE', 'token')
    writeFileSync(join(dir, 'token'), 'first\n')
    await all.bridge.until(() => all.bridge.link('remote', 'bad').lastErrorCode === 'ERR_BRIDGE_AUTH', 'refused')
    writeFileSync(join(dir, 'token'), 'second\nand more\n')
    await all.bridge.connected('bad')
    assert.ok(!all.bridge.log.toString().includes('second'), 'the password is in no line')
  })
})

suite('SUBSCRIBE is refused', () => {
  test('validatesubs: ERR_BRIDGE_SUBSCRIBE, and another attempt', async t => {
    const all = await failing(t, { suback: () => 0x80 }, { validatesubs: true })
    await assertFails(all, 'ERR_BRIDGE_SUBSCRIBE', 'bad/down')
  })

  test('otherwise it is said at each connection, and used for the rest', async t => {
    const stage = new Stage(t)
    const fake = await stage.fake({ suback: () => 0x80 })
    const { bridge, forward } = await scene(stage, { address: fake.address })
    await bridge.connected('bad')
    await forward()
    const lines = bridge.log.find(['warn', 'error'], 'ERR_BRIDGE_SUBSCRIBE', 'bad/down')
    assert.equal(lines.length, 1, bridge.log.toString())
    assert.deepEqual(bridge.link('remote', 'bad').refused, ['bad/down'])
  })

  test('by mosquitto, which tells nobody: nothing is lost of the other direction', async t => {
    const stage = new Stage(t)
    const dir = mkdtempSync(join(tmpdir(), 'openedge-bridge-acl-'))
    stage.after(() => rmSync(dir, { recursive: true, force: true }))
    const file = join(dir, 'acl')
    writeFileSync(file, 'topic readwrite bad/up\n')
    const remote = await stage.mosquitto({ lines: ['allow_anonymous true', `acl_file ${file}`] })
    const { bridge } = await scene(stage, { address: remote.address })
    await bridge.connected('bad')
    assert.equal(bridge.link('remote', 'bad').phase, 'connected')
  })
})

suite('no connection', () => {
  test('nothing listens: ERR_BRIDGE_REFUSED', async t => {
    const [port] = await freePorts(1)
    await assertFails(
      await scene(new Stage(t), { address: `tcp://127.0.0.1:${port}` }),
      'ERR_BRIDGE_REFUSED',
      `${port}`,
    )
  })

  test('a name that is not known: ERR_BRIDGE_DNS', async t => {
    const all = await scene(new Stage(t), { address: 'tcp://nowhere.invalid:1884' })
    await assertFails(all, 'ERR_BRIDGE_DNS', 'nowhere.invalid')
  })

  test('a server that says nothing: ERR_BRIDGE_TIMEOUT', async t => {
    const all = await failing(t, { connack: () => null }, { timeout: '100ms' })
    await assertFails(all, 'ERR_BRIDGE_TIMEOUT')
  })

  test('a TLS server that says nothing: ERR_BRIDGE_TIMEOUT', async t => {
    const stage = new Stage(t)
    const server = net.createServer(socket => {
      stage.after(() => void socket.destroy())
      socket.on('error', () => {})
      socket.resume()
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    stage.after(() => void server.close())
    const { port } = server.address() as net.AddressInfo
    const all = await scene(stage, { address: `ssl://127.0.0.1:${port}`, timeout: '100ms' })
    await assertFails(all, 'ERR_BRIDGE_TIMEOUT')
  })

  test('a server that closes without a word: ERR_BRIDGE_CLOSED', async t => {
    await assertFails(await failing(t, { connack: () => 'close' }), 'ERR_BRIDGE_CLOSED')
  })

  test('a web server: ERR_BRIDGE_PROTOCOL', async t => {
    const all = await failing(t, { connack: () => Buffer.from('HTTP/1.1 400 Bad Request\r\n'.padEnd(500, 'x')) })
    await assertFails(all, 'ERR_BRIDGE_PROTOCOL')
  })
})

suite('another client has the same client identifier', () => {
  for (const kind of ['mosquitto', 'hub'] as const) {
    test(`on ${kind}: both take it from each other; it is said what it may be, once each time`, async t => {
      const stage = new Stage(t)
      const remote = kind === 'hub' ? await stage.hub() : await stage.mosquitto()
      const { bridge, forward } = await scene(stage, { address: remote.address })
      const link = (): TestBridge['link'] extends (...args: never) => infer L ? L : never =>
        bridge.link('remote', 'bad')
      for (let i = 1; i <= 8; i++) {
        await bridge.until(() => link().phase === 'connected' && link().connects >= i, `connected ${i} times`, 20_000)
        const rival = await BridgeClient.connect(remote.port, { clientId: 'bad-remote', cleanSession: false })
        stage.after(() => rival.destroy())
        await bridge.until(() => link().connects > i || link().phase !== 'connected', 'it is pushed out')
      }
      await forward()
      assert.equal(link().lastErrorCode, 'ERR_BRIDGE_CLOSED')
      assert.match(link().lastError, /bad-remote/, 'the identifier is named')
      const lines = bridge.log.find(['warn', 'error'], 'ERR_BRIDGE_CLOSED')
      assert.ok(lines.length >= 1 && lines.length <= 8, `${lines.length} lines\n${bridge.log.toString()}`)
      assert.equal(bridge.link('remote', 'good').connects, 1)
    })
  }
})

suite('a dead remote', () => {
  test('delays nobody else', async t => {
    const median = async (stage: Stage, bad: Remote): Promise<number> => {
      const { forward } = await scene(stage, bad)
      for (let i = 0; i < 50; i++) await forward()
      const times: number[] = []
      for (let i = 0; i < 200; i++) {
        const began = performance.now()
        await forward()
        times.push(performance.now() - began)
      }
      return times.sort((a, b) => a - b)[100] as number
    }
    const alive = new Stage(t)
    const without = await median(alive, { address: (await alive.mosquitto()).address })
    const dead = new Stage(t)
    const [port] = await freePorts(1)
    const withIt = await median(dead, { address: `tcp://127.0.0.1:${port}`, interval: '20ms' })
    assert.ok(withIt < 3 * without + 5, `${withIt} ms with a dead remote, ${without} ms without`)
  })
})
