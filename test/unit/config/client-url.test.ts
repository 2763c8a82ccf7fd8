import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseClientUrl } from '../../../src/config/index.ts'

/** `scheme host port path` as it is dialled, or what is wrong. */
function dialled(url: string): string {
  try {
    const { scheme, host, port, path } = parseClientUrl(url)
    return [scheme, host, port, path].join(' ').trimEnd()
  } catch (error) {
    const { code, message } = error as { code?: string; message: string }
    assert.equal(code, 'ERR_CONFIG_CLIENT_URL', message)
    return message
  }
}

const GOOD: readonly (readonly [url: string, dialled: string])[] = [
  ['tcp://broker', 'tcp broker 1883'],
  ['mqtt://broker', 'tcp broker 1883'],
  ['ssl://broker', 'tls broker 8883'],
  ['tls://broker', 'tls broker 8883'],
  ['mqtts://broker', 'tls broker 8883'],
  ['ws://broker', 'ws broker 80 /'],
  ['wss://broker', 'wss broker 443 /'],
  ['SSL://Broker.Example.:1884', 'tls Broker.Example. 1884'],
  ['tcp://broker:', 'tcp broker 1883'],
  ['tcp://broker/', 'tcp broker 1883'],
  ['tcp://10.0.0.1:65535', 'tcp 10.0.0.1 65535'],
  ['tcp://[2001:db8::1]', 'tcp 2001:db8::1 1883'],
  ['tcp://[fe80::1%eth0]:1884', 'tcp fe80::1%eth0 1884'],
  ['ws://broker:8083/mqtt/x', 'ws broker 8083 /mqtt/x'],
  ['wss://broker/mqtt?token=a/b@c', 'wss broker 443 /mqtt?token=a/b@c'],
  ['tcp://0.0.0.0:1883', 'tcp 127.0.0.1 1883'],
  ['tcp://[::]:1883', 'tcp ::1 1883'],
  ['wss://[0:0:0:0:0:0:0:0]', 'wss ::1 443 /'],
  ['tcp://my_broker.lan', 'tcp my_broker.lan 1883'],
]

for (const [url, expected] of GOOD) test(`${url} is ${expected}`, () => assert.equal(dialled(url), expected))

test('ways to write an address have one form', () => {
  for (const [url, expected] of [
    ['mqtt://h', 'tcp://h:1883'],
    ['ssl://[::1]', 'tls://[::1]:8883'],
    ['ws://0.0.0.0', 'ws://127.0.0.1:80/'],
    ['wss://h/a?b', 'wss://h:443/a?b'],
  ] as const) {
    assert.equal(parseClientUrl(url).url, expected)
    assert.deepEqual(parseClientUrl(parseClientUrl(url).url), parseClientUrl(url), 'the form is itself an address')
  }
})

const BAD: readonly (readonly [url: string, problem: string])[] = [
  ['', 'is empty; write for instance tcp://127.0.0.1:1883'],
  ['broker:1883', 'is no URL; write for instance tcp://broker:1883'],
  ['tpc://broker', 'has the unknown scheme tpc; did you mean tcp?'],
  ['redis://broker', 'has the unknown scheme redis; known are tcp, mqtt, ssl, tls, mqtts, ws, wss'],
  ['unix:///run/hub.sock', 'has the unknown scheme unix; known are tcp, mqtt, ssl, tls, mqtts, ws, wss'],
  ['tcp://', 'has no host; write for instance tcp://127.0.0.1'],
  ['tcp://:1883', 'has no host; write for instance tcp://127.0.0.1'],
  ['tcp://a b', 'has white space or a control character in it'],
  ['tcp://broker:0', 'has port 0; a port is 1 to 65535'],
  ['tcp://broker:65536', 'has port 65536; a port is 1 to 65535'],
  ['tcp://broker:mqtt', 'has port mqtt; a port is 1 to 65535'],
  ['tcp://::1:1883', 'has an IPv6 address without brackets; write for instance tcp://[::1]'],
  ['tcp://2001:db8::1', 'has an IPv6 address without brackets; write for instance tcp://[::1]'],
  ['tcp://[::1', 'has an IPv6 address without brackets; write for instance tcp://[::1]'],
  ['tcp://[::g]', 'has no valid host: [::g]'],
  ['tcp://1.2.3.4.5', 'has no valid host: 1.2.3.4.5'],
  ['tcp://-x', 'has no valid host: -x'],
  ['tcp://broker/x', 'has the path /x, which means nothing to tcp'],
  ['ssl://broker?x', 'has no valid host: broker?x'],
  ['ws://broker/#x', 'has a fragment in it, which means nothing to a broker'],
]

for (const [url, problem] of BAD) {
  test(`${url === '' ? 'nothing' : url} is refused`, () => assert.equal(dialled(url), `${url}: ${problem}`))
}

test('a password in a URL is refused, and not repeated', () => {
  for (const url of ['tcp://me:hunter2@broker', 'me:hunter2@broker', 'tpc://me:hunter2@broker']) {
    const problem = dialled(url)
    assert.match(problem, /\.\.\.@broker: /)
    assert.doesNotMatch(problem, /hunter2/)
  }
})
