import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { DOWN, OPEN, sides, UP } from './cli-bridge-stage.ts'
import { type Finished, makeWorkdir, openedge } from './cli-process.ts'

const HEAD = sides('tcp://127.0.0.1:1883', 'tcp://broker.example')
const GOOD = `${HEAD}rules: [${UP}, ${DOWN}]\n`
/** What comes down goes up again. */
const ROUND = `subscriptions: [{ source: { topic: from/down/# }, target: { topic: 'up/{#}' } }]\n`
/** And the remote sends it down. */
const MIRROR = `{ name: mirror, hub: { clientid: mirror }, remote: { name: cloud, clientid: mirror, subscriptions: [{ topic: up/#, target: { topic: 'from/down/{#}' } }] } }`

describe('openedge check of bridges', () => {
  test('a good file, told by its keys', async t => {
    const cwd = makeWorkdir(t, { 'hub.yml': OPEN, 'bridge.yml': GOOD })
    const finished = await openedge(['check', 'hub.yml', 'bridge.yml'], { cwd })
    assert.deepEqual(finished, { code: 0, stdout: 'hub.yml: ok\nbridge.yml: ok\n', stderr: '' })
  })

  test('every problem is one line, unknown keys are errors', async t => {
    const bad = `${HEAD}rules: [${UP.replace('cloud', 'clod')}]\nrulez: 1\n`
    const cwd = makeWorkdir(t, { 'bad.yml': bad, 'good.yml': GOOD })
    const { code, stdout, stderr } = await openedge(['check', 'bad.yml', 'good.yml'], { cwd })
    assert.equal(code, 2)
    assert.equal(stdout, 'good.yml: ok\n')
    const lines = stderr.trimEnd().split('\n')
    assert.match(lines[0] ?? '', /^bad\.yml:3:\d+: rules\[0\]\.remote\.name: .*clod/)
    assert.match(lines[1] ?? '', /^bad\.yml:4:1: rulez: .*did you mean rules\?$/)
  })

  test('--kind says what a file is of', async t => {
    const cwd = makeWorkdir(t, { 'empty.yml': 'logger: { level: debug }\n', 'bridge.yml': GOOD })
    const run = (...args: string[]): Promise<Finished> => openedge(['check', ...args], { cwd })
    const empty = await run('--kind', 'bridge', 'empty.yml')
    assert.equal(empty.code, 0)
    assert.doesNotMatch(empty.stderr, /listen/)
    assert.match((await run('empty.yml')).stderr, /listen/)
    const other = await run('--kind', 'hub', 'bridge.yml')
    assert.equal(other.code, 2)
    assert.match(other.stderr, /^bridge\.yml:2:1: remotes: /m)
    assert.match(
      (await run('--kind', 'timer', 'empty.yml')).stderr,
      /^openedge: --kind takes hub or bridge, not timer\n/,
    )
    assert.match((await run('--kind', 'hub', '-w', '.')).stderr, /^openedge: --kind says what a FILE is of, /)
    assert.match((await run()).stderr, /^openedge: check needs a FILE, or -w DIR\n/)
  })

  test('what it names is an error only where the bridge would look for it', async t => {
    const files = 'ca: ca.pem, username: u, passwordfile: password.txt'
    const yaml = GOOD.replace('tcp://broker', 'ssl://broker').replace('interval: 1s', files)
    const cwd = makeWorkdir(t, { 'bridge.yml': yaml })
    const elsewhere = await openedge(['check', 'bridge.yml'], { cwd })
    assert.equal(elsewhere.code, 0)
    assert.match(elsewhere.stderr, /^ca\.pem: warning: remotes\[0\]\.ca: does not exist$/m)
    assert.match(elsewhere.stderr, /^password\.txt: warning: remotes\[0\]\.passwordfile: does not exist$/m)
    const here = await openedge(['check', '-w', '.', 'bridge.yml'], { cwd })
    assert.equal(here.code, 2)
    assert.match(here.stderr, /^ca\.pem: remotes\[0\]\.ca: does not exist$/m)
  })

  test('circles of hub and bridge are told when both are given', async t => {
    const cwd = makeWorkdir(t, { 'hub.yml': OPEN + ROUND, 'bridge.yml': `${HEAD}rules: [${UP}, ${MIRROR}]\n` })
    for (const file of ['hub.yml', 'bridge.yml']) {
      const { stdout } = await openedge(['check', file], { cwd })
      assert.equal(stdout, `${file}: ok\n`)
    }
    const { code, stdout, stderr } = await openedge(['check', 'hub.yml', 'bridge.yml'], { cwd })
    assert.deepEqual({ code, stdout }, { code: 2, stdout: 'hub.yml: ok\nbridge.yml: ok\n' })
    assert.match(stderr, /^messages run in a circle: .*\bup\b.*\bmirror\b/m)
  })
})

