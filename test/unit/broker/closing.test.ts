/** Connections that a listener, a hook or the client itself ends at an awkward moment. */
import assert from 'node:assert/strict'
import { type EventEmitter, once } from 'node:events'
import { suite, test } from 'node:test'
import { embedHub, payloadsOf, until } from '../../support/embedded-hub.ts'
import { connect } from '../../support/packets.ts'

const KEPT = { cleanSession: false }

interface Closable {
  id: string | null
  close(): void
}

suite('a listener that closes the client it is told of', () => {
  for (const [event, clientAt] of [
    ['client', 0],
    ['connackSent', 1],
  ] as const) {
    test(`${event}: nothing is delivered to the dead connection, and nothing is lost`, async t => {
      const { hub, open, connect: connectAs } = await embedHub(t)
      const first = await connectAs('kept', KEPT)
      await first.subscribe(['now', 0], ['later', 1])
      await first.disconnect()
      const publisher = await connectAs('publisher')
      await publisher.publish({ topic: 'later', payload: 'before', qos: 1 })

      const kick = (...args: unknown[]): void => {
        const client = args[clientAt] as Closable
        if (client.id === 'kept') client.close()
      }
      const events: EventEmitter = hub
      events.on(event, kick)
      const kicked = await open()
      kicked.send(connect({ clientId: 'kept', cleanSession: false }))
      await kicked.drain()
      assert.ok(hub.sessions.get('kept')?.receiver === null, 'the session belongs to a connection that is over')
      const { messagesSent } = hub.state.counters
      for (let i = 0; i < 10; i++) await publisher.publish({ topic: 'now', payload: 'gone' })
      await publisher.publish({ topic: 'later', payload: 'meanwhile', qos: 1 })
      assert.equal(hub.state.counters.messagesSent, messagesSent, 'messages count as sent to nobody')

      events.off(event, kick)
      const last = await connectAs('kept', KEPT)
      const before = await last.expect('publish')
      const meanwhile = await last.expect('publish')
      assert.deepEqual(payloadsOf([before, meanwhile]), ['before', 'meanwhile'])
      assert.deepEqual([before.dup, meanwhile.dup], [false, false], 'sent before, to a connection that was over')
      await last.quiet()
    })
  }
})

suite('a hook that closes the client while its waiting messages are sent', () => {
  for (const qos of [0, 1] as const) {
    test(`a kept session subscribed with QoS ${qos} keeps them`, async t => {
      let closeAt = ''
      const {
        hub,
        open,
        connect: connectAs,
      } = await embedHub(t, {
        settings: { window: 2 },
        authorizeForward: (client, packet) => {
          if (packet.payload.toString() === closeAt) (client as Closable).close()
          return packet
        },
      })
      const first = await connectAs('kept', KEPT)
      await first.subscribe(['t', qos])
      await first.disconnect()
      const publisher = await connectAs('publisher')
      const payloads = ['m1', 'm2', 'm3', 'm4', 'm5', 'm6']
      for (const payload of payloads) await publisher.publish({ topic: 't', payload, qos: 1 })
      assert.equal(hub.sessions.get('kept')?.queued, 6)

      closeAt = 'm2'
      const cut = await open()
      cut.send(connect({ clientId: 'kept', cleanSession: false }))
      const [connack, ...others] = await cut.drain()
      assert.ok(connack === undefined || connack.type === 'connack', 'something came before CONNACK')
      const left = payloads.filter(payload => !payloadsOf(others).includes(payload))

      closeAt = ''
      const again = await connectAs('kept', KEPT)
      const received: string[] = []
      // A message of QoS 0 that was being sent may be gone with the connection, no other.
      const wanted = qos === 0 ? left.filter(payload => payload > 'm2') : left
      while (!wanted.every(payload => received.includes(payload)))
        received.push((await again.receive()).payload.toString())
      assert.deepEqual(received, [...new Set(received)].sort(), 'each once and in order')
      await again.quiet()
    })
  }
})

test('the Will of a CONNECT that is never answered is not published', async t => {
  const held: (() => void)[] = []
  let holds = false
  const {
    hub,
    open,
    connect: connectAs,
  } = await embedHub(t, {
    authorizeSubscribe: (_client, subscription, done) => {
      if (holds && subscription.topic === 'mine') held.push(() => done(null, subscription))
      else done(null, subscription)
    },
  })
  const first = await connectAs('kept', KEPT)
  await first.subscribe(['mine', 1])
  await first.disconnect()
  const witness = await connectAs('witness')
  await witness.subscribe(['will/#', 0])

  holds = true
  const pending = await open()
  pending.send(connect({ clientId: 'kept', cleanSession: false, will: { topic: 'will/early', payload: 'x' } }))
  await until(() => held.length > 0, 'the hook is asked')
  const { connections } = hub
  pending.socket.resetAndDestroy() // a plain end would let the hook finish, and then the client has been there
  await until(() => hub.connections < connections, 'the hub hears of the end')
  pending.destroy()
  for (const release of held) release()
  holds = false

  const welcome = await connectAs('mortal', { will: { topic: 'will/late', payload: 'y' } })
  welcome.destroy()
  await once(hub, 'clientDisconnect')
  assert.equal((await witness.expect('publish')).topic, 'will/late')
  await witness.quiet()
})

suite('a second CONNECT', () => {
  for (const protocolLevel of [3, 4, 5]) {
    test(`of level ${protocolLevel} closes the connection without an answer [MQTT-3.1.0-2]`, async t => {
      const { connect: connectAs } = await embedHub(t)
      const client = await connectAs('twice')
      client.send(connect({ clientId: 'twice', protocolLevel }))
      assert.deepEqual(await client.drain(), [])
    })
  }

  test('of a bad level while the first is being looked at closes the connection without an answer', async t => {
    const asked: (() => void)[] = []
    const { hub, open } = await embedHub(t, {
      authenticate: (_client, _username, _password, done) => void asked.push(() => done(null, true)),
    })
    const client = await open()
    client.send(connect({ clientId: 'twice' }), connect({ clientId: 'twice', protocolLevel: 5 }))
    await until(() => asked.length > 0, 'the hook is asked')
    asked[0]?.()
    const answers = await client.drain()
    assert.ok(
      answers.every(answer => answer.type === 'connack' && answer.returnCode === 0),
      `answered ${JSON.stringify(answers)}`,
    )
    await until(() => hub.connections === 0, 'the connection ends')
  })
})
