/** Which web pages may open a WebSocket, over real sockets. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { after, before, describe, test } from 'node:test'
import { WebSocket } from 'ws'
import { makeTestCertificates, type TestCertificates } from '../support/certs.ts'
import {
  type Cleanup,
  echo,
  hostAndPort,
  materialOf,
  openSocket,
  readToEnd,
  startListener,
  type TestListener,
  type TestListenerOptions,
  untilStill,
} from './listener-harness.ts'

const LIMIT = { timeout: 20_000 }

interface Answer {
  readonly status: number
  readonly text: string
}

for (const scheme of ['ws', 'wss'] as const) {
  describe(`web pages at ${scheme}`, () => {
    let certificates: TestCertificates
    before(async () => {
      certificates = await makeTestCertificates()
    })
    after(() => certificates.remove())

    const start = (t: Cleanup, options: TestListenerOptions): Promise<TestListener> =>
      startListener(t, scheme, {
        ...(scheme === 'wss' && { tls: materialOf(certificates) }),
        onAccept: echo,
        ...options,
      })

    /** Asks for a WebSocket as a browser or a device does. The answer is 101 when there is one that carries bytes. */
    async function ask(t: Cleanup, url: string, headers: Record<string, string>): Promise<Answer> {
      const ws = new WebSocket(url, ['mqtt'], { ca: certificates.ca, perMessageDeflate: false, headers })
      t.after(() => ws.terminate())
      ws.on('error', () => {})
      const refusal = once(ws, 'unexpected-response')
      const opening = once(ws, 'open').then(async () => {
        const answer = once(ws, 'message')
        ws.send(Buffer.from('hello'))
        assert.equal(String((await answer)[0]), 'hello')
        return null
      })
      const refused = await Promise.race([refusal, opening])
      for (const pending of [refusal, opening]) pending.catch(() => {})
      if (refused === null) return { status: 101, text: '' }
      const response = refused[1] as IncomingMessage
      const chunks: Buffer[] = []
      for await (const chunk of response) chunks.push(chunk as Buffer)
      return { status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString() }
    }

    test('those of this host are accepted, and devices', LIMIT, async t => {
      const { listener, accepted } = await start(t, { checkOrigin: () => true })
      const { port } = hostAndPort(listener.url)
      const requests: Record<string, string>[] = [
        {},
        { Host: 'hub.example.com' },
        { Origin: `http://127.0.0.1:${port}` },
        { Origin: 'http://localhost:3000' },
        { Origin: 'https://[::1]', Host: 'localhost' },
      ]
      for (const headers of requests) {
        assert.equal((await ask(t, listener.url, headers)).status, 101, JSON.stringify(headers))
      }
      assert.equal(accepted.length, requests.length)
    })

    test('those of other hosts get 403', LIMIT, async t => {
      const { listener, accepted, lines } = await start(t, { checkOrigin: () => true })
      const requests: Record<string, string>[] = [
        { Origin: 'https://evil.example' },
        { Origin: 'null' },
        // The name of the page points to this machine.
        { Origin: 'http://evil.example', Host: 'evil.example' },
      ]
      for (const headers of requests) {
        const { status, text } = await ask(t, listener.url, headers)
        assert.equal(status, 403, JSON.stringify(headers))
        assert.match(text, /^.{10,80}\n$/)
      }
      assert.equal(accepted.length, 0)
      await untilStill(() => lines.length)
      const failures = lines.filter(line => line.event === 'listener.handshake_failed')
      assert.deepEqual(
        failures.map(({ level, fields }) => [level, fields['address']]),
        requests.map(() => ['debug', '127.0.0.1']),
      )
      assert.match(String(failures[0]?.fields['error']), /https:\/\/evil\.example is not of the host 127\.0\.0\.1/)
    })

    test('unless it is asked for nobody looks at it', LIMIT, async t => {
      for (const options of [{}, { checkOrigin: () => false }]) {
        const { listener } = await start(t, options)
        for (const Origin of ['https://evil.example', 'null']) {
          assert.equal((await ask(t, listener.url, { Origin })).status, 101)
        }
      }
    })
  })
}

const KEY = 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=='
const junk: [name: string, headers: string[]][] = [
  ['two origins', ['Sec-WebSocket-Version: 13', 'Origin: http://localhost', 'Origin: https://evil.example']],
  ['an origin under its old name', ['Sec-WebSocket-Version: 8', 'Sec-WebSocket-Origin: https://evil.example']],
  ['an empty origin', ['Sec-WebSocket-Version: 13', 'Origin:']],
]
for (const [name, headers] of junk) {
  test(`${name}: 403, and the connection is closed`, LIMIT, async t => {
    const { listener, accepted } = await startListener(t, 'ws', { checkOrigin: () => true })
    const socket = await openSocket(t, listener.url)
    const head = ['GET / HTTP/1.1', 'Host: localhost', 'Upgrade: websocket', 'Connection: Upgrade', KEY, ...headers]
    socket.write(`${head.join('\r\n')}\r\n\r\n`)
    assert.match((await readToEnd(socket)).toString('latin1'), /^HTTP\/1\.1 403 [^]*\r\n\r\n.+\n$/)
    assert.equal(accepted.length, 0)
  })
}
