import assert from 'node:assert/strict'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync, truncateSync } from 'node:fs'
import { createConnection, createServer } from 'node:net'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { gunzipSync } from 'node:zlib'
import { connectAsync, type IClientOptions, type MqttClient } from 'mqtt'
import { makeWorkdir, openedge, type Program, startOpenedge } from './cli-process.ts'

const OPEN = `
listen: [tcp://127.0.0.1:0]
anonymous:
  permissions:
    - { action: pub, permit: ['#'] }
    - { action: sub, permit: ['#'] }
`

function startHub(t: TestContext, yaml: string): { hub: Program; dir: string } {
  const dir = makeWorkdir(t, { 'etc/openedge/service.yml': yaml })
  return { hub: startOpenedge(t, ['hub'], dir), dir }
}

async function connect(t: TestContext, url: string, options: IClientOptions = {}): Promise<MqttClient> {
  const client = await connectAsync(url, { reconnectPeriod: 0, connectTimeout: 10_000, ...options })
  t.after(() => client.end(true))
  return client
}

/** Sends a message to itself. */
async function echo(client: MqttClient, topic: string, payload: string): Promise<string> {
  const message = new Promise<string>(resolve => {
    client.once('message', (_topic, bytes) => resolve(bytes.toString()))
  })
  const [grant] = await client.subscribeAsync(topic, { qos: 1 })
  assert.equal(grant?.qos, 1)
  await client.publishAsync(topic, payload, { qos: 1 })
  return message
}

describe('a hub with a configuration', () => {
  test('prints its addresses, serves, and ends with SIGTERM and SIGINT', async t => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      const { hub } = startHub(t, OPEN)
      const url = await hub.url('tcp')
      assert.match(hub.stdout, /^OpenEdge \S+ hub, configured by etc\/openedge\/service\.yml, listens on$/m)
      const client = await connect(t, url)
      assert.equal(await echo(client, 'a/b', 'hello'), 'hello')
      const { code, stderr } = await hub.stop(signal)
      assert.equal(code, 0)
      assert.match(stderr, / level=info msg="client\.connected" service=hub clientId=/)
      assert.match(stderr, new RegExp(` level=info msg="hub\\.stopping" service=hub signal=${signal} `))
      assert.match(stderr, / msg="hub\.stopped" service=hub graceful=true\n$/)
    }
  })

  test('-w is what its paths are relative to', async t => {
    const dir = makeWorkdir(t, { 'edge/my.yml': `${OPEN}logger: { path: var/log/hub.log }\n` })
    const hub = startOpenedge(t, ['hub', '-w', 'edge', '-c', 'my.yml'], dir)
    await hub.url('tcp')
    assert.match(hub.stdout, /configured by edge\/my\.yml/)
    assert.deepEqual(await hub.stop(), { code: 0, stdout: hub.stdout, stderr: '' })
    assert.match(readFileSync(join(dir, 'edge/var/log/hub.log'), 'utf8'), /msg="hub\.started"/)
  })

  test('a second signal ends it at once, though a client does not take what is meant for it', async t => {
    const { hub } = startHub(t, `${OPEN}logger: { format: json }\n`)
    const url = await hub.url('tcp')
    const socket = createConnection(Number(new URL(url).port), '127.0.0.1')
    t.after(() => socket.destroy())
    socket.on('error', () => {})
    await once(socket, 'connect')
    socket.write(Buffer.from('100d00044d5154540402003c000161', 'hex')) // CONNECT as "a"
    await once(socket, 'data')
    socket.write(Buffer.from('82060001000123' + '00', 'hex')) // SUBSCRIBE to #
    await once(socket, 'data')
    socket.pause()
    const publisher = await connect(t, url)
    const payload = Buffer.alloc(30_000)
    for (let i = 0; i < 1000; i++) await publisher.publishAsync('flood', payload, { qos: 1 })
    hub.child.kill('SIGTERM')
    await hub.until(/"msg":"hub\.stopping"/, 'stderr')
    const { code, stderr } = await hub.stop('SIGTERM')
    assert.equal(code, 1)
    assert.match(stderr, /"graceful":false,"msg":"hub\.stopped"\}\n$/)
  })

  test('warns of keys it does not know, and forwards by its rules', async t => {
    const { hub } = startHub(
      t,
      `${OPEN}conections: 5\nsubscriptions:\n  - { source: { topic: a/+ }, target: { topic: 'b/{1}' } }\n`,
    )
    const client = await connect(t, await hub.url('tcp'))
    await client.subscribeAsync('b/+')
    const forwarded = new Promise<string>(resolve => {
      client.once('message', (topic, payload) => resolve(`${topic} ${payload.toString()}`))
    })
    await client.publishAsync('a/1', 'hi')
    assert.equal(await forwarded, 'b/1 hi')
    await client.endAsync()
    assert.equal((await hub.stop()).code, 0)
    const [first, second] = hub.stderr.split('\n')
    assert.match(first ?? '', /^etc\/openedge\/service\.yml:7:1: warning: conections: /)
    assert.match(second ?? '', / level=info /)
  })

  test('an error that nobody caught ends it with a fatal line, also in the file', async t => {
    const raise = {
      uncaughtException: "setImmediate(()=>{throw/**/new/**/Error('boom')})",
      unhandledRejection: "void/**/Promise.reject(Error('boom'))",
    }
    for (const [origin, code] of Object.entries(raise)) {
      const module = `data:text/javascript,process.on('SIGUSR2',()=>{${code}})`
      const dir = makeWorkdir(t, { 'service.yml': `${OPEN}logger: { path: hub.log, format: json }\n` })
      const hub = startOpenedge(t, ['hub', '-c', 'service.yml'], dir, { NODE_OPTIONS: `--import=${module}` })
      await hub.url('tcp')
      const finished = await hub.stop('SIGUSR2')
      assert.equal(finished.code, 1)
      assert.equal(finished.stderr, 'openedge: ended by an unforeseen error: boom\n')
      const last = readFileSync(join(dir, 'hub.log'), 'utf8').trimEnd().split('\n').at(-1) ?? ''
      const { level, msg, error, stack, origin: logged } = JSON.parse(last)
      assert.deepEqual(
        { level, msg, error, logged },
        { level: 'fatal', msg: 'process.crashed', error: 'boom', logged: origin },
      )
      assert.match(stack, /data:text/)
    }
  })

  test('a port in use is named, and nothing is left running', async t => {
    const other = createServer().listen(0, '127.0.0.1')
    t.after(() => other.close())
    await new Promise(resolve => other.once('listening', resolve))
    const address = other.address()
    assert.ok(typeof address === 'object' && address !== null)
    const url = `tcp://127.0.0.1:${address.port}`
    const dir = makeWorkdir(t, { 'service.yml': `listen: [tcp://127.0.0.1:0, ${url}]\n` })
    const { code, stdout, stderr } = await openedge(['hub', '-c', 'service.yml'], { cwd: dir })
    assert.equal(code, 2)
    assert.equal(stdout, '')
    assert.match(stderr, new RegExp(`^openedge: can't listen on ${url}: something listens there already`, 'm'))
    const endpoint = `http://127.0.0.1:${address.port}`
    const figures = makeWorkdir(t, { 'service.yml': `listen: []\nmetrics: { listen: '${endpoint}' }\n` })
    const served = await openedge(['hub', '-c', 'service.yml'], { cwd: figures })
    assert.equal(served.code, 2)
    assert.match(served.stderr, /^openedge: can't serve figures on http.+ \(metrics\.listen\)$/m)
  })
})