describe('openedge check of a work directory', () => {
  test('finds the files of its etc/openedge', async t => {
    const dir = makeWorkdir(t, { 'edge/etc/openedge/hub.yml': OPEN, 'edge/etc/openedge/bridge.yml': GOOD })
    const run = (): Promise<Finished> => openedge(['check', '-w', 'edge'], { cwd: dir })
    const good = await run()
    assert.deepEqual({ code: good.code, stderr: good.stderr }, { code: 0, stderr: '' })
    assert.deepEqual(good.stdout.trimEnd().split('\n').toSorted(), [
      'edge/etc/openedge/bridge.yml: ok',
      'edge/etc/openedge/hub.yml: ok',
    ])
    const secure = GOOD.replace('tcp://broker', 'ssl://broker').replace('interval: 1s', 'ca: ca.pem')
    writeFileSync(join(dir, 'edge/etc/openedge/bridge.yml'), secure)
    const bad = await run()
    assert.deepEqual([bad.code, bad.stdout], [2, 'edge/etc/openedge/hub.yml: ok\n'])
    assert.match(bad.stderr, /^ca\.pem: remotes\[0\]\.ca: does not exist$/m)
    writeFileSync(join(dir, 'edge/etc/openedge/bridge.yml'), 'rules: 5\n')
    assert.match((await run()).stderr, /^edge\/etc\/openedge\/bridge\.yml:1:8: rules: /m)
  })

  test('finds the services of its application, and the circles that they make', async t => {
    const application = `
version: v1
services:
  - { name: localhub, image: openedge-hub, replica: 1, mounts: [{ name: hub-conf, path: etc/openedge }] }
  - { name: remote, image: 'hub.example/openedge-remote-mqtt:0.1.5', replica: 1, mounts: [{ name: remote-conf, path: etc/openedge }] }
volumes:
  - { name: hub-conf, path: var/db/openedge/hub-conf }
  - { name: remote-conf, path: var/db/openedge/remote-conf }
`
    const dir = makeWorkdir(t, {
      'var/db/openedge/application.yml': application,
      'var/db/openedge/hub-conf/service.yml': OPEN + ROUND,
      'var/db/openedge/remote-conf/service.yml': `${HEAD}rules: [${UP}, ${MIRROR}]\n`,
    })
    const { code, stdout, stderr } = await openedge(['check', '-w', dir])
    assert.equal(code, 2)
    assert.equal(stdout.trimEnd().split('\n').length, 2, stdout)
    assert.match(stderr, /^messages run in a circle: .*\bremote\b/m)
    writeFileSync(join(dir, 'var/db/openedge/remote-conf/service.yml'), GOOD)
    assert.equal((await openedge(['check', '-w', dir])).code, 0)
  })

  test('says so when there is nothing', async t => {
    const cwd = makeWorkdir(t)
    const { code, stderr } = await openedge(['check', '-w', '.'], { cwd })
    assert.equal(code, 2)
    assert.match(stderr, /^\.: has neither var\/db\/openedge\/application\.yml nor a configuration /)
  })
})
