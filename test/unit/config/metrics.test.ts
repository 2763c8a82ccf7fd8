import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ConfigError, formatProblem, parseHubConfig } from '../../../src/config/index.ts'

function judge(text: string): { errors: string[]; warnings: string[] } {
  const shown = (problems: ConfigError['problems']) => problems.map(each => formatProblem(each).replace(/^f:/, ''))
  try {
    const { warnings } = parseHubConfig(`${text}\nanonymous: {}`, { file: 'f', env: {} })
    return { errors: [], warnings: shown(warnings) }
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error))
    return { errors: shown(error.problems), warnings: shown(error.warnings) }
  }
}

const metrics = (url: string, listen = 'unix:///s') => judge(`listen: ["${listen}"]\nmetrics: {listen: "${url}"}`)

test('figures are served on loopback without a word', () => {
  for (const host of ['127.0.0.1', '127.1.2.3', 'localhost', '[::1]']) {
    for (const rest of [':9090', ':0', ':9090/']) {
      const { errors, warnings } = metrics(`http://${host}${rest}`)
      assert.deepEqual([...errors, ...warnings], [], host + rest)
    }
  }
  assert.deepEqual(metrics('').errors, [], 'nowhere')
})

test('figures for everybody are warned of', () => {
  for (const host of ['', '0.0.0.0', '[::]', '192.168.0.1', 'example.org']) {
    assert.deepEqual(
      metrics(`http://${host}:9090`),
      {
        errors: [],
        warnings: [
          '2:19: metrics.listen: is open to the network, and nobody is asked for a password; write 127.0.0.1, or let a firewall keep others away',
        ],
      },
      host,
    )
  }
})

test('an address that is none', () => {
  const wrong: readonly (readonly [url: string, problem: string])[] = [
    ['9090', 'is no URL; write for instance http://127.0.0.1:9090'],
    ['127.0.0.1:9090', 'is no URL; write for instance http://127.0.0.1:9090'],
    ['https://127.0.0.1:9090', 'has the scheme https; only http is known here'],
    ['tcp://127.0.0.1:9090', 'has the scheme tcp; only http is known here'],
    ['http://127.0.0.1', 'has no port; write :9090, or :0 for a free one'],
    ['http://127.0.0.1:65536', 'has port 65536; a port is 0 to 65535'],
    ['http://127.0.0.1:9090/metrics', 'has the path /metrics, which means nothing to http'],
    ['http://::1:9090', 'has an IPv6 address without brackets; write for instance http://[::1]:9090'],
    ['http://300.1.1.1:9090', 'has no valid host: 300.1.1.1'],
    ['http://u:p@127.0.0.1:9090', 'has a user, a query or a fragment in it, which mean nothing to a listener'],
    ['http://a b:9090', 'has white space or a control character in it'],
  ]
  for (const [url, problem] of wrong) assert.deepEqual(metrics(url).errors, [`2:19: metrics.listen: ${problem}`], url)
})

test('an address where clients are listened for', () => {
  const same = ['2:19: metrics.listen: is the same address as listen[0]']
  assert.deepEqual(metrics('http://127.0.0.1:1883', 'tcp://127.0.0.1:1883').errors, same)
  assert.deepEqual(metrics('http://LOCALHOST:1883', 'ws://localhost:1883').errors, same)
  assert.deepEqual(metrics('http://127.0.0.1:1883', 'tcp://:1883').errors, same, 'every address is this one too')
  assert.deepEqual(metrics('http://0.0.0.0:1883', 'tcp://127.0.0.1:1883').errors, same)
  assert.deepEqual(metrics('http://127.0.0.1:1884', 'tcp://127.0.0.1:1883').errors, [])
  assert.deepEqual(metrics('http://127.0.0.1:1883', 'tcp://127.0.0.2:1883').errors, [])
  assert.deepEqual(metrics('http://127.0.0.1:0', 'tcp://127.0.0.1:0').errors, [], 'free ports are two ports')
})

test('metrics that are no metrics', () => {
  assert.deepEqual(judge('listen: [unix:///s]\nmetrics: {events: maybe}').errors, [
    '2:19: metrics.events: must be true or false, got "maybe"',
  ])
  assert.deepEqual(judge('listen: [unix:///s]\nmetrics: {listen: [a]}').errors, [
    '2:19: metrics.listen: must be a single value, got a list',
  ])
})

test('the control socket', () => {
  const control = (socket: string) => judge(`listen: ["unix:///run/s"]\ncontrol: {socket: "${socket}"}`).errors
  for (const socket of ['', 'auto', 'none', 'hub.sock', '/run/hub.sock']) assert.deepEqual(control(socket), [], socket)
  const at = '2:19: control.socket: '
  assert.deepEqual(control('run/'), [`${at}is a folder; name the socket in it`])
  assert.deepEqual(control('a\\0b'), [`${at}has a control character in it`])
  assert.deepEqual(control('x'.repeat(200)), [`${at}has 200 bytes; a unix socket takes 107`])
  assert.deepEqual(control('/run/s'), [`${at}is the same socket as listen[0]`])
})
