import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { SubscriptionTree, TopicTree } from '../../../src/router/index.ts'

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

function heldNow(): number {
  collectGarbage()
  return process.memoryUsage().heapUsed
}

/** Levels that are special to objects in JavaScript and must not be to us. */
const TREACHEROUS = ['__proto__', 'constructor', 'toString', 'hasOwnProperty', '']

suite('the subscription tree', () => {
  test('subscribing again replaces the QoS', () => {
    const tree = new SubscriptionTree<string>()
    assert.equal(tree.add('a/+', 'x', 0), true)
    assert.equal(tree.add('a/+', 'x', 2), false)
    const found: [string, number][] = []
    tree.match('a/b', (who, qos) => found.push([who, qos]))
    assert.deepEqual(found, [['x', 2]])
    assert.equal(tree.size, 1)
  })

  test('visits a subscriber once for each of its filters that match', () => {
    const tree = new SubscriptionTree<string>()
    for (const filter of ['a/b', 'a/+', 'a/#', '#', '+/b', 'a/b/#', 'a', 'a/b/+', '+']) tree.add(filter, filter, 1)
    const found: string[] = []
    tree.match('a/b', who => found.push(who))
    assert.deepEqual(found.sort(), ['#', '+/b', 'a/#', 'a/+', 'a/b', 'a/b/#'])
  })

  test('takes any text for a level', () => {
    const tree = new SubscriptionTree<string>()
    for (const level of TREACHEROUS) {
      let visits = 0
      tree.match(`${level}/x`, () => visits++)
      assert.equal(visits, 0)
      assert.equal(tree.remove(`${level}/x`, 's'), false)
      assert.equal(tree.add(`${level}/x`, 's', 1), true)
      tree.match(`${level}/x`, () => visits++)
      assert.equal(visits, 1)
    }
  })

  test('holds nothing of what was removed', () => {
    const tree = new SubscriptionTree<number>()
    const before = heldNow()
    for (let i = 0; i < 50_000; i++) tree.add(`${i % 100}/+/${i}/#`, i, 1)
    for (let i = 0; i < 50_000; i++) assert.equal(tree.remove(`${i % 100}/+/${i}/#`, i), true)
    assert.ok(heldNow() - before < 1_000_000)
    assert.equal(tree.size, 0)
  })
})

suite('the topic tree', () => {
  test('finds below a level and not beside it', () => {
    const tree = new TopicTree<string>()
    for (const topic of ['a', 'a/', 'a/b', 'a/b/c', 'ab', '/a', '$a/b']) tree.set(topic, topic)
    const find = (filter: string): string[] => {
      const found: string[] = []
      tree.match(filter, topic => found.push(topic))
      return found.sort()
    }
    assert.deepEqual(find('a/#'), ['a', 'a/', 'a/b', 'a/b/c'])
    assert.deepEqual(find('a/+'), ['a/', 'a/b'])
    assert.deepEqual(find('+/b'), ['a/b'])
    assert.deepEqual(find('#'), ['/a', 'a', 'a/', 'a/b', 'a/b/c', 'ab'])
    assert.deepEqual(find('$a/#'), ['$a/b'])
  })

  test('takes any text for a level', () => {
    const tree = new TopicTree<number>()
    for (const [i, level] of TREACHEROUS.entries()) {
      assert.equal(tree.get(level), undefined)
      assert.equal(tree.delete(level), undefined)
      assert.equal(tree.set(level, i), undefined)
      assert.equal(tree.get(level), i)
    }
    assert.equal(tree.size, TREACHEROUS.length)
  })

  test('holds nothing of what was deleted, and keeps what lies above and below', () => {
    const tree = new TopicTree<number>()
    const before = heldNow()
    for (let i = 0; i < 50_000; i++) tree.set(`${i % 100}/x/${i}/y`, i)
    for (let i = 0; i < 50_000; i++) assert.equal(tree.delete(`${i % 100}/x/${i}/y`), i)
    assert.ok(heldNow() - before < 1_000_000)
    tree.set('a', 1)
    tree.set('a/b/c', 3)
    assert.equal(tree.delete('a/b'), undefined)
    assert.equal(tree.delete('a/b/c'), 3)
    assert.equal(tree.get('a'), 1)
    assert.equal(tree.size, 1)
  })
})
