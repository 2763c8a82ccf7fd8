import assert from 'node:assert/strict'
import { test } from 'node:test'
import { originProblem } from '../../../src/broker/listeners/origin.ts'

const LAN = '192.168.1.20'

type Case = [origin: string | undefined, host: string | undefined, localAddress: string]

const accepted: Case[] = [
  // No browser.
  [undefined, '127.0.0.1:8083', '127.0.0.1'],
  [undefined, 'hub.example.com', '127.0.0.1'],
  [undefined, undefined, LAN],
  // The same host, whatever the port and the scheme.
  ['http://hub.lan', 'hub.lan:8083', LAN],
  ['http://hub.lan:3000', 'hub.lan', LAN],
  ['https://HUB.lan:8443', 'Hub.LAN:8884', LAN],
  ['http://192.168.1.20', '192.168.1.20:8083', LAN],
  ['http://[2001:DB8::7]:80', '[2001:db8:0::7]:8083', '2001:db8::7'],
  // The names of the loopback interface are one.
  ['http://localhost', 'localhost', '127.0.0.1'],
  ['http://localhost:3000', '127.0.0.1:8083', '127.0.0.1'],
  ['http://127.0.0.1', '[::1]:8083', '::1'],
  ['http://[::1]:3000', 'localhost:8083', '::ffff:127.0.0.1'],
  ['http://127.1.2.3', 'LOCALHOST:8083', '127.1.2.3'],
  ['http://127.1', '127.0.0.1:8083', '127.0.0.1'],
  ['capacitor://localhost', '127.0.0.1:8083', '127.0.0.1'],
]
for (const [origin, host, localAddress] of accepted) {
  test(`origin ${origin}, host ${host}, at ${localAddress}: accepted`, () => {
    assert.equal(originProblem({ origin, host, localAddress }), null)
  })
}

const refused: [...Case, problem: RegExp][] = [
  // Another host.
  ['https://evil.example', 'localhost:8083', '127.0.0.1', /not of the host localhost/],
  ['https://evil.example', '127.0.0.1:8083', '127.0.0.1', /https:\/\/evil\.example is not of/],
  ['https://evil.example', '192.168.1.20:8083', LAN, /not of/],
  ['http://localhost', '192.168.1.20:8083', LAN, /not of/],
  ['http://192.168.1.20', 'localhost:8083', '127.0.0.1', /not of/],
  ['http://192.168.1.21', '192.168.1.20:8083', LAN, /not of/],
  ['http://a.hub.lan', 'hub.lan', LAN, /not of/],
  ['http://hub.lan.evil.example', 'hub.lan', LAN, /not of/],
  ['http://hub.lan@evil.example', 'hub.lan', LAN, /not of/],
  ['http://evil.example/hub.lan', 'hub.lan', LAN, /not of/],
  ['http://localhost.evil.example', 'localhost', '127.0.0.1', /not of/],
  ['http://127.evil.example', 'localhost', '127.0.0.1', /not of/],
  ['http://127.0.0.1.evil.example', 'localhost', '127.0.0.1', /not of/],
  ['http://128.0.0.1', '127.0.0.1', '127.0.0.1', /not of/],
  ['http://[::2]', '[::1]', '::1', /not of/],
  ['chrome-extension://localhosts', 'localhost', '127.0.0.1', /not of/],
  // A page without a host, and junk.
  ['null', 'localhost', '127.0.0.1', /origin null names no host/],
  ['', 'localhost', '127.0.0.1', /origin {2}names no host/],
  ['file://', 'localhost', '127.0.0.1', /names no host/],
  ['localhost', 'localhost', '127.0.0.1', /names no host/],
  ['http://', 'localhost', '127.0.0.1', /names no host/],
  ['https://evil.example, http://localhost', 'localhost', '127.0.0.1', /names no host/],
  ['http://localhost, https://evil.example', 'localhost', '127.0.0.1', /names no host/],
  // The name of the page points to the loopback interface.
  ['http://evil.example:8083', 'evil.example:8083', '127.0.0.1', /evil\.example is no name of the loopback/],
  ['http://evil.example:8083', 'evil.example:8083', '::1', /no name of the loopback/],
  ['http://evil.example:8083', 'evil.example:8083', '::ffff:127.0.0.1', /no name of the loopback/],
  ['http://192.168.1.20', '192.168.1.20', '127.0.0.1', /no name of the loopback/],
  ['http://localhost.', 'localhost.', '127.0.0.1', /no name of the loopback/],
  // Nothing to compare with.
  ['http://hub.lan', undefined, LAN, /Host header {2}names no host/],
  ['http://hub.lan', '', LAN, /Host header {2}names no host/],
  ['http://hub.lan', 'evil.example@hub.lan', LAN, /Host header .* names no host/],
  ['http://hub.lan', 'hub.lan/evil', LAN, /Host header .* names no host/],
  ['http://hub.lan', 'hub.lan:port', LAN, /Host header .* names no host/],
  ['http://hub.lan', 'hub.lan, evil.example', LAN, /Host header .* names no host/],
]
for (const [origin, host, localAddress, problem] of refused) {
  test(`origin ${origin}, host ${host}, at ${localAddress}: refused`, () => {
    assert.match(originProblem({ origin, host, localAddress }) ?? 'accepted', problem)
  })
}

test('what is said of an origin is short', () => {
  const long = `http://${'x'.repeat(8000)}`
  for (const host of ['localhost', long]) {
    const problem = originProblem({ origin: long, host, localAddress: LAN })
    assert.ok(problem !== null && problem.length < 300, problem ?? 'accepted')
  }
})
