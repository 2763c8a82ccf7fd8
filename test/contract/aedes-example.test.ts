// The example of docs/aedes.md, run as its readers run it: as a program of its own against the built package.
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { type TestContext, test } from 'node:test'
import { connectAsync } from 'mqtt'

const root = join(import.meta.dirname, '..', '..')
const example = join(root, 'examples', 'embed.mjs')

void test('docs/aedes.md shows examples/embed.mjs as it is', () => {
  const page = readFileSync(join(root, 'docs', 'aedes.md'), 'utf8')
  const shown = /<!-- examples\/embed\.mjs -->\n```js\n([\s\S]*?)```/.exec(page)?.[1]
  assert.equal(shown, readFileSync(example, 'utf8'))
})

void test('examples/embed.mjs serves, refuses, hears and closes', { timeout: 20_000 }, async t => {
  if (!existsSync(join(root, 'dist', 'index.js'))) {
    assert.notEqual(process.env['CI'], 'true', 'the package is not built')
    t.skip('the package is not built: npm run build')
    return
  }
  const { child, line } = start(t)
  const url = /^listening on (mqtt:\S+)$/.exec(await line())?.[1]
  assert.equal(typeof url, 'string')
  const options = { username: 'sensor', password: 'secret', reconnectPeriod: 0, protocolVersion: 4 } as const
  const sensor = await connectAsync(url as string, { ...options, clientId: 'kitchen' })
  t.after(() => sensor.end(true))
  assert.equal(await line(), 'kitchen is here')
  await sensor.publishAsync('devices/kitchen/temperature', '21', { qos: 1 })
  assert.equal(await line(), 'devices/kitchen/temperature is 21')

  const heard = new Promise<string>(resolve => {
    sensor.once('message', (topic, payload) => resolve(`${topic} ${payload.toString()}`))
  })
  await sensor.subscribeAsync('display')
  assert.equal(await heard, 'display 21')

  await assert.rejects(connectAsync(url as string, { ...options, clientId: 'thief', password: 'guess' }))
  assert.match(await line(), /^thief is sent away: /)
  sensor.publish('devices/cellar/temperature', '5')
  assert.equal(await line(), 'kitchen is sent away: devices/cellar/temperature is not its own topic')

  child.kill('SIGTERM')
  assert.equal(await line(), 'closed')
  assert.deepEqual(child.exitCode ?? (await once(child, 'exit'))[0], 0)
})

/** The example on a free port, and its output line by line. */
function start(t: TestContext): { child: ChildProcess; line: () => Promise<string> } {
  const child = spawn(process.execPath, [example], {
    cwd: root,
    env: { ...process.env, PORT: '0', SENSOR_PASSWORD: 'secret' },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  t.after(() => child.kill('SIGKILL'))
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  return { child, line: async () => String((await lines.next()).value) }
}
