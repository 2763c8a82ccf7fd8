/** Clients that say all they have to say and end their half of the connection while a hook is still at work. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import type { HubOptions } from '../../../src/broker/index.ts'
import { type EmbeddedHub, embedHub, payloadsOf, until } from '../../support/embedded-hub.ts'
import { connect, disconnect, type Packet, publish, subscribe } from '../../support/packets.ts'
import type { Cleanup, RawClient } from '../../support/raw-client.ts'

const HOOK_MS = 5
const WILL = { topic: 'will', payload: 'the will' }
const PAYLOADS = ['1', '2', '3', '4', '5']

const SLOW: Readonly<Record<string, HubOptions>> = {
  authorizePublish: { authorizePublish: (_client, _packet, done) => void setTimeout(done, HOOK_MS) },
  authenticate: {
    authenticate: (_client, _username, _password, done) => void setTimeout(done, 4 * HOOK_MS, null, true),
  },
  preConnect: { preConnect: (_client, _packet, done) => void setTimeout(done, 4 * HOOK_MS, null, true) },
  authorizeSubscribe: {
    authorizeSubscribe: (_client, subscription, done) => void setTimeout(done, HOOK_MS, null, subscription),
  },
}

async function withWitness(t: Cleanup, options: HubOptions): Promise<EmbeddedHub & { witness: RawClient }> {
  const embedded = await embedHub(t, options)
  const witness = await embedded.connect('witness')
  await witness.subscribe(['#', 0])
  return { ...embedded, witness }
}

async function receive(client: RawClient, count: number): Promise<string[]> {
  const packets: Packet[] = []
  while (packets.length < count) packets.push(await client.expect('publish'))
  return payloadsOf(packets)
}

for (const [hook, options] of Object.entries(SLOW)) {
  suite(`while ${hook} takes its time`, () => {
    test('messages, DISCONNECT and the end in one go: all messages are handled, and there is no Will', async t => {
      const { hub, open, witness } = await withWitness(t, options)
      const client = await open()
      const packets = PAYLOADS.map(payload => publish({ topic: 't', payload }))
      const first = [connect({ clientId: 'brief', will: WILL }), subscribe(1, ['mine', 0])]
      client.socket.end(Buffer.concat([...first, ...packets, disconnect()]))
      assert.deepEqual(await receive(witness, PAYLOADS.length), PAYLOADS)
      const answers = await client.drain()
      assert.deepEqual(
        answers.map(({ type }) => type),
        ['connack', 'suback'],
      )
      await until(() => hub.connections === 1, 'the connection ends')
      await witness.quiet()
    })

    test('messages and the end, without DISCONNECT: all messages are handled, then comes the Will', async t => {
      const { hub, open, witness } = await withWitness(t, options)
      const client = await open()
      const packets = PAYLOADS.map(payload => publish({ topic: 't', payload }))
      client.socket.end(Buffer.concat([connect({ clientId: 'brief', will: WILL }), ...packets]))
      assert.deepEqual(await receive(witness, PAYLOADS.length + 1), [...PAYLOADS, WILL.payload])
      await until(() => hub.connections === 1, 'the connection ends')
      await witness.quiet()
      await client.drain()
    })

    test('messages of QoS 1 and the end: all are acknowledged, for the client still listens', async t => {
      const { open } = await withWitness(t, options)
      const client = await open()
      const packets = PAYLOADS.map((payload, i) => publish({ topic: 't', payload, qos: 1, packetId: i + 1 }))
      client.socket.end(Buffer.concat([connect({ clientId: 'brief' }), ...packets]))
      const answers = await client.drain()
      assert.deepEqual(
        answers.map(({ type }) => type),
        ['connack', ...PAYLOADS.map(() => 'puback')],
      )
    })
  })
}

test('a stream of this process may end while a hook is at work, too', async t => {
  const { connectStream, witness } = await withWitness(t, SLOW['authorizePublish'] as HubOptions)
  const client = await connectStream('brief')
  client.send(...PAYLOADS.map(payload => publish({ topic: 't', payload })))
  client.socket.end(disconnect())
  assert.deepEqual(await receive(witness, PAYLOADS.length), PAYLOADS)
  await client.closed()
})
