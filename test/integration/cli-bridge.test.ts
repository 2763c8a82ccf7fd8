import assert from 'node:assert/strict'
import { createServer, type Socket } from 'node:net'
import { describe, type TestContext, test } from 'node:test'
import { DOWN, FILE, nextMessage, OPEN, sides, startBridge, startBroker, UP, untilStatus } from './cli-bridge-stage.ts'
import { type Finished, makeWorkdir, openedge, startOpenedge } from './cli-process.ts'

/** Nobody is there. */
const NOWHERE = sides('tcp://127.0.0.1:1', 'tcp://127.0.0.1:2')
const CONNECTED = /, connected (\d+)\n/

/** A server on a free port of loopback, closed when the test is over. */
async function listenOn(t: TestContext, accept: (socket: Socket) => void): Promise<number> {
  const server = createServer(accept).listen(0, '127.0.0.1')
  t.after(() => server.close())
  await new Promise(resolve => server.once('listening', resolve))
  const address = server.address()
  assert.ok(typeof address === 'object' && address !== null, 'it listens')
  return address.port
}

describe('openedge bridge', () => {
  test('prints its rules, forwards both ways, and ends with SIGTERM and SIGINT', async t => {
    const hub = await startBroker(t)
    const remote = await startBroker(t)
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      const stage = await startBridge(t, `${sides(hub.url, remote.url)}rules: [${UP}, ${DOWN}]\n`)
      const { bridge } = stage
      await bridge.until(/^ {4}in .+\n/m)
      assert.deepEqual(bridge.stdout.trimEnd().split('\n').slice(1), [
        `  up: hub ${hub.url} -> cloud ${remote.url}`,
        '    out up/# (QoS 1)',
        `  down: hub ${hub.url} -> cloud ${remote.url}`,
        '    in  down/# -> from/{topic} (QoS 1)',
      ])
      await untilStatus(stage, /, connected 2\n/)
      await remote.client.subscribeAsync('up/#', { qos: 1 })
      const up = nextMessage(remote.client)
      await hub.client.publishAsync('up/1', 'hi', { qos: 1 })
      assert.equal(await up, 'up/1 hi')
      await hub.client.subscribeAsync('from/#', { qos: 1 })
      const down = nextMessage(hub.client)
      await remote.client.publishAsync('down/1', 'ho', { qos: 1 })
      assert.equal(await down, 'from/down/1 ho')
      const { code, stderr } = await bridge.stop(signal)
      assert.equal(code, 0)
      assert.match(stderr, / level=info msg="bridge\.started" service=bridge .* rules=2 remotes=1$/m)
      assert.match(stderr, new RegExp(` level=info msg="bridge\\.stopping" service=bridge signal=${signal} `))
      assert.match(stderr, / msg="bridge\.stopped" service=bridge graceful=true\n$/)
    }
  })

  test('starts though nobody can be reached, and says who', async t => {
    const stage = await startBridge(t, `${NOWHERE}rules: [${UP}]\n`)
    const status = await untilStatus(stage, /last error/)
    assert.match(status, /^OpenEdge \S+ bridge .* rules 1, connected 0\n/)
    assert.match(
      status,
      /^RULE +REMOTE +HUB LINK +REMOTE LINK +SINCE +OUT +IN +IN FLIGHT +WAITING +LAG +DROPPED +DUPLICATES$/m,
    )
    assert.match(
      status,
      /^up +cloud +(?:connecting|waiting) +(?:connecting|waiting) +00:00:\d\d +0 +- +0 +0 +- +0 +0$/m,
    )
    assert.match(status, /^ {2}last error, .+ ago: rule up: /m)
    assert.equal((await stage.bridge.stop()).code, 0)
  })

  test('reads etc/openedge/service.yml of the work directory, what it names is relative to that', async t => {
    const yaml = `${NOWHERE}rules: [${UP}]\nlogger: { path: var/log/bridge.log }\ncontrol: { socket: run/bridge.sock }\n`
    const dir = makeWorkdir(t, { 'edge/etc/openedge/service.yml': yaml })
    const bridge = startOpenedge(t, ['bridge', '-w', 'edge'], dir)
    await bridge.until(/bridge, configured by edge\/etc\/openedge\/service\.yml, forwards\n/)
    const { code, stdout } = await openedge(['bridge', 'status', '-w', 'edge', '--json'], { cwd: dir })
    assert.equal(code, 0)
    const answer = JSON.parse(stdout) as { pid: number; rules: { name: string }[] }
    assert.equal(answer.pid, bridge.child.pid)
    assert.deepEqual(
      answer.rules.map(({ name }) => name),
      ['up'],
    )
    assert.deepEqual(await bridge.stop(), { code: 0, stdout: bridge.stdout, stderr: '' })
  })

  test('a certificate that is not there is warned of, and others go on', async t => {
    const hub = await startBroker(t)
    const remote = await startBroker(t)
    const other = `{ name: tls, address: 'ssl://127.0.0.1:1', ca: gone.pem }`
    const yaml = sides(hub.url, remote.url).replace(/\]\n$/, `, ${other}]\n`)
    const rule = UP.replace('name: cloud', 'name: tls').replaceAll('up', 'safe')
    const stage = await startBridge(t, `${yaml}rules: [${UP}, ${rule}]\n`)
    assert.match(await untilStatus(stage, CONNECTED), /, connected [01]\n/)
    await untilStatus(stage, /, connected 1\n[^]*last error, .* rule safe: .*gone\.pem/)
    assert.match((await stage.bridge.stop()).stderr, /^gone\.pem: warning: remotes\[1\]\.ca: does not exist$/m)
  })

  test('a second signal ends it at once, though a message is not acknowledged', async t => {
    const hub = await startBroker(t)
    // It takes the connection, and acknowledges nothing.
    const sockets = new Set<Socket>()
    const port = await listenOn(t, socket => {
      sockets.add(socket)
      socket.once('data', () => socket.write(Buffer.from('20020000', 'hex')))
      socket.on('error', () => {})
    })
    t.after(() => {
      for (const socket of sockets) socket.destroy()
    })
    const yaml = `${sides(hub.url, `tcp://127.0.0.1:${port}`)}rules: [${UP}]\nshutdown: { timeout: 10m }\n`
    const stage = await startBridge(t, yaml)
    await untilStatus(stage, /, connected 1\n/)
    await hub.client.publishAsync('up/1', 'hi', { qos: 1 })
    await untilStatus(stage, /^up +cloud +connected +connected +\S+ +1 +- +1 /m)
    stage.bridge.child.kill('SIGTERM')
    await stage.bridge.until(/bridge\.stopping/, 'stderr')
    const { code, stderr } = await stage.bridge.stop('SIGTERM')
    assert.equal(code, 1)
    assert.match(stderr, / msg="bridge\.stopped" service=bridge graceful=false\n$/)
  })

  test('runs on without a rule and without a socket, until there is something to do', async t => {
    const yaml = `${NOWHERE}control: { socket: none }\n`
    const stage = await startBridge(t, yaml)
    const { bridge } = stage
    await bridge.until(/bridge\.started.* rules=0 /, 'stderr')
    assert.match(
      (await stage.ask('status')).stderr,
      /^openedge: control\.socket is none in .+: that bridge can't be asked; /,
    )
    stage.write(`${yaml}rules: [${UP}]\n`)
    bridge.child.kill('SIGHUP')
    await bridge.until(/config\.reloaded" service=bridge changed=rules /, 'stderr')
    assert.equal((await bridge.stop()).code, 0)
  })
})

