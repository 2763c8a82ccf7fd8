/** Brokers that do what the standard forbids, or can not bear a message: the bridge and its other rules live on. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import type { FakeBroker, FakeConnection } from '../support/bridge-fake.ts'
import { lineOf } from '../support/bridge-packets.ts'
import { oneRule, Stage, type TestBridge } from '../support/bridge-stage.ts'
import { field, packet, puback, pubcomp, publish, pubrec, pubrel, u16 } from '../support/packets.ts'
import type { Cleanup } from '../support/raw-client.ts'

interface Scene {
  bridge: TestBridge
  hub: FakeBroker
  remote: FakeBroker
  local: FakeConnection
  far: FakeConnection
}

async function scene(t: Cleanup, message?: { length: { max: string } }): Promise<Scene> {
  const stage = new Stage(t)
  const [hub, remote] = [await stage.fake(), await stage.fake()]
  const flows = { out: [{ topic: 'up/#', qos: 2 }], in: [{ topic: 'down/#', qos: 2 }] }
  const more = message === undefined ? {} : { message }
  const bridge = await stage.connectedBridge(oneRule(hub.address, remote.address, flows, more))
  return { bridge, hub, remote, local: await hub.ready(), far: await remote.ready() }
}

/** Both directions work, by the connections that stand now. */
async function assertWorks({ local }: Scene, far: FakeConnection): Promise<void> {
  local.publish({ topic: 'up/ok', payload: 'up', qos: 1, packetId: 60_001 })
  let up = await far.next()
  if (up.type === 'puback') up = await far.next() // of a message that went no further
  assert.ok(up.type === 'publish', `the message goes up, not ${up.type}`)
  assert.equal(lineOf(up), 'up/ok 1 up')
  far.send(puback(up.packetId))
  assert.equal((await local.expect('puback')).packetId, 60_001)
  far.publish({ topic: 'down/ok', payload: 'down', qos: 1, packetId: 60_002 })
  const down = await local.expect('publish')
  assert.equal(lineOf(down), 'down/ok 1 down')
  local.send(puback(down.packetId))
  assert.equal((await far.expect('puback')).packetId, 60_002)
}

suite('bytes that no broker may send', () => {
  const raw = (...parts: Uint8Array[]): Buffer => Buffer.concat(parts)
  const cases: [what: string, bytes: Buffer][] = [
    ['a packet of type 0', Buffer.from([0x00, 0])],
    ['a packet of type 15', Buffer.from([0xf0, 0])],
    ['CONNECT', packet(0x10, field('MQTT'), Buffer.from([4, 2]), u16(0), field('x'))],
    ['SUBSCRIBE', packet(0x82, u16(1), field('a'), Buffer.from([0]))],
    ['PINGREQ', packet(0xc0)],
    ['DISCONNECT', packet(0xe0)],
    ['a second CONNACK', packet(0x20, Buffer.from([0, 0]))],
    ['a remaining length of five bytes', Buffer.from([0x30, 0xff, 0xff, 0xff, 0xff, 0x01])],
    ['PUBLISH of QoS 3', packet(0x36, field('down/1'), u16(1))],
    ['PUBLISH with packet identifier 0', publish({ topic: 'down/1', qos: 1, packetId: 0 })],
    [
      'PUBLISH with a topic that is no UTF-8',
      publish({ topic: raw(Buffer.from('down/'), Buffer.from([0xff])), qos: 1 }),
    ],
    ['PUBLISH whose topic is longer than it', packet(0x32, u16(500), Buffer.from('down'))],
    ['PUBLISH without room for its identifier', packet(0x32, field('down/1'))],
    ['PUBLISH of no bytes', packet(0x30)],
    ['PUBACK of one byte', packet(0x40, Buffer.from([1]))],
    ['PUBACK of three bytes', packet(0x40, u16(1), Buffer.from([0]))],
    ['PUBACK with flags', packet(0x44, u16(1))],
    ['PUBREL without its flags', packet(0x60, u16(1))],
  ]
  for (const [what, bytes] of cases) {
    test(`${what}: the link is made anew, and the rule goes on`, async t => {
      const all = await scene(t)
      all.far.send(bytes)
      await all.far.closed()
      const again = await all.remote.ready()
      await assertWorks(all, again)
      assert.equal(all.bridge.link('remote').lastErrorCode, 'ERR_BRIDGE_PROTOCOL')
      assert.equal(all.hub.connections.length, 1, 'the other link stays')
    })
  }

  // To break the link for what a broker keeps would break it for ever.
  const harmless: typeof cases = [
    ['PUBLISH with a wildcard in its topic', publish({ topic: 'down/+', qos: 1, packetId: 1 })],
    ['PUBLISH with an empty topic', publish({ topic: '', qos: 1, packetId: 1 })],
    ['PUBLISH with U+0000 in its topic', publish({ topic: 'down/\0', qos: 1, packetId: 1 })],
    ['PUBACK with packet identifier 0', puback(0)],
  ]
  for (const [what, bytes] of harmless) {
    test(`${what}: goes no further, and the rule goes on`, async t => {
      const all = await scene(t)
      all.far.send(bytes)
      await all.local.nothing(150)
      await assertWorks(all, all.far.isClosed ? await all.remote.ready() : all.far)
    })
  }

  test('acknowledgements of what is not on its way change nothing', async t => {
    const all = await scene(t)
    all.far.send(puback(1), pubrec(2), pubcomp(3), puback(65_535))
    all.local.send(puback(1), pubcomp(9))
    const answer = all.far.next(1000).catch(() => null)
    await answer // a PUBREL for the PUBREC that nobody waits for is permitted
    await assertWorks(all, all.remote.standing.at(-1) as FakeConnection)
  })

  test('acknowledgements of the wrong kind do not lose the message', async t => {
    const all = await scene(t)
    all.local.publish({ topic: 'up/1', payload: 'm', qos: 1, packetId: 4 })
    await all.far.expect('publish')
    all.far.send(pubcomp(4))
    await all.local.nothing(100)
    const at = all.far.isClosed ? await all.remote.ready() : all.far
    if (at !== all.far) assert.equal(lineOf(await at.expect('publish')), 'up/1 1 m DUP')
    at.send(puback(4))
    assert.equal((await all.local.expect('puback')).packetId, 4)
  })

  test('PUBREL of what never came is answered', async t => {
    const all = await scene(t)
    all.hub.manners.acknowledges = true // it may be asked, who has begun it perhaps
    all.far.send(pubrel(77))
    assert.equal((await all.far.expect('pubcomp')).packetId, 77)
  })

  test('a packet that never ends takes no more memory than the longest message', async t => {
    const all = await scene(t, { length: { max: '64k' } })
    // 256 MiB are announced. What is beyond the longest message is read and forgotten, or the link is given up.
    all.far.send(Buffer.from([0x32, 0xff, 0xff, 0xff, 0x7f]), field('down/1'), u16(1))
    const before = process.memoryUsage().arrayBuffers
    const chunk = Buffer.alloc(1024 * 1024)
    for (let i = 0; i < 60 && !all.far.isClosed; i++) {
      all.far.send(chunk)
      await new Promise(resolve => setTimeout(resolve, 5))
    }
    const grown = process.memoryUsage().arrayBuffers - before
    assert.ok(grown < 30 * 1024 * 1024, `${grown} bytes more`)
  })
})