describe('a hub without a configuration', () => {
  test('is open on loopback, keeps nothing, and says so', async t => {
    const problem = await portProblem()
    if (problem !== null) return t.skip(problem)
    const dir = makeWorkdir(t)
    const hub = startOpenedge(t, ['hub'], dir)
    assert.equal(await hub.url('tcp'), 'tcp://127.0.0.1:1883')
    assert.equal(await hub.url('ws'), 'ws://127.0.0.1:8083')
    assert.match(hub.stdout, /^Open: every program on this machine may publish and subscribe to every topic\./m)
    for (const line of [
      /^In memory: nothing survives a stop, .+\n {2}.+ hub -w DIR /m,
      /^ {2}mosquitto_sub -h 127\.0\.0\.1 -p 1883 /m,
      /^ {2}node -e "/m,
      /^ {2}mosquitto_sub .* -t '\$SYS\/#' -v$/m,
      / hub top /,
      / passwd alice /,
      / certs /,
    ]) {
      assert.match(hub.stdout, line)
    }
    const subscriber = await connect(t, 'ws://127.0.0.1:8083')
    assert.equal(await echo(subscriber, 'test/hello', 'hi'), 'hi')
    const [system] = await subscriber.subscribeAsync('$SYS/#', { qos: 0 })
    assert.equal(system?.qos, 0, 'it tells everybody of itself')
    assert.equal((await hub.stop('SIGINT')).code, 0)
    assert.deepEqual(readdirSync(dir), [])
  })

  test('is as open with a work directory, and keeps what it has there', async t => {
    const problem = await portProblem()
    if (problem !== null) return t.skip(problem)
    const dir = makeWorkdir(t, { 'edge/notes.txt': '' })
    const hub = startOpenedge(t, ['hub', '-w', 'edge'], dir)
    assert.equal(await hub.url('tcp'), 'tcp://127.0.0.1:1883')
    assert.match(hub.stdout, /^Open: .+\nStored in edge\/var\/db\/openedge\/data \(sync: always\): /m)
    assert.equal((await hub.stop()).code, 0)
    assert.ok(existsSync(join(dir, 'edge/var/db/openedge/data')), 'the store is below the work directory')
  })
})

