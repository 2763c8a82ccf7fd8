import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Random } from '../crash/random.ts'
import { Ledger, listOf } from './ledger.ts'
import { FULL_COUNTS, planOf } from './plan.ts'
import { decodePayload, encodePayload, type Stream } from './stream.ts'

function streamOf(ledger: Ledger, qos: 1 | 2 = 1): Stream {
  return ledger.stream({ rule: 'r', direction: 'out', topic: 'out/r/0', qos, isSourceTrusted: true })
}

function sent(stream: Stream, count: number): void {
  for (let i = 0; i < count; i++) stream.acknowledge(stream.send())
}

test('an acknowledged message that never arrived is lost, and named', () => {
  const ledger = new Ledger()
  const stream = streamOf(ledger)
  sent(stream, 6)
  for (const number of [0, 4, 5]) assert.equal(stream.receive(number, false), null, `${number} is in order`)
  assert.ok(!ledger.isComplete, 'something is missing')
  for (const number of [0, 1, 2, 3]) stream.witness(number)
  ledger.conclude()
  assert.equal(ledger.count('lost'), 3, 'each lost message counts')
  assert.deepEqual(ledger.details, ['lost: 3 of out/r/0: 1..3'], 'their numbers are told')
})

test('a message that its own broker gives to nobody is forgotten, not lost', () => {
  const ledger = new Ledger()
  const stream = streamOf(ledger)
  sent(stream, 3)
  stream.witness(0)
  stream.receive(1, false)
  ledger.conclude()
  assert.deepEqual(ledger.details, ['lost: 1 of out/r/0: 0', 'forgotten: 1 of out/r/0: 2'], 'each by its kind')
})

test('a message that nobody acknowledged may be missing, but stays open', () => {
  const ledger = new Ledger()
  const stream = streamOf(ledger)
  stream.send()
  ledger.conclude()
  assert.equal(ledger.count('lost'), 0, 'nothing was promised')
  assert.equal(ledger.count('stuck'), 1, 'but the publisher waits')
})

test('only first arrivals have to be in order', () => {
  const stream = streamOf(new Ledger())
  sent(stream, 4)
  for (const number of [0, 1, 0, 1, 2]) assert.equal(stream.receive(number, false), null, `${number} may come`)
  assert.equal(stream.duplicates, 2, 'two came twice')
  assert.equal(stream.receive(3, false), null, '3 is next')
  sent(stream, 2)
  assert.equal(stream.receive(5, false), null, '5 is later')
  assert.match(stream.receive(4, false) ?? '', /4 arrived for the first time behind 5/, '4 is late')
  assert.match(stream.receive(9, false) ?? '', /never published/, 'nobody sent 9')
})

test('a duplicate came to be on the way when nobody else has sent twice', () => {
  const stream = streamOf(new Ledger())
  sent(stream, 3)
  stream.resend(1)
  for (const number of [0, 1, 2]) stream.receive(number, false)
  stream.receive(0, true)
  assert.equal(stream.wayDuplicates, 0, 'DUP: the delivering broker sends again')
  stream.receive(1, false)
  assert.equal(stream.wayDuplicates, 0, 'the publisher has sent it again')
  stream.receive(2, false)
  assert.equal(stream.wayDuplicates, 1, 'nobody else')
  const exact = streamOf(new Ledger(), 2)
  sent(exact, 1)
  exact.resend(0)
  exact.receive(0, false)
  exact.receive(0, false)
  assert.equal(exact.wayDuplicates, 1, 'at QoS 2 a publisher that sends again makes no duplicate')
})

test('a payload is known again by all of its bytes', () => {
  const payload = encodePayload(17, 300)
  assert.equal(decodePayload(payload), 17, 'the number comes back')
  assert.equal(decodePayload(payload.subarray(0, -1)), null, 'one byte is missing')
  const changed = Buffer.from(payload)
  changed[200] = 1
  assert.equal(decodePayload(changed), null, 'one byte is another')
  assert.equal(decodePayload(Buffer.from('x')), null, 'no payload of the test')
})

test('runs of numbers are written short', () => {
  assert.equal(listOf([1, 2, 3, 7, 9, 10]), '1..3, 7, 9..10', 'runs and single numbers')
})

test('a plan has all faults, within the time, and is the same for the same seed', () => {
  const options = { seconds: 600, counts: FULL_COUNTS, cutMs: 30_000 }
  const plan = planOf({ ...options, random: new Random(7) })
  assert.deepEqual(planOf({ ...options, random: new Random(7) }), plan, 'it can be repeated')
  for (const [kind, count] of Object.entries(FULL_COUNTS)) {
    assert.equal(plan.filter(fault => fault.kind === kind).length, count, `${count} x ${kind}`)
  }
  assert.ok(
    plan.every(({ atS }, i) => atS < 600 && atS > (plan[i - 1]?.atS ?? 0)),
    'one after the other, within the time',
  )
})
