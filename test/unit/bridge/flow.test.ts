/** What a flow does about brokers that misbehave, and about what it can't finish. */
import assert from 'node:assert/strict'
import { mock, type TestContext, test } from 'node:test'
import type { Connection } from '../../../src/bridge/connection.ts'
import { Flow } from '../../../src/bridge/flow.ts'
import { TopicMap } from '../../../src/bridge/topic-map.ts'
import { silentLogger } from '../../../src/common/index.ts'
import type { BridgeSubscriptionConfig } from '../../../src/config/index.ts'
import { chanceOf, End, Wire } from '../../support/bridge-flow-ends.ts'
import { type PublishOptions, publish } from '../../support/packets.ts'

const PUBACK = 4
const PUBREC = 5
const PUBCOMP = 7

type Qos = 0 | 1 | 2

const taken = (topic: string, qos: Qos, most: Qos = 2): BridgeSubscriptionConfig => ({
  topic,
  qos,
  target: { topic: '', qos: most, retain: 'keep' },
  limit: null,
})

/** A flow whose ends are at hand. Both sessions were there before. */
class Rig {
  readonly source = new End()
  readonly target = new End()
  readonly flow: Flow

  constructor(subscriptions: BridgeSubscriptionConfig[], { window = 100, offlineMax = 0 } = {}) {
    const settings = { topics: new TopicMap(subscriptions), window, offlineMax, guard: null }
    this.flow = new Flow('out', this, settings, silentLogger)
    this.sourceUp(true)
    this.targetUp(true)
  }

  sourceUp(sessionPresent: boolean): void {
    this.source.wire = new Wire(true)
    this.flow.sourceUp(sessionPresent)
  }

  targetUp(sessionPresent: boolean): void {
    this.target.wire = new Wire(true)
    this.flow.targetUp(this.target.connection as Connection, sessionPresent)
  }

  targetDown(isByPeer = false): void {
    this.target.wire = null
    this.flow.targetDown(isByPeer)
  }

  send(options: PublishOptions): void {
    const chunk = publish(options)
    let body = 2
    while ((chunk[body - 1] as number) > 127) body++
    this.flow.publish(this.source.connection as Connection, chunk, 0, body, chunk.length)
    this.flow.readEnd()
  }

  /** What an end was told since it was asked last, such as `pubrel 5`. */
  told(end: End): string[] {
    return (end.wire?.write() ?? []).map(packet => {
      const text = `${packet.type} ${'packetId' in packet ? packet.packetId : 0}`
      return packet.type === 'publish' ? `${text} ${packet.payload.toString()}` : text
    })
  }

  get inFlight(): number {
    return this.flow.figures(performance.now()).inFlight
  }
}

test('brokers that say whatever comes to their minds: nobody is told of identifier 0, and the window recovers', () => {
  for (let seed = 1; seed <= 300; seed++) {
    const chance = chanceOf(seed)
    const rig = new Rig([taken('a', 2), taken('b', 2, 1), taken('c', 2, 0)], { window: 3, offlineMax: 2 })
    const reconnect = (sessionPresent: boolean): void => {
      rig.targetDown()
      rig.sourceUp(sessionPresent)
      rig.targetUp(sessionPresent)
    }
    for (let i = 0; i < 200; i++) {
      const id = chance(6)
      if (chance(25) === 0) reconnect(chance(2) === 0)
      else if (chance(4) === 0) rig.flow.released(id)
      else if (chance(2) === 0) rig.flow.acknowledged([PUBACK, PUBREC, PUBCOMP][chance(3)] as number, id)
      else rig.send({ topic: 'abcd'.charAt(chance(4)), qos: chance(3), dup: chance(2) === 0, packetId: id })
      for (const end of [rig.source, rig.target]) end.wire?.write() // throws when it finds identifier 0
    }
    reconnect(false)
    for (let i = 0; i < 200; i++) {
      for (const packet of rig.target.wire?.write() ?? []) {
        if (packet.type === 'pubrel') rig.flow.acknowledged(PUBCOMP, packet.packetId)
        else if (packet.type === 'publish') rig.flow.acknowledged(packet.qos === 2 ? PUBREC : PUBACK, packet.packetId)
      }
    }
    const { inFlight, waiting } = rig.flow.figures(performance.now())
    assert.deepEqual({ inFlight, waiting }, { inFlight: 0, waiting: 0 }, `seed ${seed}`)
  }
})

test('a target that is sent nothing with QoS 2 is sent no PUBREL of an earlier process', () => {
  const rig = new Rig([taken('#', 2, 1)])
  rig.flow.released(7)
  assert.deepEqual(rig.told(rig.target), [])
  assert.deepEqual(rig.told(rig.source), ['pubcomp 7'])
})

test('the end of a message that went no further is between the source and the bridge', () => {
  const rig = new Rig([taken('a', 2), taken('b', 2, 0)])
  rig.targetDown()
  for (const [packetId, topic] of ['nobody', 'b'].entries()) {
    rig.send({ topic, qos: 2, packetId: packetId + 1 })
    rig.flow.released(packetId + 1)
    assert.deepEqual(rig.told(rig.source), [`pubrec ${packetId + 1}`, `pubcomp ${packetId + 1}`])
  }
  rig.targetUp(true)
  assert.deepEqual(rig.told(rig.target), [])
})

