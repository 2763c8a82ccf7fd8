import assert from 'node:assert/strict'
import { renameSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import {
  type BridgeProcess,
  DOWN,
  FILE,
  nextMessage,
  OPEN,
  sides,
  startBridge,
  startBroker,
  UP,
  untilStatus,
} from './cli-bridge-stage.ts'
import { makeWorkdir, openedge, startOpenedge } from './cli-process.ts'

/** Nobody is there. */
const NOWHERE = sides('tcp://127.0.0.1:1', 'tcp://127.0.0.1:2')
const GOES_ON = 'openedge: the bridge goes on with the configuration that it has'

interface Answer {
  readonly rules: readonly { readonly name: string; readonly links: readonly { readonly connects: number }[] }[]
}

async function connectsOf(stage: BridgeProcess, rule: string): Promise<number[]> {
  const { stdout } = await stage.ask('status', '--json')
  const found = (JSON.parse(stdout) as Answer).rules.find(({ name }) => name === rule)
  return found?.links.map(({ connects }) => connects) ?? []
}

describe('openedge bridge reload', () => {
  test('starts new rules without touching those that are as before', async t => {
    const hub = await startBroker(t)
    const remote = await startBroker(t)
    const head = sides(hub.url, remote.url)
    const stage = await startBridge(t, `${head}rules: [${UP}]\n`)
    await untilStatus(stage, /, connected 1\n/)
    stage.write(`${head}rules: [${UP}, ${DOWN}]\n`)
    assert.deepEqual(await stage.ask('reload'), { code: 0, stdout: 'reloaded: rules\n', stderr: '' })
    await untilStatus(stage, / rules 2, connected 2\n/)
    await hub.client.subscribeAsync('from/#', { qos: 1 })
    const message = nextMessage(hub.client)
    await remote.client.publishAsync('down/1', 'hi', { qos: 1 })
    assert.equal(await message, 'from/down/1 hi')
    assert.deepEqual(await connectsOf(stage, 'up'), [1, 1])
    assert.deepEqual(await stage.ask('reload'), { code: 0, stdout: 'reloaded: nothing changed\n', stderr: '' })
    stage.write(`${head}rules: [${DOWN}]\n`)
    stage.bridge.child.kill('SIGHUP')
    await untilStatus(stage, / rules 1, connected 1\n/)
    assert.deepEqual(await connectsOf(stage, 'down'), [1, 1])
    const { code, stderr } = await stage.bridge.stop()
    assert.equal(code, 0)
    const told = stderr.split('\n').filter(line => line.includes('msg="config.reloaded" service=bridge'))
    assert.deepEqual(
      told.map(line => / changed=(\S+) restart=nothing$/.exec(line)?.[1]),
      ['rules', 'nothing', 'rules'],
    )
  })

  test('a file that can not be used changes nothing, and says why and where', async t => {
    const head = NOWHERE
    const stage = await startBridge(t, `${head}rules: [${UP}]\n`)
    const refused = async (yaml: string, pattern: RegExp): Promise<void> => {
      stage.write(yaml)
      const { code, stdout, stderr } = await stage.ask('reload')
      assert.deepEqual({ code, stdout }, { code: 1, stdout: '' })
      assert.match(stderr, pattern)
      assert.ok(stderr.endsWith(`${GOES_ON}\n`), stderr)
    }
    await refused(`${head}rules: [${UP}, ${UP}]\n`, /^etc\/openedge\/bridge\.yml:3:\d+: rules\[1\]/m)
    await refused(OPEN, /^etc\/openedge\/bridge\.yml: is the configuration of a hub, not of a bridge: /m)
    await refused('rules: [', /^etc\/openedge\/bridge\.yml:1:\d+: /m)
    renameSync(join(stage.dir, FILE), join(stage.dir, 'away.yml'))
    const gone = await stage.ask('reload')
    assert.equal(gone.code, 1)
    assert.match(gone.stderr, /^etc\/openedge\/bridge\.yml: does not exist$/m)
    renameSync(join(stage.dir, 'away.yml'), join(stage.dir, FILE))
    stage.write(`${head}rules: [${UP}]\n`)
    assert.equal((await stage.ask('reload')).stdout, 'reloaded: nothing changed\n')
    const { stderr } = await stage.bridge.stop()
    assert.match(stderr, / level=error msg="config\.refused" service=bridge problem="etc\/openedge\/bridge\.yml:1:/)
  })

  test('names what only a restart changes, and warns as a start does', async t => {
    const yaml = `${NOWHERE}rules: [${UP}]\n`
    const stage = await startBridge(t, yaml)
    stage.write(`${yaml}control: { socket: run/bridge.sock }\nlogger: { level: debug }\nrulez: 1\n`)
    const { code, stdout, stderr } = await stage.ask('reload')
    assert.equal(code, 0)
    assert.equal(stdout, 'reloaded: logger.level\nchanged in the file, from the next start on: control.socket\n')
    assert.match(stderr, /^warning: etc\/openedge\/bridge\.yml:6:1: rulez: .*did you mean rules\?\n$/)
  })
})

describe('which bridge is asked', () => {
  test('not the hub with the same file, nor one that does not run', async t => {
    const cwd = makeWorkdir(t, { [FILE]: `${NOWHERE}rules: [${UP}]\n`, 'hub.yml': OPEN })
    for (const word of ['status', 'reload']) {
      const { code, stdout, stderr } = await openedge(['bridge', word, '-c', FILE], { cwd })
      assert.deepEqual({ code, stdout }, { code: 1, stdout: '' })
      assert.match(
        stderr,
        /^openedge: no bridge runs with the configuration etc\/openedge\/bridge\.yml: nobody answers at \/.*\/bridge-[0-9a-f]{16}\.sock\.$/m,
      )
      assert.match(stderr, /^Start it: .+ bridge -c etc\/openedge\/bridge\.yml$/m)
    }
    const hub = startOpenedge(t, ['hub', '-c', 'hub.yml', '--memory'], cwd)
    await hub.url('tcp')
    const { code, stderr } = await openedge(['bridge', 'status', '-c', 'hub.yml'], { cwd })
    assert.equal(code, 1)
    assert.match(stderr, /^hub\.yml: is the configuration of a hub, not of a bridge: [^]*^openedge: no bridge runs /m)
    const none = await openedge(['bridge', 'status'], { cwd })
    assert.equal(none.code, 1)
    assert.match(none.stderr, /^openedge: no bridge runs with the configuration etc\/openedge\/service\.yml: /m)
  })

  test('a second one with the same configuration goes on without a socket', async t => {
    const stage = await startBridge(t, `${NOWHERE}rules: [${UP}]\n`)
    const second = startOpenedge(t, ['bridge', '-c', FILE], stage.dir)
    await second.until(/ level=warn msg="control\.unavailable" .* belongs to a bridge that is running"/, 'stderr')
    assert.equal((await second.stop()).code, 0)
    assert.equal((await stage.ask('reload')).code, 0)
  })
})