suite('a message that the remote can not bear', () => {
  for (const qos of [1, 2]) {
    test(`QoS ${qos}: it is given up after some tries and counted, and the others go on`, async t => {
      const all = await scene(t)
      all.remote.manners.acknowledges = true
      all.remote.manners.onPublish = ({ topic }, connection) => {
        if (topic === 'up/poison') connection.destroy()
      }
      all.local.publish({ topic: 'up/1', payload: '1', qos: 1, packetId: 1 })
      all.local.publish({ topic: 'up/poison', payload: '2', qos, packetId: 2 })
      for (const packetId of [3, 4, 5]) all.local.publish({ topic: 'up/1', payload: `${packetId}`, qos: 1, packetId })
      const acknowledged = new Set<number>()
      while (acknowledged.size < 5) {
        const sent = await all.local.next(60_000)
        if (sent.type === 'puback' || sent.type === 'pubrec') acknowledged.add(sent.packetId)
        if (sent.type === 'pubrec') all.local.send(pubrel(sent.packetId))
      }
      assert.deepEqual(
        [...acknowledged].sort((a, b) => a - b),
        [1, 2, 3, 4, 5],
      )
      assert.equal(all.bridge.flow('out').dropped.rejected, 1)
      const came = all.remote.connections.flatMap(connection => connection.all('publish'))
      const tries = came.filter(({ topic }) => topic === 'up/poison').length
      assert.ok(tries >= 2 && tries <= 20, `${tries} tries`)
      const payloads = new Set(came.map(({ payload }) => payload.toString()))
      assert.deepEqual([...payloads].sort(), ['1', '2', '3', '4', '5'], 'all others were there')
      assert.ok(all.bridge.log.find(['warn', 'error'], 'up/poison').length >= 1, all.bridge.log.toString())
    })
  }

  test('a remote that takes nothing at all for a while loses nothing', async t => {
    const all = await scene(t)
    all.remote.manners.onPublish = (_message, connection) => connection.destroy()
    for (const packetId of [1, 2, 3])
      all.local.publish({ topic: `up/${packetId}`, payload: `${packetId}`, qos: 1, packetId })
    await all.far.closed()
    for (let closed = 1; closed < 3; closed++) await (await all.remote.next(20_000)).closed()
    all.remote.manners.onPublish = null
    all.remote.manners.acknowledges = true
    const acknowledged = new Set<number>()
    while (acknowledged.size < 3) acknowledged.add((await all.local.expect('puback', 60_000)).packetId)
    const came = new Set(all.remote.connections.flatMap(each => each.all('publish')).map(({ topic }) => topic))
    assert.deepEqual([...came].sort(), ['up/1', 'up/2', 'up/3'])
    assert.equal(all.bridge.flow('out').dropped.rejected, 0, 'three refusals are too few to give a message up')
  })
})