/** Time that passes when it is told to. */
function stopClock(t: TestContext): (ms: number) => void {
  let now = 0
  t.mock.method(performance, 'now', () => now)
  mock.timers.enable({ apis: ['setTimeout'] })
  t.after(() => mock.timers.reset())
  return ms => {
    now += ms
    mock.timers.tick(ms)
  }
}

test('a target that closes on every PUBREL costs no message its life', t => {
  const pass = stopClock(t)
  const rig = new Rig([taken('#', 2)])
  rig.flow.released(7)
  for (const packetId of [1, 2, 3]) rig.send({ topic: 'good', qos: 1, packetId, payload: `${packetId}` })
  for (let i = 0; i < 20; i++) {
    rig.targetDown(true)
    pass(500)
    rig.targetUp(true)
    pass(2100)
    // A message that goes without a PUBREL beside it is taken.
    const told = rig.told(rig.target)
    if (told.some(text => text.startsWith('pubrel'))) continue
    for (const text of told) rig.flow.acknowledged(PUBACK, Number(text.split(' ')[1]))
  }
  assert.equal(rig.flow.counters.dropped.rejected, 0)
})

test('when the quarantine is lifted, its timer is over too', t => {
  const pass = stopClock(t)
  const rig = new Rig([taken('#', 2)])
  for (const packetId of [1, 2]) rig.send({ topic: 't', qos: 1, packetId, payload: `${packetId}` })
  for (let i = 0; i < 3; i++) {
    rig.targetDown(true)
    rig.targetUp(true)
  }
  rig.told(rig.target)
  rig.flow.released(50)
  assert.deepEqual(rig.told(rig.target), [], 'nothing goes beside a suspect')
  rig.flow.acknowledged(PUBACK, 1)
  assert.deepEqual(rig.told(rig.target), ['publish 2 2', 'pubrel 50'])
  pass(5000)
  assert.deepEqual(rig.told(rig.target), [])
})

test('it does not wait for a source that is away when it stops', async () => {
  const rig = new Rig([taken('#', 2)])
  rig.send({ topic: 'a', qos: 2, packetId: 5 })
  rig.source.wire = null
  rig.flow.acknowledged(PUBREC, 5)
  const late = new Promise(resolve => setTimeout(resolve, 500, 'late'))
  assert.notEqual(await Promise.race([rig.flow.drain(), late]), 'late')
})

test('when it stops it listens to the source again: acknowledgements for the other direction come from there', () => {
  const rig = new Rig([taken('#', 1)], { window: 1 })
  const payload = Buffer.alloc(500_000)
  for (let packetId = 1; packetId <= 40; packetId++) rig.send({ topic: 'a', qos: 1, packetId, payload })
  assert.equal(rig.source.wire?.isPaused, true)
  void rig.flow.drain()
  assert.equal(rig.source.wire?.isPaused, false)
})

test('a target that takes no output is not given all that the window allows, however long', () => {
  const rig = new Rig([taken('#', 1)])
  const wire = rig.target.wire as Wire
  wire.blocked = true
  const payload = Buffer.alloc(1_000_000)
  for (let packetId = 1; packetId <= 100; packetId++) rig.send({ topic: 'a', qos: 1, packetId, payload })
  assert.ok(wire.output.size < 40_000_000, `${wire.output.size} bytes wait for the target`)
  assert.equal(rig.source.wire?.isPaused, true)
})

test('a message that changes its target topic in a reload is the same when it comes again', () => {
  const rig = new Rig([taken('#', 2)])
  rig.send({ topic: 'a', qos: 2, packetId: 5, payload: 'x' })
  rig.flow.acknowledged(PUBREC, 5)
  const moved = { ...taken('#', 2), target: { topic: 'new/{topic}', qos: 2 as const, retain: 'keep' as const } }
  rig.flow.use({ topics: new TopicMap([moved]), window: 100, offlineMax: 0, guard: null })
  rig.sourceUp(true)
  rig.told(rig.target)
  rig.send({ topic: 'a', qos: 2, packetId: 5, payload: 'x', dup: true })
  assert.deepEqual(rig.told(rig.source), ['pubrec 5'])
  rig.flow.released(5)
  assert.deepEqual(rig.told(rig.target), ['pubrel 5'])
  rig.flow.acknowledged(PUBCOMP, 5)
  assert.deepEqual(rig.told(rig.source), ['pubcomp 5'])
  assert.equal(rig.inFlight, 0)
})

test('what a target forgot between PUBREC and PUBCOMP goes to it again', () => {
  const rig = new Rig([taken('#', 2)])
  rig.send({ topic: 'a', qos: 2, packetId: 5, payload: 'x' })
  rig.flow.acknowledged(PUBREC, 5)
  rig.flow.released(5)
  assert.deepEqual(rig.told(rig.source), ['pubrec 5'])
  rig.targetDown()
  rig.targetUp(false)
  assert.deepEqual(rig.told(rig.target), ['publish 5 x'])
  rig.flow.acknowledged(PUBREC, 5)
  assert.deepEqual(rig.told(rig.target), ['pubrel 5'])
  assert.deepEqual(rig.told(rig.source), [], 'it has said PUBREL')
  rig.flow.acknowledged(PUBCOMP, 5)
  assert.deepEqual(rig.told(rig.source), ['pubcomp 5'])
})
