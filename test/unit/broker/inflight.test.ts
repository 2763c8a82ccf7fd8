import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import fc from 'fast-check'
import { FREE, Inflight, WAITS_PUBACK, WAITS_PUBCOMP, WAITS_PUBREC } from '../../../src/broker/inflight.ts'
import { Message } from '../../../src/broker/message.ts'

function message(text: string): Message {
  return Message.of('t', Buffer.from(text), 1, false)
}

/** A window that has just given out `packetId`, and nothing is unacknowledged. */
function windowAt(packetId: number, limit: number): Inflight {
  const window = new Inflight(limit)
  assert.equal(window.restore(packetId, WAITS_PUBACK, message('old'), 0), true)
  assert.equal(window.acknowledge(packetId), true)
  return window
}

function unacknowledged(window: Inflight): { id: number; state: number; message: Message | null }[] {
  const all: { id: number; state: number; message: Message | null }[] = []
  window.forEach((id, state, kept) => all.push({ id, state, message: kept }))
  return all
}

/** What the window does, as a list that is searched. Acknowledged places in the middle stay until the head is gone. */
class Model {
  places: { id: number; state: number; message: Message | null; sentAt: number }[] = []
  readonly #limit: number
  #last: number

  constructor(limit: number, last: number) {
    this.#limit = limit
    this.#last = last
  }

  get free(): number {
    return this.#limit - this.places.length
  }

  push(message: Message, state: number, now: number): number {
    this.#last = (this.#last % 65_535) + 1
    this.places.push({ id: this.#last, state, message, sentAt: now })
    return this.#last
  }

  finish(id: number, state: number): boolean {
    const place = this.places.find(each => each.id === id && each.state === state)
    if (place === undefined) return false
    place.state = FREE
    place.message = null
    while (this.places[0]?.state === FREE) this.places.shift()
    return true
  }

  received(id: number, now: number): boolean {
    const place = this.places.find(each => each.id === id && each.state === WAITS_PUBREC)
    if (place === undefined) return false
    Object.assign(place, { state: WAITS_PUBCOMP, message: null, sentAt: now })
    return true
  }
}

/** `pick` chooses among the identifiers in use most of the time, so that acknowledgements often find something. */
const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant('push' as const), qos: fc.constantFrom(1, 2) }) },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constantFrom('puback' as const, 'pubrec' as const, 'pubcomp' as const),
      pick: fc.nat(20),
      stray: fc.boolean(),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('resend' as const), age: fc.nat(10) }) },
)

suite('the window of unacknowledged messages', () => {
  test('does what a list does, around the end of the packet identifiers too', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 20 }),
        fc.oneof(fc.integer({ min: 65_515, max: 65_535 }), fc.integer({ min: 1, max: 65_535 })),
        fc.array(step, { maxLength: 120 }),
        (limit, last, steps) => {
          const window = windowAt(last, limit)
          const model = new Model(limit, last)
          let now = 0
          for (const each of steps) {
            now++
            if (each.do === 'push') {
              assert.equal(window.free, model.free)
              if (model.free === 0) continue
              const state = each.qos === 1 ? WAITS_PUBACK : WAITS_PUBREC
              const sent = message(String(now))
              assert.equal(window.push(sent, state, now), model.push(sent, state, now))
            } else if (each.do === 'resend') {
              const oldest = model.places[0]
              const isOverdue = oldest !== undefined && oldest.sentAt <= now - each.age
              assert.equal(window.overdue(now - each.age), isOverdue ? oldest.id : 0)
              if (!isOverdue) continue
              window.resent(oldest.id, now)
              oldest.sentAt = now
            } else {
              const places = model.places
              const known = places.length > 0 && !each.stray
              const id = known ? (places[each.pick % places.length]?.id ?? 0) : ((last + each.pick) % 65_535) + 1
              if (each.do === 'puback') assert.equal(window.acknowledge(id), model.finish(id, WAITS_PUBACK))
              else if (each.do === 'pubrec') assert.equal(window.received(id, now), model.received(id, now))
              else assert.equal(window.complete(id), model.finish(id, WAITS_PUBCOMP))
              assert.equal(window.stateOf(id), model.places.find(place => place.id === id)?.state ?? FREE)
              assert.equal(window.messageOf(id), model.places.find(place => place.id === id)?.message ?? null)
            }
            assert.equal(window.length, model.places.length)
            const waiting = model.places.filter(place => place.state !== FREE)
            assert.deepEqual(
              unacknowledged(window),
              waiting.map(({ id, state, message: kept }) => ({ id, state, message: kept })),
            )
          }
        },
      ),
      { numRuns: 2000 },
    )
  })

  test('gives out every identifier but 0 and comes back to 1', () => {
    const window = new Inflight(10)
    const first = message('m')
    for (let expected = 1; expected <= 65_535; expected++) {
      assert.equal(window.push(first, WAITS_PUBACK, 0), expected)
      assert.equal(window.acknowledge(expected), true)
    }
    assert.equal(window.push(first, WAITS_PUBACK, 0), 1)
  })

  test('takes back what was sent before a restart, with the same identifiers, and goes on behind them', () => {
    const ids = fc
      .tuple(
        fc.oneof(fc.integer({ min: 65_500, max: 65_535 }), fc.integer({ min: 1, max: 65_535 })),
        fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 15 }),
      )
      .map(([first, steps]) => {
        let last = first
        return [first, ...steps.map(by => (last = ((last - 1 + by) % 65_535) + 1))]
      })
    const states = fc.array(fc.constantFrom(WAITS_PUBACK, WAITS_PUBREC, WAITS_PUBCOMP), {
      minLength: 16,
      maxLength: 16,
    })
    fc.assert(
      fc.property(ids, states, (sent, stateOf) => {
        const window = new Inflight(100)
        const expected = sent.map((id, i) => {
          const state = stateOf[i] as number
          return { id, state, message: state === WAITS_PUBCOMP ? null : message(`m${i}`) }
        })
        for (const each of expected) assert.equal(window.restore(each.id, each.state, each.message, 5), true)
        assert.deepEqual(unacknowledged(window), expected)
        assert.equal(window.overdue(5), sent[0])
        const last = sent.at(-1) as number
        assert.equal(window.push(message('next'), WAITS_PUBACK, 6), (last % 65_535) + 1)
        for (const { id, state } of expected) {
          if (state === WAITS_PUBACK) assert.equal(window.acknowledge(id), true)
          else {
            if (state === WAITS_PUBREC) assert.equal(window.received(id, 7), true)
            assert.equal(window.complete(id), true)
          }
        }
        assert.equal(window.length, 1)
      }),
      { numRuns: 1000 },
    )
  })

  test('refuses to take back what does not fit behind the others', () => {
    const window = new Inflight(4)
    assert.equal(window.restore(65_534, WAITS_PUBACK, message('a'), 0), true)
    assert.equal(window.restore(65_534, WAITS_PUBACK, message('again'), 0), false)
    assert.equal(window.restore(65_533, WAITS_PUBACK, message('before it'), 0), false)
    assert.equal(window.restore(3, WAITS_PUBACK, message('one too far'), 0), false)
    assert.equal(window.restore(2, WAITS_PUBACK, message('b'), 0), true)
    assert.deepEqual(
      unacknowledged(window).map(({ id }) => id),
      [65_534, 2],
    )
    assert.equal(window.free, 0)
  })

  test('never holds more than the identifiers there are', () => {
    const window = new Inflight(1_000_000)
    const seen = new Set<number>()
    while (window.free > 0) seen.add(window.push(message('m'), WAITS_PUBACK, 0))
    assert.equal(seen.size, 65_534)
  })
})
