import assert from 'node:assert/strict'
import { test } from 'node:test'
import { GatewayError } from '../../../src/common/index.ts'
import { parseListenUrl } from '../../../src/config/index.ts'

test('every scheme, with and without host, IPv4, IPv6, any path on WebSockets', () => {
  const expected: [string, string, string, number, string][] = [
    ['tcp://0.0.0.0:1883', 'tcp', '0.0.0.0', 1883, ''],
    ['mqtt://localhost:0', 'tcp', 'localhost', 0, ''],
    ['tcp://:1883', 'tcp', '', 1883, ''],
    ['TCP://:1883/', 'tcp', '', 1883, ''],
    ['tcp://[::1]:1883', 'tcp', '::1', 1883, ''],
    ['tcp://[::]:65535', 'tcp', '::', 65_535, ''],
    ['ssl://0.0.0.0:8883', 'tls', '0.0.0.0', 8883, ''],
    ['tls://edge-1.example.org:8883', 'tls', 'edge-1.example.org', 8883, ''],
    ['mqtts://:8883', 'tls', '', 8883, ''],
    ['ws://:8083', 'ws', '', 8083, ''],
    ['ws://my_host:8083/', 'ws', 'my_host', 8083, '/'],
    ['wss://[fe80::1]:443/any/path:1', 'wss', 'fe80::1', 443, '/any/path:1'],
    ['unix:///run/openedge.sock', 'unix', '', 0, '/run/openedge.sock'],
    ['unix://var/run/hub.sock', 'unix', '', 0, 'var/run/hub.sock'],
  ]
  for (const [url, scheme, host, port, path] of expected) {
    assert.deepEqual(parseListenUrl(url), { scheme, host, port, path, url })
  }
})

test('what is wrong with an address is said', () => {
  const expected: [string, RegExp][] = [
    ['', /is empty/],
    ['1883', /is no URL; write for instance tcp:\/\/1883/],
    ['localhost:1883', /is no URL/],
    ['//:1883', /is no URL/],
    ['tcp:/:1883', /is no URL/],
    ['tpc://:1883', /unknown scheme tpc; did you mean tcp\?/],
    ['quic+magic://:1', /unknown scheme quic\+magic; known are tcp, mqtt/],
    ['tcp://', /no port/],
    ['tcp://localhost', /no port/],
    ['tcp://localhost:', /no port/],
    ['tcp://localhost/', /no port/],
    ['tcp://[::1]', /no port/],
    ['tcp://:65536', /port 65536; a port is 0 to 65535/],
    ['tcp://:-1', /port -1/],
    ['tcp://:1e3', /port 1e3/],
    ['tcp://:0x10', /port 0x10/],
    ['tcp://::1:1883', /IPv6 address without brackets/],
    ['tcp://[::1:1883', /./],
    ['tcp://[localhost]:1', /no valid host: \[localhost\]/],
    ['tcp://[127.0.0.1]:1', /no valid host/],
    ['tcp://256.0.0.1:1', /no valid host: 256\.0\.0\.1/],
    ['tcp://a..b:1', /no valid host/],
    ['tcp://-a:1', /no valid host/],
    [`tcp://${'a'.repeat(300)}:1`, /no valid host/],
    ['tcp://*:1883', /no valid host/],
    ['tcp://:1883/mqtt', /has the path \/mqtt, which means nothing to tcp/],
    ['ssl://:1883/mqtt', /means nothing to tls/],
    ['ws://:1/a?b', /a query/],
    ['ws://:1/a#b', /a fragment/],
    ['tcp://user@host:1', /has a user/],
    ['tcp://ho st:1', /white space/],
    ['tcp://:1\n', /white space/],
    ['tcp://:1\u0000', /control character/],
    ['unix://', /no path of a socket/],
    ['unix:///run/', /no path of a socket/],
    [`unix:///${'x'.repeat(107)}`, /108 bytes; a unix socket takes 107/],
  ]
  for (const [url, pattern] of expected) {
    assert.throws(
      () => parseListenUrl(url),
      (error: unknown) =>
        error instanceof GatewayError && error.code === 'ERR_CONFIG_LISTEN_URL' && pattern.test(error.message),
      url,
    )
  }
})
