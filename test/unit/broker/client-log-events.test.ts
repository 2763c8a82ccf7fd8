/** What $SYS/broker/events/client tells. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { ClientEvents } from '../../../src/broker/report/client-events.ts'
import { configOf, type EmbeddedHub, embedHub, turns, until } from '../../support/embedded-hub.ts'
import { connect } from '../../support/packets.ts'
import type { Cleanup, RawClient } from '../../support/raw-client.ts'

const PASSWORD = 'open sesame'
const CONFIG = configOf(
  `principals:
  - username: admin
    password: ${PASSWORD}
    permissions: [{ action: sub, permit: ['$SYS/#', '#'] }, { action: pub, permit: ['#'] }]
  - username: device
    password: ${PASSWORD}
    permissions: [{ action: sub, permit: ['#'] }, { action: pub, permit: ['#'] }]`,
  '',
)
const TOPIC = '$SYS/broker/events/client/'
const account = (username: string) => ({ username, password: PASSWORD })

interface Watched extends EmbeddedHub {
  readonly events: ClientEvents
  readonly watcher: RawClient
  /** The next event: what, and its fields without the time, which is checked. */
  readonly next: () => Promise<[string, Record<string, unknown>]>
}

async function embedWatched(t: Cleanup): Promise<Watched> {
  const embedded = await embedHub(t, { config: CONFIG })
  const watcher = await embedded.connect('watcher', account('admin'))
  await watcher.subscribe([`${TOPIC}#`, 1])
  const events = new ClientEvents(embedded.hub)
  events.start()
  const next: Watched['next'] = async () => {
    const { topic, payload, qos, retain } = await watcher.expect('publish')
    assert.deepEqual({ qos, retain }, { qos: 0, retain: false })
    assert.ok(topic.startsWith(TOPIC), topic)
    const { time, ...fields } = JSON.parse(payload.toString())
    assert.equal(new Date(time).toISOString(), time)
    assert.ok(Math.abs(Date.now() - Date.parse(time)) < 10_000, time)
    return [topic.slice(TOPIC.length), fields]
  }
  return { ...embedded, events, watcher, next }
}

const FACTS = { clientId: 'c1', principal: 'device', address: '127.0.0.1', transport: 'tcp', protocol: '3.1.1' }

