/** `openedge store`, on what a hub from the command line has stored. */
import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync, realpathSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { connectAsync } from 'mqtt'
import { makeWorkdir, openedge, startOpenedge } from './cli-process.ts'

const SERVICE = 'etc/openedge/service.yml'
const DATA = 'var/db/openedge/data'
const OPEN = `
listen: [tcp://127.0.0.1:0]
storage: { dir: ${DATA}, sync: never, reserve: 1m }
limits: { clientid: { charset: any } }
anonymous:
  permissions:
    - { action: pub, permit: ['#'] }
    - { action: sub, permit: ['#'] }
`
const CLIENT = { reconnectPeriod: 0, connectTimeout: 10_000 }
const MESSAGES = 30

/** A work directory whose hub has stopped, with two kept sessions, their messages and a retained message. */
async function makeStored(t: TestContext): Promise<string> {
  const dir = realpathSync(makeWorkdir(t, { [SERVICE]: OPEN }))
  const hub = startOpenedge(t, ['hub', '-w', '.'], dir)
  const url = await hub.url('tcp')
  for (const clientId of ['pump', 'a "tank"']) {
    const client = await connectAsync(url, { ...CLIENT, clientId, clean: false })
    await client.subscribeAsync('level/#', { qos: 1 })
    await client.endAsync()
  }
  const publisher = await connectAsync(url, CLIENT)
  for (let i = 0; i < MESSAGES; i++) await publisher.publishAsync(`level/${i}`, `${i} `.repeat(100), { qos: 1 })
  await publisher.publishAsync('state', 'on', { qos: 1, retain: true })
  await publisher.endAsync()
  assert.equal((await hub.stop()).code, 0)
  return dir
}

/** Flips a bit in the middle of the payload of one message, in its log. */
function damageLog(data: string): string {
  const file = readdirSync(data).find(name => name.endsWith('.log')) ?? ''
  const path = join(data, file)
  const bytes = readFileSync(path)
  const at = bytes.indexOf('17 17 17 ') + 50
  bytes[at] = (bytes[at] as number) ^ 4
  writeFileSync(path, bytes)
  return file
}

describe('openedge store inspect', () => {
  test('tells what is stored, for people and for programs', async t => {
    const dir = await makeStored(t)
    const { code, stdout, stderr } = await openedge(['store', 'inspect', DATA, '--sessions'], { cwd: dir })
    assert.equal(code, 0, stderr)
    assert.equal(stderr, '')
    assert.ok(stdout.startsWith(`directory     ${join(dir, DATA)}\n`), stdout)
    assert.match(stdout, /^format {8}1, made by openedge \d+\.\d+\.\d+$/m)
    assert.match(stdout, /^size .* and a reserve of 1\.0 MiB$/m)
    assert.match(stdout, /^sessions {6}2$/m)
    assert.match(stdout, /^messages {6}60 waiting, \d+\.\d KiB, since \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/m)
    assert.match(stdout, /^retained {6}1, 2 bytes$/m)
    assert.match(stdout, /^pump +anonymous +\d{4}-\d\d-\S+Z +1 +30 +\S+ KiB +\d{4}-/m)
    assert.match(stdout, /^"a \\"tank\\"" +anonymous /m)
    assert.equal(statSync(join(dir, DATA, 'reserve')).size, 1_048_576)

    const json = await openedge(['store', 'inspect', '--json', '--sessions', '-w', dir])
    const found = JSON.parse(json.stdout) as { sessions: number; messages: number; clients: { clientId: string }[] }
    assert.deepEqual([found.sessions, found.messages], [2, 60])
    assert.deepEqual(
      found.clients.map(({ clientId }) => clientId),
      ['pump', 'a "tank"'],
    )
  })

  test('finds the store that a configuration names', async t => {
    const dir = await makeStored(t)
    const other = makeWorkdir(t, { 'memory.yml': 'storage: { dir: "" }\n' })
    const { code, stdout } = await openedge(['store', 'verify', '-c', join(dir, SERVICE), '-w', dir], { cwd: other })
    assert.equal(code, 0)
    assert.ok(stdout.startsWith(`${join(dir, DATA)}: sound (`), stdout)
    const memory = await openedge(['store', 'verify', '-c', 'memory.yml'], { cwd: other })
    assert.equal(memory.code, 2)
    assert.match(memory.stderr, /^openedge: memory\.yml has an empty storage\.dir/)
  })

  test('refuses a hub that runs, by its pid', async t => {
    const dir = makeWorkdir(t, { [SERVICE]: OPEN })
    const hub = startOpenedge(t, ['hub'], dir)
    await hub.url('tcp')
    for (const action of ['inspect', 'verify', 'compact', 'repair']) {
      const { code, stdout, stderr } = await openedge(['store', action, DATA], { cwd: dir })
      assert.equal(code, 1, action)
      assert.equal(stdout, '', action)
      assert.match(stderr, new RegExp(`in use by the process with pid ${hub.child.pid}\\. Stop it first`), action)
    }
    assert.equal((await hub.stop()).code, 0)
  })

  test('says what is wrong with a command line', async t => {
    const dir = makeWorkdir(t)
    for (const [args, words] of [
      [[], /needs to know what to do: inspect, verify, compact, repair/],
      [['verfy', 'x'], /did you mean verify\?/],
      [['verify'], /needs DIR/],
      [['verify', 'x', 'y'], /takes one DIR/],
      [['verify', 'x', '-w', '.'], /not both/],
      [['verify', 'x', '--json'], /--json is for store inspect only/],
    ] as const) {
      const { code, stderr } = await openedge(['store', ...args], { cwd: dir })
      assert.equal(code, 2, args.join(' '))
      assert.match(stderr, words)
      assert.match(stderr, /^See: openedge store --help$/m)
    }
    const { code, stderr } = await openedge(['store', 'inspect', 'nowhere'], { cwd: dir })
    assert.equal(code, 1)
    assert.match(stderr, /^openedge: there is no database in .*nowhere/)
    assert.ok(!existsSync(join(dir, 'nowhere')), 'none is made')
    const help = await openedge(['store', '--help'])
    assert.equal(help.code, 0)
    assert.match(help.stdout, /^ {2}openedge store verify -c service\.yml {2,}whether all of it is sound$/m)
  })
})