describe('openedge bridge refuses to start', () => {
  const refused = async (finished: Promise<Finished>, pattern: RegExp): Promise<void> => {
    const { code, stdout, stderr } = await finished
    assert.deepEqual({ code, stdout }, { code: 2, stdout: '' }, stderr)
    assert.match(stderr, pattern)
  }

  test('with a file that is not there or wrong', async t => {
    const rules = `rules: [${UP.replace('name: cloud', 'name: clod')}]\n`
    const cwd = makeWorkdir(t, { 'wrong.yml': `${NOWHERE}${rules}` })
    await refused(openedge(['bridge'], { cwd }), /^etc\/openedge\/service\.yml: does not exist\n$/)
    await refused(openedge(['bridge', '-c', 'gone.yml'], { cwd }), /^gone\.yml: does not exist\n$/)
    await refused(
      openedge(['bridge', '-c', 'wrong.yml'], { cwd }),
      /^wrong\.yml:3:\d+: rules\[0\]\.remote\.name: .*clod/,
    )
    await refused(openedge(['bridge', '-w', 'gone'], { cwd }), /^openedge: the work directory .*gone does not exist\n/)
  })

  test('with the file of a hub, as a hub with that of a bridge', async t => {
    const bridge = `${NOWHERE}rules: [${UP}]\n`
    const cwd = makeWorkdir(t, { 'hub.yml': OPEN, 'bridge.yml': bridge, 'worse.yml': 'remotes: 5\nlogger: 5\n' })
    await refused(
      openedge(['bridge', '-c', 'hub.yml'], { cwd }),
      /^hub\.yml: is the configuration of a hub, not of a bridge: openedge hub -c hub\.yml\n$/,
    )
    await refused(
      openedge(['hub', '-c', 'bridge.yml'], { cwd }),
      /^bridge\.yml: is the configuration of a bridge, not of a hub: openedge bridge -c bridge\.yml\n$/,
    )
    await refused(openedge(['hub', '-c', 'worse.yml'], { cwd }), /^worse\.yml: is the configuration of a bridge, /)
  })

  test('when its figures can not be served where they are to be', async t => {
    const port = await listenOn(t, () => {})
    const yaml = `${NOWHERE}rules: [${UP}]\nmetrics: { listen: 'http://127.0.0.1:${port}' }\n`
    const cwd = makeWorkdir(t, { [FILE]: yaml })
    await refused(
      openedge(['bridge', '-c', FILE], { cwd }),
      /^openedge: can't serve figures on http.+ \(metrics\.listen\)$/m,
    )
  })

  test('when it is asked for what it has not', async () => {
    const run = async (...args: string[]): Promise<string> => {
      const { code, stdout, stderr } = await openedge(['bridge', ...args])
      assert.deepEqual({ code, stdout }, { code: 2, stdout: '' })
      return stderr.split('\n')[0] ?? ''
    }
    assert.equal(await run('statsu'), 'openedge: bridge takes no argument statsu; did you mean status?')
    assert.equal(await run('x.yml'), 'openedge: bridge takes no argument x.yml; a configuration is given with -c')
    assert.equal(await run('status', 'x'), 'openedge: bridge status takes no argument x')
    assert.equal(await run('reload', '--json'), 'openedge: --json is for bridge status only')
  })
})
