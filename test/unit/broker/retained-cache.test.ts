/** Which stored retained messages are in memory: all that are not written yet, of the others as many as may be. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Message } from '../../../src/broker/message.ts'
import { RetainedCache } from '../../../src/broker/retained-cache.ts'
import { RetainedEntry } from '../../../src/broker/retained-entry.ts'
import type { Store } from '../../../src/broker/store/index.ts'

const PAYLOAD_BYTES = 100

/** Batches like those of the group commit: callbacks are called when the batch they were added to is written. */
class Batches {
  #current: (() => void)[] = []
  #writing: (() => void)[] = []
  /** Raised with each batch that begins to be written. */
  number = 0
  readonly store = { commit: { after: (done: () => void) => this.#current.push(done) } } as unknown as Store

  /** What is being written is written, and the next batch begins to be. */
  step(): void {
    const written = this.#writing
    this.#writing = []
    for (const callback of written) callback()
    this.#writing = this.#current
    this.#current = []
    this.number++
  }
}

function entryOf(topic: string): RetainedEntry {
  const entry = new RetainedEntry(topic)
  entry.become(topic.length + 2 + PAYLOAD_BYTES, 0)
  return entry
}

function messageOf(entry: RetainedEntry): Message {
  return Message.of(entry.topic, Buffer.alloc(PAYLOAD_BYTES), 0, true)
}

test('a message stays in memory until its batch is written, whatever the limit', () => {
  const batches = new Batches()
  const cache = new RetainedCache(0)
  const early = entryOf('early')
  cache.pin(early, messageOf(early), batches.store)
  batches.step() // its batch begins to be written
  const late = entryOf('late')
  cache.pin(late, messageOf(late), batches.store)
  batches.step() // early is written, late begins to be
  assert.notEqual(late.message, null, 'not written yet')
  batches.step()
  batches.step()
  assert.deepEqual([early.message, late.message, cache.bytes], [null, null, 0])
})

test('a message that is replaced while it waits stays until the last one is written', () => {
  const batches = new Batches()
  const cache = new RetainedCache(0)
  const entry = entryOf('a')
  cache.pin(entry, messageOf(entry), batches.store)
  for (let i = 0; i < 5; i++) {
    batches.step()
    cache.forget(entry)
    cache.pin(entry, messageOf(entry), batches.store)
    assert.notEqual(entry.message, null, `after ${i + 1} batches`)
  }
  for (let i = 0; i < 3; i++) batches.step()
  assert.equal(entry.message, null)
})

test('what is asked for stays, and the rest takes turns', () => {
  const cache = new RetainedCache(10_000)
  const wanted = entryOf('wanted')
  cache.keep(wanted, messageOf(wanted), false)
  for (let i = 0; i < 200; i++) {
    const entry = entryOf(`once/${i}`)
    cache.keep(entry, messageOf(entry), false)
    assert.ok(cache.bytes <= 10_000, `${cache.bytes} bytes`)
    assert.notEqual(wanted.message, null, `gone after ${i} others`)
    wanted.isUsed = true
  }
})

test('one of many does not push others out', () => {
  const cache = new RetainedCache(1000)
  const first = entryOf('first')
  cache.keep(first, messageOf(first), true)
  const second = entryOf('second')
  assert.equal(cache.hasRoomFor(second), false)
  cache.keep(second, messageOf(second), true)
  assert.deepEqual([first.message === null, second.message], [false, null])
  cache.keep(second, messageOf(second), false)
  cache.keep(second, messageOf(second), false)
  assert.notEqual(second.message, null, 'the newest is not the first to go')
  assert.equal(first.message, null)
})

test('whatever happens, what is not written is there and what is counted is what there is', () => {
  const step = fc.oneof(
    fc.record({ do: fc.constantFrom('store', 'read', 'remove', 'use'), index: fc.nat(9) }),
    fc.record({ do: fc.constant('write'), index: fc.constant(0) }),
  )
  fc.assert(
    fc.property(fc.array(step, { maxLength: 120 }), fc.nat(4000), (steps, limit) => {
      const batches = new Batches()
      const cache = new RetainedCache(limit)
      const entries = Array.from({ length: 10 }, (_, i) => entryOf(`topic/${i}`))
      /** The batch that was being written when the entry was last stored; its own is a later one. */
      const storedAt = new Map<RetainedEntry, number>()
      for (const { do: action, index } of steps) {
        const entry = entries[index] as RetainedEntry
        if (action === 'write') batches.step()
        else if (action === 'use') entry.isUsed = true
        else if (action === 'remove') {
          cache.forget(entry)
          entry.isGone = true
          entries[index] = entryOf(entry.topic)
        } else if (action === 'store') {
          cache.forget(entry)
          entry.become(entry.size, 1)
          cache.pin(entry, messageOf(entry), batches.store)
          storedAt.set(entry, batches.number)
        } else if (entry.message === null) cache.keep(entry, messageOf(entry), false)
        for (const each of entries) {
          const isWritten = batches.number >= (storedAt.get(each) ?? -2) + 2
          assert.ok(isWritten || each.message !== null, `${each.topic} is not written yet`)
        }
        assert.ok(cache.bytes <= limit, `${cache.bytes} bytes`)
      }
      for (let i = 0; i < 3; i++) batches.step()
      const inMemory = entries.filter(({ message }) => message !== null)
      assert.equal(
        inMemory.every(({ slot }) => slot >= 0),
        true,
      )
      for (const entry of inMemory) cache.forget(entry)
      assert.equal(cache.bytes, 0)
    }),
  )
})
