/** The crash test is worth as much as its ledger: each kind of violation is made here once, beside what is allowed. */
import assert from 'node:assert/strict'
import { suite, type TestContext, test } from 'node:test'
import { KINDS, type Kind, Ledger } from './ledger.ts'
import { matches, type SessionRecord } from './session-record.ts'
import { decodePayload, encodePayload, type Stream } from './stream.ts'

const SETTLED_MS = 1100

function found(ledger: Ledger): Partial<Record<Kind, number>> {
  ledger.conclude()
  const kinds = Object.keys(KINDS) as Kind[]
  return Object.fromEntries(kinds.map(kind => [kind, ledger.count(kind)]).filter(([, count]) => count !== 0))
}

/** One stream and one session that is subscribed to it from the beginning. */
class Scene {
  readonly ledger = new Ledger()
  readonly stream: Stream
  readonly session: SessionRecord

  constructor(qos: 1 | 2) {
    this.stream = this.ledger.stream({ publisher: 'p', topic: 'm/1', qos })
    this.session = this.ledger.session('s')
    this.subscribe()
  }

  subscribe(): ReturnType<SessionRecord['ask']> {
    const span = this.session.ask('m/#')
    span.heldFrom = this.ledger.tick()
    return span
  }

  /** Publishes and gets the acknowledgement. */
  publish(): number {
    const number = this.stream.send(this.ledger.tick())
    this.stream.acknowledge(number, this.ledger.tick())
    return number
  }

  receive(number: number, { qos = 1, dup = false, connection = 1 } = {}): ReturnType<SessionRecord['receive']> {
    return this.session.receive({ stream: this.stream, number, qos, dup, connection })
  }
}

function useClock(t: TestContext): (ms: number) => void {
  let now = 1000
  t.mock.method(performance, 'now', () => now)
  return ms => {
    now += ms
  }
}