describe('openedge store verify and repair', () => {
  test('find a damaged write, keep the rest, and say what is lost', async t => {
    const dir = await makeStored(t)
    const data = join(dir, DATA)
    const log = damageLog(data)
    const checked = await openedge(['store', 'verify', DATA], { cwd: dir })
    assert.equal(checked.code, 1)
    assert.match(checked.stdout, new RegExp(`^${log} at byte \\d+: .*; repair keeps what is whole$`, 'm'))
    assert.match(checked.stdout, /: 1 problem \(\d+ files?, records could not be looked at\)$/m)
    assert.ok(checked.stderr.includes(`openedge store repair ${data}`), checked.stderr)
    const refused = await openedge(['hub', '-w', '.'], { cwd: dir })
    assert.equal(refused.code, 1)
    assert.match(refused.stderr, /openedge store repair/)

    const repaired = await openedge(['store', 'repair', DATA], { cwd: dir })
    assert.equal(repaired.code, 0, repaired.stderr)
    assert.match(repaired.stdout, new RegExp(`^${log}: kept \\d+ writes; \\d+ bytes of others are lost,`, 'm'))
    assert.match(repaired.stdout, /^the files as they were are in .*lost/m)
    assert.match(repaired.stdout, /: repaired$/m)
    const again = await openedge(['store', 'verify', DATA], { cwd: dir })
    assert.equal(again.code, 0, again.stdout)
    const { stdout } = await openedge(['store', 'inspect', DATA], { cwd: dir })
    assert.match(stdout, /^messages {6}58 waiting/m)
    const hub = startOpenedge(t, ['hub', '-w', '.'], dir)
    await hub.url('tcp')
    assert.equal((await hub.stop()).code, 0)
  })

  test('name the client that loses something', async t => {
    const dir = await makeStored(t)
    const data = join(dir, DATA)
    assert.equal((await openedge(['store', 'compact', DATA], { cwd: dir })).code, 0)
    const table = join(data, readdirSync(data).find(name => name.endsWith('.ldb')) ?? '')
    const bytes = readFileSync(table)
    const at = bytes.indexOf('"pump"')
    assert.ok(at > 0, 'the session is found')
    bytes[at - 3] = (bytes[at - 3] as number) ^ 1
    writeFileSync(table, bytes)
    const { code, stdout } = await openedge(['store', 'repair', DATA], { cwd: dir })
    assert.equal(code, 0)
    assert.match(stdout, / \(session 1\): its session; 30 messages; 1 subscription \("level\/#"\)/)
    assert.equal((await openedge(['store', 'verify', DATA], { cwd: dir })).code, 0)
  })

  test('keep what is left of a table that was cut off', async t => {
    const dir = await makeStored(t)
    const data = join(dir, DATA)
    const { stdout: compacted } = await openedge(['store', 'compact', DATA], { cwd: dir })
    assert.match(compacted, /: \d+\.\d KiB before, \d+\.\d KiB after$/m)
    const table = readdirSync(data).find(name => name.endsWith('.ldb')) ?? ''
    truncateSync(join(data, table), statSync(join(data, table)).size - 200)
    const { code, stdout } = await openedge(['store', 'repair', DATA], { cwd: dir })
    assert.equal(code, 0, stdout)
    assert.match(stdout, new RegExp(`^${table}: kept \\d+ blocks; what else was in it is lost,`, 'm'))
    const { code: after, stdout: left } = await openedge(['store', 'inspect', DATA], { cwd: dir })
    assert.equal(after, 0)
    assert.match(left, /^sessions {6}2$/m)
  })
})