async function portProblem(): Promise<string | null> {
  if (((await isFree(1883)) && (await isFree(8083))) || process.env['CI'] === 'true') return null
  return 'ports 1883 and 8083 are not free'
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer()
  return new Promise(resolve => {
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}

describe('credentials', () => {
  test('what passwd prints lets its user in, and nobody else', async t => {
    const { stdout } = await openedge(['passwd', 'alice'], { input: 'sesame\n' })
    const { hub } = startHub(t, `listen: [tcp://127.0.0.1:0]\nprincipals:\n${stdout}`)
    const url = await hub.url('tcp')
    await assert.rejects(connect(t, url), /Connection refused/)
    await assert.rejects(connect(t, url, { username: 'alice', password: 'wrong-one' }), /Connection refused/)
    const client = await connect(t, url, { username: 'alice', password: 'sesame' })
    assert.equal(await echo(client, 'alice/x', 'in'), 'in')
    const { stderr } = await hub.stop()
    assert.doesNotMatch(stderr, /sesame|wrong-one|scrypt/)
  })

  test('what certs makes lets a client in over TLS and secure WebSockets', async t => {
    const yaml = `
listen: [ssl://127.0.0.1:0, wss://127.0.0.1:0]
certificate: { ca: tls/ca.pem, cert: tls/server.pem, key: tls/server.key, identity: cn }
principals:
  - username: sensor1
    permissions:
      - { action: pub, permit: ['sensor1/#'] }
      - { action: sub, permit: ['sensor1/#'] }
`
    const dir = makeWorkdir(t, { 'etc/openedge/service.yml': yaml })
    const made = await openedge(['certs', '--dir', 'tls', '--server', 'localhost,127.0.0.1', '--client', 'sensor1'], {
      cwd: dir,
    })
    assert.equal(made.code, 0)
    const checked = await openedge(['check', '-w', '.', 'etc/openedge/service.yml'], { cwd: dir })
    assert.deepEqual(checked, { code: 0, stdout: 'etc/openedge/service.yml: ok\n', stderr: '' })
    const hub = startOpenedge(t, ['hub'], dir)
    const file = (name: string): Buffer => readFileSync(join(dir, 'tls', name))
    const own = { ca: file('ca.pem'), cert: file('sensor1.pem'), key: file('sensor1.key') }
    for (const url of [await hub.url('ssl|tls'), await hub.url('wss')]) {
      const client = await connect(t, url.replace(/^ssl:/, 'mqtts:').replace(/^tls:/, 'mqtts:'), own)
      assert.equal(await echo(client, 'sensor1/x', 'in'), 'in')
      await client.endAsync()
    }
    await assert.rejects(connect(t, await hub.url('wss'), { ca: own.ca }), /Connection refused/)
    assert.equal((await hub.stop()).code, 0)
  })
})

describe('the log', () => {
  test('is JSON when asked for, and a hostile client identifier stays on its line', async t => {
    const { hub } = startHub(
      t,
      `${OPEN}limits: { clientid: { charset: any } }\nlogger: { format: json, path: hub.log, level: debug }\n`,
    )
    const clientId = 'a\nlevel=error "\u2028\u0007'
    await (await connect(t, await hub.url('tcp'), { clientId })).endAsync()
    await hub.until(/client\.disconnected/, 'stderr')
    await hub.stop()
    for (const line of hub.stderr.trimEnd().split('\n')) assert.equal(JSON.parse(line).service, 'hub')
    const connected = hub.stderr.split('\n').find(line => line.includes('client.connected'))
    assert.equal(JSON.parse(connected ?? '').clientId, clientId)
  })

  test('goes to a file only, which is rotated and compressed; old backups go', async t => {
    const dir = makeWorkdir(t, {
      'service.yml': `${OPEN}logger: { path: log/hub.log, size: { max: 1 }, backup: { max: 2 } }\n`,
    })
    const log = join(dir, 'log')
    for (let i = 0; i < 4; i++) {
      if (i > 0) truncateSync(join(log, 'hub.log'), 1024 * 1024)
      const hub = startOpenedge(t, ['hub', '-c', 'service.yml'], dir)
      await hub.url('tcp')
      const { code, stderr } = await hub.stop()
      assert.deepEqual({ code, stderr }, { code: 0, stderr: '' })
      const text = readFileSync(join(log, 'hub.log'), 'utf8')
      assert.match(text, /^time="[^"]+" level=info msg="store\.loaded" /)
      assert.match(text, /msg="hub\.stopped" service=hub graceful=true\n$/)
    }
    const backups = readdirSync(log).filter(name => name !== 'hub.log')
    assert.equal(backups.length, 2)
    for (const name of backups) {
      assert.match(name, /^hub-\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d\.\d{3}\.log\.gz$/)
      assert.equal(gunzipSync(readFileSync(join(log, name))).length, 1024 * 1024)
    }
  })

  test('that can not be written is reported once and does not end the hub', async t => {
    const yaml = `${OPEN}logger: { path: blocked/hub.log }\n`
    // What should be the folder of the log is a file.
    const dir = makeWorkdir(t, { 'etc/openedge/service.yml': yaml, blocked: '' })
    const hub = startOpenedge(t, ['hub'], dir)
    const client = await connect(t, await hub.url('tcp'))
    assert.equal(await echo(client, 'a', 'still here'), 'still here')
    const { code, stderr } = await hub.stop()
    assert.equal(code, 0)
    assert.match(stderr, /^openedge: can't write the log file .*blocked\/hub\.log: .+\n$/)
  })
})
