/** Which ends of a connection count as errors of the protocol. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { configOf, type EmbeddedHub, embedHub, until } from '../../support/embedded-hub.ts'
import { type ConnectOptions, connect, disconnect, publish } from '../../support/packets.ts'
import type { RawClient } from '../../support/raw-client.ts'

const ACCOUNT: ConnectOptions = { username: 'device', password: 'open sesame' }
const CONFIG = configOf(
  `principals:
  - username: device
    password: open sesame
    permissions: [{ action: pub, permit: ['t/#'] }]`,
  '',
)
const QOS_3 = Buffer.from([0x36, 7, 0, 3, ...Buffer.from('t/1'), 0, 1])

suite('errors of the protocol are counted', { concurrency: true }, () => {
  type Act = (embedded: EmbeddedHub) => Promise<void>
  const cut =
    (end: (socket: RawClient['socket']) => void): Act =>
    async ({ connect: connectAs }) => {
      const client = await connectAs('c1', ACCOUNT)
      const closed = client.closed()
      end(client.socket)
      await closed
    }
  const sending =
    (...bytes: Uint8Array[]): Act =>
    async ({ connect: connectAs }) => {
      const client = await connectAs('c1', ACCOUNT)
      client.send(Buffer.concat(bytes))
      await client.closed()
    }
  const counted: Readonly<Record<string, [number, Act]>> = {
    'a packet that is none': [1, sending(QOS_3)],
    'a packet out of place': [1, sending(connect(ACCOUNT))],
    'a topic that is not permitted': [1, sending(publish({ topic: 'elsewhere' }))],
    'too many QoS 2 messages at once': [
      1,
      sending(...[1, 2, 3].map(packetId => publish({ topic: 't/1', qos: 2, packetId }))),
    ],
    'no CONNECT': [
      1,
      async ({ open }) => {
        const client = await open()
        client.send(disconnect())
        await client.closed()
      },
    ],
    'more than may come before CONNECT is answered': [
      1,
      async ({ open }) => {
        const client = await open()
        const packets = Array.from({ length: 4 }, () => publish({ topic: 't/1' }))
        client.send(Buffer.concat([connect({ ...ACCOUNT, clientId: 'c1' }), ...packets]))
        await client.closed()
      },
    ],
    'a wrong password': [
      0,
      async ({ open }) => {
        const client = await open()
        await client.connect({ ...ACCOUNT, clientId: 'c1', password: 'wrong' })
        await client.closed()
      },
    ],
    'a connection that is reset': [0, cut(socket => void socket.resetAndDestroy())],
    'a connection that ends': [0, cut(socket => void socket.end())],
    'a client that falls silent': [
      0,
      async ({ connect: connectAs }) => {
        await (await connectAs('c1', { ...ACCOUNT, keepAlive: 1 })).closed()
      },
    ],
  }
  for (const [what, [count, act]] of Object.entries(counted)) {
    test(`${what}: ${count}`, async t => {
      const embedded = await embedHub(t, { config: CONFIG, settings: { packetsBeforeConnect: 3, inboundQos2: 2 } })
      await act(embedded)
      await until(() => embedded.hub.connections === 0, 'the connection has ended')
      assert.equal(embedded.hub.state.counters.protocolErrors, count)
    })
  }
})