suite('events of clients', { concurrency: true }, () => {
  test('tell who comes and goes', async t => {
    const { connect: connectAs, next } = await embedWatched(t)
    const client = await connectAs('c1', { ...account('device'), keepAlive: 90 })
    const facts = { ...FACTS, cleanSession: true, keepAlive: 90 }
    assert.deepEqual(await next(), ['connected', facts])
    await client.publish({ topic: 'a', payload: 'x', qos: 1 })
    await client.disconnect()
    const [what, { durationSeconds, ...fields }] = await next()
    assert.equal(what, 'disconnected')
    assert.deepEqual(fields, { ...facts, reason: 'disconnected', received: 1, sent: 0 })
    assert.ok(typeof durationSeconds === 'number' && durationSeconds < 60, `${String(durationSeconds)} seconds`)
  })

  test('tell why: an error, a Will, a take-over', async t => {
    const { connect: connectAs, next } = await embedWatched(t)
    const session = { ...account('device'), cleanSession: false, protocolLevel: 3, protocolName: 'MQIsdp' }
    const first = await connectAs('c1', { ...session, will: { topic: 'w', payload: 'secret' } })
    const closed = first.closed()
    const second = await connectAs('c1', session)
    await closed
    second.send(Buffer.from([0x36, 5, 0, 1, 0x61, 0, 1])) // QoS 3
    await second.closed()
    const told = [await next(), await next(), await next(), await next()]
    assert.deepEqual(
      told.map(([what, { reason, will }]) => [what, reason, will]),
      [
        ['connected', undefined, undefined],
        ['disconnected', 'taken over', true],
        ['connected', undefined, undefined],
        ['disconnected', told[3]?.[1]['reason'], undefined],
      ],
    )
    assert.match(String(told[3]?.[1]['reason']), /MQTT-3\.3\.1-4/)
    for (const [, { cleanSession, protocol }] of told)
      assert.deepEqual({ cleanSession, protocol }, { cleanSession: false, protocol: '3.1' })
    assert.ok(!JSON.stringify(told).includes('secret'), 'no payload is told')
  })

  test('tell who is refused, and nothing secret', async t => {
    const { open, next } = await embedWatched(t)
    const guesser = await open()
    await guesser.connect({ clientId: 'c1', username: 'device', password: 'wrong guess' })
    await guesser.closed()
    const { principal: _principal, ...facts } = FACTS
    const reason = 'username (device) or password not permitted'
    assert.deepEqual(await next(), ['refused', { ...facts, username: 'device', cleanSession: true, code: 4, reason }])
    const stranger = await open()
    await stranger.connect({ protocolLevel: 7 })
    await stranger.closed()
    const { address, transport } = FACTS
    const early = { address, transport, code: 1, reason: 'unacceptable protocol version' }
    assert.deepEqual(await next(), ['refused', early])
  })

  test('are heard by whoever may read $SYS, and are not part of #', async t => {
    const { connect: connectAs, next } = await embedWatched(t)
    const device = await connectAs('c1', account('device'))
    await next()
    await device.subscribe(['#', 0])
    device.send(Buffer.from([0x82, 32, 0, 1, 0, 27]), Buffer.from(`${TOPIC}#`), Buffer.from([0]))
    assert.deepEqual((await device.expect('suback')).returnCodes, [128])
    await connectAs('c2', account('device'))
    await next()
    await device.quiet()
  })

  test('begin and end with start and stop, and leave the hub on its fast way', async t => {
    const { connect: connectAs, events, hub, next, watcher } = await embedWatched(t)
    events.start()
    await connectAs('c1', account('device'))
    assert.equal((await next())[1]['clientId'], 'c1')
    hub.refreshMode()
    assert.equal(hub.isPlain, true)
    events.stop()
    await connectAs('c2', account('device'))
    await turns()
    await watcher.quiet()
    events.start()
    await connectAs('c3', account('device'))
    assert.equal((await next())[1]['clientId'], 'c3')
    await watcher.quiet()
  })

  test('of a storm are bounded, and the next one tells how many were left out', async t => {
    const { hub, events, next, watcher } = await embedWatched(t)
    const client = hub.clients['watcher']
    assert.ok(client !== undefined, 'the watcher is connected')
    hub.state.tick()
    for (let i = 0; i < 2500; i++) events.refused(client, 4, 'a storm')
    events.connected(client)
    for (let i = 0; i < 1000; i++) assert.equal((await next())[0], 'refused')
    assert.equal((await next())[0], 'connected', 'another kind has room')
    await watcher.quiet()
    const since = performance.now()
    await until(() => performance.now() - since > 1100, 'a second has passed')
    hub.state.tick()
    for (const expected of [1500, undefined]) {
      events.refused(client, 4, 'one more')
      const [, { leftOut, reason }] = await next()
      assert.deepEqual({ leftOut, reason }, { leftOut: expected, reason: 'one more' })
    }
  })

  test('never happen within another, even if hearing one causes the next', async t => {
    const { hub, connect: connectAs } = await embedWatched(t)
    let depth = 0
    const heard: string[] = []
    const ids = ['c1', 'c2', 'c3']
    for (const id of ids) {
      const client = await connectAs(id, account('device'))
      void client.closed()
    }
    await turns()
    hub.subscribe(
      `${TOPIC}disconnected`,
      (packet, done) => {
        assert.equal(depth++, 0)
        const { clientId } = JSON.parse(packet.payload.toString())
        heard.push(clientId)
        hub.clients[ids[heard.length] ?? '']?.close()
        depth--
        done()
      },
      () => {},
    )
    hub.clients['c1']?.close()
    await until(() => heard.length === 3, 'all are told')
    assert.deepEqual(heard, ids)
  })

  test('are silent when the hub stops', async t => {
    const { hub, connect: connectAs, open, watcher } = await embedWatched(t)
    const client = await connectAs('c1', account('device'))
    assert.equal((await watcher.expect('publish')).topic, `${TOPIC}connected`)
    void client.closed()
    const idle = await open()
    idle.send(connect({}).subarray(0, 3))
    void idle.closed()
    const closed = watcher.closed()
    await hub.closeGently(1000)
    await closed
  })
})
