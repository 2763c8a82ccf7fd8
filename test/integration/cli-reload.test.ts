import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, readFileSync, realpathSync, renameSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { connectAsync, type MqttClient } from 'mqtt'
import { type Finished, makeWorkdir, openedge, type Program, startOpenedge } from './cli-process.ts'

const FILE = 'etc/openedge/service.yml'
const LISTEN = 'listen: [tcp://127.0.0.1:0]\n'
const ALL = `anonymous: { permissions: [{ action: pub, permit: ['#'] }, { action: sub, permit: ['#'] }] }\n`
const OPEN = LISTEN + ALL
const RESTART_FOR_SOCKET = 'changed in the file, from the next start on: control.socket'
const RULE = `subscriptions: [{ source: { topic: a/+ }, target: { topic: 'b/{1}' } }]\n`

interface Stage {
  readonly dir: string
  readonly hub: Program
  readonly url: string
  write(yaml: string): void
  reload(): Promise<Finished>
}

async function startHub(t: TestContext, yaml: string, ...args: string[]): Promise<Stage> {
  const dir = makeWorkdir(t, { [FILE]: yaml })
  const hub = startOpenedge(t, ['hub', ...args], dir)
  return {
    dir,
    hub,
    url: await hub.url('tcp'),
    // In one step: half a file is another configuration.
    write: next => {
      writeFileSync(join(dir, 'next.yml'), next)
      renameSync(join(dir, 'next.yml'), join(dir, FILE))
    },
    reload: () => openedge(['hub', 'reload'], { cwd: dir }),
  }
}

async function connect(t: TestContext, url: string): Promise<MqttClient> {
  const client = await connectAsync(url, { reconnectPeriod: 0, connectTimeout: 10_000 })
  t.after(() => client.end(true))
  return client
}

async function nextMessage(client: MqttClient, publish: () => Promise<unknown>): Promise<string> {
  const message = new Promise<string>(resolve => {
    client.once('message', (topic, payload) => resolve(`${topic} ${payload.toString()}`))
  })
  await publish()
  return message
}

