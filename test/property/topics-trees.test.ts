import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { SubscriptionTree, TopicTree } from '../../src/router/index.ts'
import { matchesNaively, topicFilter, topicName } from '../support/topic-oracle.ts'

const runs = { numRuns: 2000 }
const subscriber = fc.constantFrom('x', 'y', 'z')

type SubscriptionStep =
  | { do: 'add'; filter: string; subscriber: string; qos: number }
  | { do: 'remove'; filter: string; subscriber: string }
  | { do: 'match'; topic: string }

/** Removals draw from few filters too, so that they often meet what was added. */
const subscriptionSteps: fc.Arbitrary<SubscriptionStep[]> = fc
  .tuple(fc.array(topicFilter, { minLength: 1, maxLength: 8 }), fc.array(topicName, { minLength: 1, maxLength: 6 }))
  .chain(([filters, topics]) =>
    fc.array(
      fc.oneof(
        fc.record({
          do: fc.constant('add' as const),
          filter: fc.constantFrom(...filters),
          subscriber,
          qos: fc.integer({ min: 0, max: 2 }),
        }),
        fc.record({ do: fc.constant('remove' as const), filter: fc.constantFrom(...filters), subscriber }),
        fc.record({ do: fc.constant('match' as const), topic: fc.constantFrom(...topics) }),
      ),
      { maxLength: 60 },
    ),
  )

function found(tree: SubscriptionTree<string>, topic: string): string[] {
  const visits: string[] = []
  tree.match(topic, (who, qos) => visits.push(`${who} ${qos}`))
  return visits.sort()
}

test('a subscription tree finds what a list of subscriptions finds, whatever was added and removed before', () => {
  fc.assert(
    fc.property(subscriptionSteps, steps => {
      const tree = new SubscriptionTree<string>()
      const list = new Map<string, { filter: string; subscriber: string; qos: number }>()
      for (const step of steps) {
        if (step.do === 'match') {
          const expected = [...list.values()]
            .filter(each => matchesNaively(each.filter, step.topic))
            .map(each => `${each.subscriber} ${each.qos}`)
          assert.deepEqual(found(tree, step.topic), expected.sort(), step.topic)
          continue
        }
        const key = `${step.subscriber} ${step.filter}`
        if (step.do === 'add') {
          assert.equal(tree.add(step.filter, step.subscriber, step.qos), !list.has(key))
          list.set(key, step)
        } else {
          assert.equal(tree.remove(step.filter, step.subscriber), list.delete(key))
        }
        assert.equal(tree.size, list.size)
      }
    }),
    runs,
  )
})

type TopicStep =
  | { do: 'set'; topic: string; value: number }
  | { do: 'delete'; topic: string }
  | { do: 'get'; topic: string }
  | { do: 'match'; filter: string }

const topicSteps: fc.Arbitrary<TopicStep[]> = fc.array(topicName, { minLength: 1, maxLength: 10 }).chain(topics => {
  const topic = fc.constantFrom(...topics)
  return fc.array(
    fc.oneof(
      fc.record({ do: fc.constant('set' as const), topic, value: fc.nat(99) }),
      fc.record({ do: fc.constant('delete' as const), topic }),
      fc.record({ do: fc.constant('get' as const), topic }),
      fc.record({ do: fc.constant('match' as const), filter: topicFilter }),
    ),
    { maxLength: 60 },
  )
})

test('a topic tree holds what a map of topics holds, whatever was set and deleted before', () => {
  fc.assert(
    fc.property(topicSteps, steps => {
      const tree = new TopicTree<{ topic: string; value: number }>()
      const map = new Map<string, { topic: string; value: number }>()
      for (const step of steps) {
        switch (step.do) {
          case 'set': {
            const { topic } = step
            assert.equal(tree.set(topic, step), map.get(topic))
            map.set(topic, step)
            break
          }
          case 'delete':
            assert.equal(tree.delete(step.topic), map.get(step.topic))
            map.delete(step.topic)
            break
          case 'get':
            assert.equal(tree.get(step.topic), map.get(step.topic))
            break
          case 'match': {
            const visits: string[] = []
            tree.match(step.filter, each => visits.push(each.topic))
            const expected = [...map.keys()].filter(topic => matchesNaively(step.filter, topic))
            assert.deepEqual(visits.sort(), expected.sort(), step.filter)
          }
        }
        assert.equal(tree.size, map.size)
      }
    }),
    runs,
  )
})