suite('the ledger of the crash test', () => {
  test('finds nothing when everything comes once and in order', () => {
    const scene = new Scene(1)
    for (let i = 0; i < 3; i++) scene.receive(scene.publish())
    assert.deepEqual(found(scene.ledger), {})
  })

  test('finds an acknowledged message that does not come', () => {
    const scene = new Scene(1)
    scene.publish()
    scene.receive(scene.publish())
    assert.equal(scene.ledger.countMissing(), 1)
    assert.deepEqual(found(scene.ledger), { lost: 1 })
  })

  test('asks only for what was published while the subscription held', () => {
    const scene = new Scene(1)
    const early = scene.stream.send(scene.ledger.tick())
    const other = scene.ledger.session('later')
    const span = other.ask('m/+')
    scene.receive(early)
    span.heldFrom = scene.ledger.tick()
    scene.stream.acknowledge(early, scene.ledger.tick())
    scene.receive(scene.publish())
    assert.equal(scene.ledger.countMissing(), 1, 'the second is due at the other session too')
    span.leavingAt = 0
    assert.deepEqual(found(scene.ledger), {})
  })

  test('finds a message at a session that was not subscribed', () => {
    const scene = new Scene(1)
    const early = scene.publish()
    scene.receive(early)
    const other = scene.ledger.session('other')
    other.receive({ stream: scene.stream, number: early, qos: 1, dup: false, connection: 1 })
    other.ask('m/#')
    assert.deepEqual(found(scene.ledger), { stray: 1 })
  })

  test('finds a message behind a later one', () => {
    const scene = new Scene(1)
    const [first, second] = [scene.publish(), scene.publish()]
    scene.receive(second)
    scene.receive(first)
    assert.deepEqual(found(scene.ledger), { order: 1 })
  })

  test('lets a message that is older than the subscription come behind a later one', () => {
    const scene = new Scene(1)
    const [first, second] = [scene.publish(), scene.publish()]
    scene.receive(first)
    scene.receive(second)
    const other = scene.ledger.session('other')
    const span = other.ask('m/#')
    const third = scene.stream.send(scene.ledger.tick())
    span.heldFrom = scene.ledger.tick()
    const fourth = scene.publish()
    for (const session of [scene.session, other]) {
      for (const number of session === other ? [fourth, third] : [third, fourth]) {
        session.receive({ stream: scene.stream, number, qos: 1, dup: false, connection: 1 })
      }
    }
    scene.stream.acknowledge(third, scene.ledger.tick())
    assert.deepEqual(found(scene.ledger), {})
  })

  test('finds a QoS 2 message that comes twice', () => {
    const scene = new Scene(2)
    const number = scene.publish()
    scene.receive(number, { qos: 2 })
    scene.receive(number, { qos: 2, dup: true, connection: 2 })
    assert.deepEqual(found(scene.ledger), { twice: 1 })
  })

  test('lets a QoS 1 message come again until its PUBACK must be known', t => {
    const pass = useClock(t)
    const scene = new Scene(1)
    const number = scene.publish()
    scene.receive(number)
    scene.receive(number, { dup: true, connection: 2 })
    const copy = scene.receive(number, { dup: true, connection: 3 })
    copy.settledAt = performance.now()
    pass(SETTLED_MS / 2)
    scene.ledger.killed()
    scene.receive(number, { dup: true, connection: 4 })
    assert.deepEqual(found(scene.ledger), {}, 'the kill came too early')
  })

  test('finds a QoS 1 message that comes again after its PUBACK was stored', t => {
    const pass = useClock(t)
    const scene = new Scene(1)
    const number = scene.publish()
    scene.receive(number).settledAt = performance.now()
    pass(SETTLED_MS)
    scene.ledger.killed()
    scene.receive(number, { connection: 2 })
    assert.deepEqual(found(scene.ledger), { repeated: 1 })
  })

  test('lets a QoS 1 message come as often as it was published', t => {
    const pass = useClock(t)
    const scene = new Scene(1)
    const number = scene.publish()
    scene.stream.transmissions[number] = 2
    scene.receive(number).settledAt = performance.now()
    pass(SETTLED_MS)
    scene.ledger.killed()
    scene.receive(number, { connection: 2 })
    assert.deepEqual(found(scene.ledger), {})
  })

  test('lets a PUBACK be forgotten that came while the disk failed', t => {
    const pass = useClock(t)
    const scene = new Scene(1)
    const number = scene.publish()
    scene.ledger.faultBegins(false)
    scene.receive(number).settledAt = performance.now()
    pass(SETTLED_MS)
    scene.ledger.killed()
    scene.ledger.faultEnds()
    scene.receive(number, { dup: true, connection: 2 })
    assert.deepEqual(found(scene.ledger), {})
  })

  test('finds two copies without DUP on one connection', () => {
    const scene = new Scene(1)
    const number = scene.publish()
    scene.receive(number)
    scene.receive(number)
    assert.deepEqual(found(scene.ledger), { repeated: 1 })
  })

  test('finds an acknowledgement of what can not be stored', () => {
    const { ledger, stream, session } = new Scene(1)
    const before = stream.send(ledger.tick())
    ledger.faultBegins(true)
    const since = stream.send(ledger.tick())
    for (const number of [before, since]) {
      ledger.promised(stream, number)
      stream.acknowledge(number, ledger.tick())
      session.receive({ stream, number, qos: 1, dup: false, connection: 1 })
    }
    assert.deepEqual(found(ledger), { premature: 1 })
  })

  test('finds what is never acknowledged', () => {
    const scene = new Scene(1)
    scene.receive(scene.stream.send(scene.ledger.tick()))
    assert.deepEqual(found(scene.ledger), { stuck: 1 })
  })
})

test('payloads tell which message they are, and whether they are whole', () => {
  const stream = new Ledger().stream({ publisher: 'p', topic: 't', qos: 1, clears: true })
  const payload = encodePayload(stream, 4, 100)
  assert.deepEqual(decodePayload(payload), { stream: 0, number: 4 })
  assert.equal(decodePayload(payload.subarray(1)), null)
  assert.equal(decodePayload(payload.subarray(0, -1)), null)
  payload[payload.length - 1] = 0
  assert.equal(decodePayload(payload), null)
  assert.equal(encodePayload(stream, 5, 100).length, 0, 'every second message clears')
})

test('filters match as in section 4.7', () => {
  const expected: readonly (readonly [filter: string, topic: string, isMatch: boolean])[] = [
    ['m/#', 'm/p/1', true],
    ['m/#', 'm', true],
    ['m/+', 'm/p/1', false],
    ['m/+/1', 'm/p/1', true],
    ['m/+/1', 'm/p/2', false],
    ['m/p/1', 'm/p', false],
  ]
  for (const [filter, topic, isMatch] of expected) assert.equal(matches(filter, topic), isMatch, `${filter} ${topic}`)
})
