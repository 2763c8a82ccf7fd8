import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Message } from '../../../src/broker/message.ts'
import { MessageQueue } from '../../../src/broker/message-queue.ts'

const step = fc.oneof(
  fc.record({
    do: fc.constant('push' as const),
    size: fc.nat(50),
    qos: fc.integer({ min: 0, max: 2 }),
    exempt: fc.boolean(),
  }),
  fc.record({ do: fc.constant('drop' as const) }),
  fc.record({ do: fc.constant('shift' as const), times: fc.integer({ min: 1, max: 4 }) }),
)

test('a queue gives back what was put in, in order, each with its QoS, and knows how much it holds', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 150 }), steps => {
      const total = { waitingBytes: 0 }
      const queue = new MessageQueue(total)
      const model: { message: Message; qos: number; exempt: boolean }[] = []
      for (const each of steps) {
        if (each.do === 'push') {
          const message = Message.of('a/b', Buffer.alloc(each.size), 2, false)
          queue.push(message, each.qos, each.exempt)
          model.push({ message, qos: each.qos, exempt: each.exempt })
        } else if (each.do === 'drop') {
          const index = model.findIndex(entry => !entry.exempt)
          assert.equal(queue.dropOldest() !== null, index >= 0)
          if (index >= 0) model.splice(index, 1)
        } else {
          for (let i = 0; i < each.times; i++) {
            const oldest = model.shift()
            if (oldest !== undefined) assert.equal(queue.peekQos(), oldest.qos)
            assert.equal(queue.shift(), oldest?.message ?? null)
          }
        }
        assert.equal(queue.length, model.length)
        assert.equal(queue.exempt.size, model.filter(entry => entry.exempt).length)
        assert.equal(queue.counted, model.filter(entry => !entry.exempt).length)
        assert.equal(queue.qos0, model.filter(entry => !entry.exempt && entry.qos === 0).length)
        // Two bytes of length, three of topic, then the payload.
        const bytes = model.filter(entry => !entry.exempt).reduce((sum, { message }) => sum + message.size, 0)
        assert.equal(queue.bytes, bytes)
        assert.equal(total.waitingBytes, bytes)
      }
      queue.clear()
      assert.deepEqual([queue.length, queue.bytes, queue.shift(), total.waitingBytes], [0, 0, null, 0])
    }),
    { numRuns: 2000 },
  )
})