describe('openedge hub reload', () => {
  test('puts the file in force without dropping a connection', async t => {
    const stage = await startHub(t, OPEN)
    const client = await connect(t, stage.url)
    await client.subscribeAsync('b/#')
    stage.write(OPEN + RULE)
    assert.deepEqual(await stage.reload(), { code: 0, stdout: 'reloaded: subscriptions\n', stderr: '' })
    assert.equal(await nextMessage(client, () => client.publishAsync('a/1', 'hi')), 'b/1 hi')
    assert.deepEqual(await stage.reload(), { code: 0, stdout: 'reloaded: nothing changed\n', stderr: '' })
    assert.equal(client.connected, true)
    const { code, stderr } = await stage.hub.stop()
    assert.equal(code, 0)
    const told = stderr.split('\n').filter(line => line.includes('msg="config.'))
    assert.equal(told.length, 2)
    assert.match(told[0] ?? '', / level=info msg="config\.reloaded" service=hub changed=subscriptions restart=nothing$/)
    assert.match(told[1] ?? '', / changed=nothing restart=nothing$/)
  })

  test('SIGHUP does the same', async t => {
    const stage = await startHub(t, OPEN)
    const client = await connect(t, stage.url)
    await client.subscribeAsync('b/#')
    stage.write(OPEN + RULE)
    stage.hub.child.kill('SIGHUP')
    await stage.hub.until(/msg="config\.reloaded" service=hub changed=subscriptions /, 'stderr')
    assert.equal(await nextMessage(client, () => client.publishAsync('a/2', 'hup')), 'b/2 hup')
    // However many come, the last word is that of the file.
    for (let i = 0; i < 30; i++) {
      stage.write(`${OPEN}limits: { connections: ${100 + i} }\n`)
      stage.hub.child.kill('SIGHUP')
    }
    stage.write(OPEN)
    assert.equal((await stage.reload()).code, 0)
    assert.equal((await stage.reload()).stdout, 'reloaded: nothing changed\n')
    assert.equal(client.connected, true)
    assert.equal((await stage.hub.stop()).code, 0)
  })

  test('a file that can not be used changes nothing, and says why and where', async t => {
    const stage = await startHub(t, OPEN)
    const client = await connect(t, stage.url)
    await client.subscribeAsync('a/#')
    stage.write(
      `${OPEN}limits: { connections: many }\nsubscriptions: [{ source: { topic: 'a/#/b' }, target: { topic: b } }]\n`,
    )
    const { code, stdout, stderr } = await stage.reload()
    assert.deepEqual({ code, stdout }, { code: 1, stdout: '' })
    const lines = stderr.trimEnd().split('\n')
    assert.match(lines[0] ?? '', /^etc\/openedge\/service\.yml:3:24: limits\.connections: must be /)
    assert.match(lines[1] ?? '', /^etc\/openedge\/service\.yml:4:\d+: subscriptions\[0\]\.source\.topic: /)
    assert.deepEqual(lines.slice(2), ['openedge: the hub goes on with the configuration that it has'])
    await stage.hub.until(
      / level=error msg="config\.refused" service=hub problem="etc\/openedge\/service\.yml:4:/,
      'stderr',
    )
    stage.write('listen: [')
    stage.hub.child.kill('SIGHUP')
    await stage.hub.until(/msg="config\.refused" service=hub problem="etc\/openedge\/service\.yml:1:\d+: /, 'stderr')
    stage.write(`${OPEN}certificate: { ca: gone.pem, key: gone.key, cert: gone.pem }\n`)
    assert.match((await stage.reload()).stderr, /^gone\.pem: certificate\.ca: /m)
    assert.equal(await nextMessage(client, () => client.publishAsync('a/1', 'still here')), 'a/1 still here')
    assert.doesNotMatch((await stage.hub.stop()).stderr, /config\.reloaded/)
  })

  test('names what only a restart changes, and warns as a start does', async t => {
    const stage = await startHub(t, OPEN)
    stage.write(`${OPEN}storage: { dir: elsewhere }\nconections: 5\n`)
    const { code, stdout, stderr } = await stage.reload()
    assert.equal(code, 0)
    assert.equal(stdout, 'reloaded: nothing changed\nchanged in the file, from the next start on: storage.dir\n')
    assert.match(stderr, /^warning: etc\/openedge\/service\.yml:4:1: conections: .+\n$/)
    const log = (await stage.hub.stop()).stderr
    assert.match(log, /^etc\/openedge\/service\.yml:4:1: warning: conections: /m)
    assert.match(log, / level=warn msg="config\.restart_needed" service=hub fields=storage\.dir$/m)
    assert.equal(existsSync(join(stage.dir, 'elsewhere')), false)
  })

  test('--memory stays in force', async t => {
    const stage = await startHub(t, OPEN, '--memory')
    stage.write(`${OPEN}storage: { dir: elsewhere }\n`)
    assert.deepEqual(await stage.reload(), { code: 0, stdout: 'reloaded: nothing changed\n', stderr: '' })
    assert.equal(existsSync(join(stage.dir, 'elsewhere')), false)
  })

  test('the level of the log changes', async t => {
    const stage = await startHub(t, `${OPEN}logger: { level: error }\n`)
    stage.write(`${OPEN}logger: { level: info }\n`)
    assert.equal((await stage.reload()).stdout, 'reloaded: logger.level\n')
    await (await connect(t, stage.url)).endAsync()
    await stage.hub.until(/client\.disconnected/, 'stderr')
    const { stderr } = await stage.hub.stop()
    assert.doesNotMatch(stderr, /hub\.started/)
    assert.match(stderr, /config\.reloaded[^]*client\.connected/)
  })

  test('a hub whose start is not over reloads when it is', async t => {
    const dir = makeWorkdir(t, { [FILE]: OPEN })
    const hub = startOpenedge(t, ['hub'], dir)
    await hub.until(/./, 'stderr')
    hub.child.kill('SIGHUP')
    await hub.until(/config\.reloaded/, 'stderr')
    assert.equal((await hub.stop()).code, 0)
  })
})

describe('which hub is asked', () => {
  test('the one with the same configuration, wherever the command is started', async t => {
    const stage = await startHub(t, OPEN)
    for (const args of [
      ['-w', stage.dir],
      ['-c', join(stage.dir, FILE)],
      ['-c', join(realpathSync(stage.dir), FILE)],
    ]) {
      const { code, stdout } = await openedge(['hub', 'reload', ...args], { cwd: tmpdir() })
      assert.deepEqual({ code, stdout }, { code: 0, stdout: 'reloaded: nothing changed\n' }, args.join(' '))
    }
  })

  test('at a socket of its own, also when the file has another by now', async t => {
    const stage = await startHub(t, `${OPEN}control: { socket: run/hub.sock }\n`)
    assert.ok(existsSync(join(stage.dir, 'run/hub.sock')), 'the socket is where the file says')
    assert.equal((await stage.reload()).code, 0)
    const other = await startHub(t, OPEN)
    other.write(`${OPEN}control: { socket: run/hub.sock }\n`)
    const { stdout } = await other.reload()
    assert.match(stdout, /from the next start on: control\.socket$/m)
    assert.equal((await stage.hub.stop()).code, 0)
    assert.equal(existsSync(join(stage.dir, 'run/hub.sock')), false)
  })

  test('at the socket that it has, when the file names a third one by now', async t => {
    const stage = await startHub(t, `${OPEN}control: { socket: run/one.sock }\n`)
    stage.write(`${OPEN}control: { socket: run/two.sock }\n`)
    for (let i = 0; i < 2; i++) {
      const { code, stdout } = await stage.reload()
      assert.deepEqual({ code, stdout: stdout.split('\n')[1] }, { code: 0, stdout: RESTART_FOR_SOCKET })
    }
    await stage.hub.kill()
    assert.equal((await stage.reload()).code, 1, 'what it left behind leads nowhere')
    const next = startOpenedge(t, ['hub'], stage.dir)
    await next.url('tcp')
    stage.write(OPEN)
    assert.equal((await stage.reload()).code, 0)
    assert.equal((await next.stop()).code, 0)
    const last = startOpenedge(t, ['hub'], stage.dir)
    await last.url('tcp')
    assert.deepEqual(await stage.reload(), { code: 0, stdout: 'reloaded: nothing changed\n', stderr: '' })
    assert.doesNotMatch((await last.stop()).stderr, /control\.unavailable/)
  })

  test('one that does not run: what was looked for and what to do', async t => {
    const dir = makeWorkdir(t, { [FILE]: OPEN })
    const { code, stdout, stderr } = await openedge(['hub', 'reload'], { cwd: dir })
    assert.deepEqual({ code, stdout }, { code: 1, stdout: '' })
    assert.match(
      stderr,
      /^openedge: no hub runs with the configuration etc\/openedge\/service\.yml: nobody answers at \//,
    )
    assert.match(stderr, /^Start it: .+ hub -c etc\/openedge\/service\.yml$/m)
    writeFileSync(join(dir, FILE), 'listen: 5\n')
    const broken = await openedge(['hub', 'reload'], { cwd: dir })
    assert.equal(broken.code, 1)
    assert.match(broken.stderr, /^etc\/openedge\/service\.yml:1:9: listen: [^]+^openedge: no hub runs /m)
    writeFileSync(join(dir, FILE), `${OPEN}control: { socket: none }\n`)
    assert.match((await openedge(['hub', 'reload'], { cwd: dir })).stderr, /control\.socket is none in etc/)
    const gone = await openedge(['hub', 'reload', '-w', join(dir, 'gone')], { cwd: dir })
    assert.equal(gone.code, 2)
  })

  test('a second hub with the same configuration goes on without a socket', async t => {
    const stage = await startHub(t, OPEN)
    const second = startOpenedge(t, ['hub', '--memory'], stage.dir)
    await second.url('tcp')
    await second.until(/ level=warn msg="control\.unavailable" .* belongs to a hub that is running"/, 'stderr')
    assert.equal((await second.stop()).code, 0)
    stage.write(OPEN + RULE)
    assert.equal((await stage.reload()).stdout, 'reloaded: subscriptions\n')
  })

  test('a hub that was killed does not keep the next one from its socket', async t => {
    const stage = await startHub(t, OPEN)
    await stage.hub.kill()
    assert.equal((await stage.reload()).code, 1)
    const next = startOpenedge(t, ['hub'], stage.dir)
    await next.url('tcp')
    assert.equal((await stage.reload()).code, 0)
  })
})

describe('openedge hub session', () => {
  test('prints what the hub knows of a client', async t => {
    const { url, dir } = await startHub(t, `${OPEN}limits: { clientid: { charset: any } }\n`)
    const id = 'a/b \u202e c'
    const client = await connectAsync(url, { clientId: id, reconnectPeriod: 0 })
    t.after(() => client.end(true))
    await client.subscribeAsync('x/#', { qos: 1 })
    const { code, stdout, stderr } = await openedge(['hub', 'session', id], { cwd: dir })
    assert.deepEqual({ code, stderr }, { code: 0, stderr: '' })
    assert.doesNotMatch(stdout, /\u202e/)
    const detail = JSON.parse(stdout) as { id: string; subscriptions: unknown }
    assert.equal(detail.id, id)
    assert.deepEqual(detail.subscriptions, [{ filter: 'x/#', qos: 1 }])
    const nobody = await openedge(['hub', 'session', 'nobody'], { cwd: dir })
    assert.equal(nobody.code, 1)
    assert.equal(nobody.stderr, 'openedge: the hub has no session of client "nobody"\n')
  })
})

test('what is no command of the hub is refused', async () => {
  const run = async (...args: string[]): Promise<string> => {
    const { code, stdout, stderr } = await openedge(['hub', ...args])
    assert.deepEqual({ code, stdout }, { code: 2, stdout: '' })
    return stderr.split('\n')[0] ?? ''
  }
  assert.equal(await run('relaod'), 'openedge: hub takes no argument relaod; did you mean reload?')
  assert.equal(
    await run('service.yml'),
    'openedge: hub takes no argument service.yml; a configuration is given with -c',
  )
  assert.equal(await run('reload', 'x'), 'openedge: hub reload takes no argument x')
  assert.equal(await run('session'), 'openedge: hub session needs CLIENTID')
  assert.equal(await run('reload', '--memory'), 'openedge: --memory is for openedge hub without a further word only')
  assert.equal(await run('--once'), 'openedge: --once is for hub top only')
  assert.match(await run('top', '--interval', '1'), /^openedge: --interval takes a time from 100ms to 1h, .+, not 1$/)
})

function hasScript(): false | string {
  const isThere = spawnSync('script', ['--version']).error === undefined
  return isThere || process.env['CI'] === 'true' ? false : 'script(1) is not installed'
}

test('a hub whose terminal is closed stops instead of running on unseen', { skip: hasScript() }, async t => {
  const dir = makeWorkdir(t, { [FILE]: `${OPEN}logger: { path: hub.log }\n` })
  const main = join(import.meta.dirname, '../../dist/cli/main.js')
  const command = `exec "${process.execPath}" "${main}" hub`
  const terminal = spawn('script', ['-qc', command, '/dev/null'], { cwd: dir, stdio: ['pipe', 'pipe', 'inherit'] })
  const logged = (): string => (existsSync(join(dir, 'hub.log')) ? readFileSync(join(dir, 'hub.log'), 'utf8') : '')
  const until = async (pattern: RegExp): Promise<RegExpExecArray> => {
    const deadline = Date.now() + 20_000
    for (;;) {
      const found = pattern.exec(logged())
      if (found !== null) return found
      assert.ok(Date.now() < deadline, `no ${pattern} in the log:\n${logged()}`)
      await new Promise(resolve => setTimeout(resolve, 20))
    }
  }
  t.after(() => terminal.kill('SIGKILL'))
  const [, pid] = await until(/hub\.started.* pid=(\d+) /)
  process.kill(Number(pid), 'SIGHUP')
  await until(/config\.reloaded/)
  terminal.kill('SIGKILL')
  await until(/hub\.stopping.* signal=SIGHUP /)
  await until(/hub\.stopped.* graceful=true/)
})
