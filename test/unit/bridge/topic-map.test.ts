import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { TopicMap, type TopicPlan } from '../../../src/bridge/topic-map.ts'
import type { BridgeSubscriptionConfig } from '../../../src/config/index.ts'

type Target = Partial<BridgeSubscriptionConfig['target']>

function subscription(
  topic: string,
  qos: 0 | 1 | 2 = 1,
  target: Target = {},
  limit: BridgeSubscriptionConfig['limit'] = null,
): BridgeSubscriptionConfig {
  return { topic, qos, target: { topic: '', qos: 2, retain: 'keep', ...target }, limit }
}

/** In the middle of other bytes, as in a stream. */
function planOf(map: TopicMap, topic: string): TopicPlan {
  const bytes = Buffer.from(topic)
  const plan = map.find(Buffer.concat([Buffer.from('a\0'), bytes, Buffer.from('\0z')]), 2, bytes.length)
  assert.ok(plan !== null, `${bytes.toString()} is UTF-8`)
  return plan
}

suite('topics of a bridge', () => {
  test('stay as they are without a target', () => {
    const plan = planOf(new TopicMap([subscription('a/#')]), 'a/b')
    assert.deepEqual(
      { ...plan },
      {
        topic: 'a/b',
        bytes: Buffer.from('a/b'),
        target: 'a/b',
        targetBytes: null,
        qos: 1,
        clearsRetain: false,
        limit: null,
        problem: '',
        hash: plan['hash' as keyof TopicPlan],
        size: plan['size' as keyof TopicPlan],
      },
    )
  })

  test('become what the template says', () => {
    const map = new TopicMap([
      subscription('a/+/#', 1, { topic: 'cloud/{1}/x/{#}' }),
      subscription('é/#', 1, { topic: 'ü/{#}' }),
    ])
    assert.equal(planOf(map, 'a/b/c/d').target, 'cloud/b/x/c/d')
    assert.deepEqual(planOf(map, 'a/b/c/d').targetBytes, Buffer.from('cloud/b/x/c/d'))
    assert.equal(planOf(map, 'a/b').target, 'cloud/b/x', 'a # that matches no level takes its slash along')
    assert.deepEqual(planOf(map, 'é/°').targetBytes, Buffer.from('ü/°'))
  })

  test('that come out the same need no new bytes', () => {
    const map = new TopicMap([subscription('a/#', 1, { topic: 'a/{#}' }), subscription('b', 1, { topic: '{topic}' })])
    assert.equal(planOf(map, 'a/b').targetBytes, null)
    assert.equal(planOf(map, 'b').targetBytes, null)
  })

  test('that no subscription takes have QoS -1, and no problem', () => {
    const map = new TopicMap([subscription('a/+'), subscription('#', 0, { topic: 'x' })])
    assert.equal(planOf(map, '$SYS/x').qos, -1, 'a wildcard does not match $')
    assert.equal(planOf(new TopicMap([]), 'a').qos, -1)
    assert.equal(planOf(new TopicMap([subscription('a/+')]), 'a').qos, -1)
    assert.equal(planOf(new TopicMap([subscription('a')]), 'a/+').problem, '')
  })

  test('that begin with $ are taken by a filter that does too', () => {
    assert.equal(
      planOf(new TopicMap([subscription('$SYS/#', 1, { topic: 'up/{topic}' })]), '$SYS/a').target,
      'up/$SYS/a',
    )
  })

  test('leave with no more than the QoS of subscription and target', () => {
    for (const [own, target, expected] of [
      [0, 2, 0],
      [1, 2, 1],
      [2, 1, 1],
      [2, 0, 0],
      [2, 2, 2],
    ] as const) {
      assert.equal(planOf(new TopicMap([subscription('a', own, { qos: target })]), 'a').qos, expected)
    }
  })

  test('go where the subscription with the highest QoS says, among equals the first', () => {
    const map = new TopicMap([
      subscription('a/+', 1, { topic: 'first' }),
      subscription('a/#', 2, { topic: 'second', qos: 0 }),
      subscription('#', 2, { topic: 'third' }),
      subscription('b/#', 1, { topic: 'fourth' }),
      subscription('b/+', 1, { topic: 'fifth' }),
    ])
    assert.equal(planOf(map, 'a/x').target, 'second')
    assert.equal(planOf(map, 'a/x').qos, 0)
    assert.equal(planOf(map, 'c').target, 'third')
    const two = new TopicMap([subscription('b/+', 1, { topic: 'x' }), subscription('b/#', 1, { topic: 'y' })])
    assert.equal(planOf(two, 'b/c').target, 'x')
    assert.equal(planOf(two, 'b/c/d').target, 'y')
  })

  test('are subscribed to once each, with the QoS that decides', () => {
    const map = new TopicMap([
      subscription('a', 0, { topic: 'zero' }),
      subscription('b'),
      subscription('a', 2, { topic: 'two' }),
      subscription('a', 2, { topic: 'late' }),
      subscription('c', 2, { qos: 0 }),
    ])
    assert.deepEqual(map.filters, [
      { topic: 'b', qos: 1 },
      { topic: 'a', qos: 2 },
      { topic: 'c', qos: 2 },
    ])
    assert.equal(planOf(map, 'a').target, 'two')
  })

  test('keep RETAIN or lose it', () => {
    const map = new TopicMap([subscription('a', 1, { retain: 'clear' }), subscription('b')])
    assert.equal(planOf(map, 'a').clearsRetain, true)
    assert.equal(planOf(map, 'b').clearsRetain, false)
  })

  test('that come out wrong say why', () => {
    const map = new TopicMap([
      subscription('a/#', 1, { topic: '{#}' }),
      subscription('b/#'),
      subscription('c/+', 1, { topic: 'x/{1}{1}' }),
    ])
    assert.match(planOf(map, 'a').problem, /^target topic \(\) is empty$/)
    assert.match(planOf(map, 'b/+/c').problem, /^target topic \(b\/\+\/c\) has a wildcard$/)
    assert.match(planOf(map, 'b/#').problem, /has a wildcard/)
    assert.match(planOf(map, 'b/\0').problem, /null character/)
    const long = planOf(map, `c/${'x'.repeat(40_000)}`)
    assert.match(long.problem, /has 80002 bytes; 65535 are allowed$/)
    assert.ok(long.problem.length < 200, 'and say it briefly')
    assert.equal(long.targetBytes, null)
    assert.equal(planOf(map, `b/${'x'.repeat(65_000)}`).problem, '')
    assert.equal(planOf(new TopicMap([subscription('#')]), '').problem, 'target topic () is empty')
  })

  test('have to be UTF-8', () => {
    const map = new TopicMap([subscription('#')])
    for (const bytes of [[0xff], [0xed, 0xa0, 0x80], [0x61, 0xc3], [0xc0, 0xaf]]) {
      assert.equal(map.find(Buffer.from(bytes), 0, bytes.length), null, String(bytes))
      assert.equal(map.find(Buffer.from(bytes), 0, bytes.length), null, `${String(bytes)} again`)
    }
    assert.equal(planOf(map, '\u{FEFF}\u{1F600}').target, '\u{FEFF}\u{1F600}')
    assert.equal(map.find(Buffer.from('aé'), 0, 2), null, 'not half a character')
  })

  test('of which nothing is known yet, the empty one among them, are told apart', () => {
    const map = new TopicMap([subscription('a', 2), subscription('b', 1)])
    assert.equal(planOf(map, '').qos, -1)
    assert.equal(planOf(map, 'a').qos, 2)
    assert.equal(planOf(map, 'b').qos, 1)
    assert.equal(planOf(map, '').qos, -1)
  })

  test('are looked up once: the second time gives the same plan', () => {
    const map = new TopicMap([subscription('a/#', 1, { topic: 'b/{#}' })])
    const topics = Array.from({ length: 300 }, (_, i) => `a/${i}/temperature`)
    const plans = topics.map(topic => planOf(map, topic))
    const again = topics.filter((topic, i) => planOf(map, topic) === plans[i])
    assert.ok(again.length > 290, `${again.length} of 300 were known`)
  })

  test('take bounded memory, however many and however long they are', () => {
    const map = new TopicMap([subscription('#', 1, { topic: 'cloud/{topic}' })])
    const first = planOf(map, 'known')
    const kept: WeakRef<TopicPlan>[] = []
    for (let i = 0; i < 20_000; i++) kept.push(new WeakRef(planOf(map, `${i}/${'x'.repeat(i % 500)}`)))
    assert.notEqual(planOf(map, 'known'), first, 'the first one is forgotten')
    const known = Array.from({ length: 20_000 }, (_, i) => planOf(map, `${i}/${'x'.repeat(i % 500)}`))
    const same = known.filter((plan, i) => kept[i]?.deref() === plan)
    assert.ok(same.length < 2000, `${same.length} were still there`)
    const long = 'x'.repeat(2000)
    assert.notEqual(
      planOf(map, `${long}1`),
      (planOf(map, `${long}2`), planOf(map, `${long}1`)),
      'long ones are not kept',
    )
  })
})

suite('limits of a bridge', () => {
  const limit = { rate: 10, burst: 2 }

  test('are those of the subscription, whatever the topic', () => {
    const map = new TopicMap([subscription('a/#', 1, {}, limit), subscription('b')])
    const shared = planOf(map, 'a/1').limit
    assert.ok(shared !== null, 'there is a limit')
    assert.equal(planOf(map, 'a/2').limit, shared)
    assert.equal(shared.admit(5, 0), 2)
    assert.equal(planOf(map, 'b').limit, null)
  })

  test('go on after a change when they are the same, and begin anew otherwise', () => {
    const before = new TopicMap([
      subscription('a', 1, {}, limit),
      subscription('b', 1, {}, limit),
      subscription('c', 1, {}, limit),
    ])
    const after = new TopicMap(
      [
        subscription('z', 2),
        subscription('a', 0, { qos: 0 }, { ...limit }),
        subscription('b', 1, {}, { rate: 10, burst: 3 }),
        subscription('c', 1, { topic: 'd' }, limit),
      ],
      before,
    )
    assert.equal(planOf(after, 'a').limit, planOf(before, 'a').limit, 'the same filter, target and limit')
    assert.notEqual(planOf(after, 'b').limit, planOf(before, 'b').limit)
    assert.notEqual(planOf(after, 'c').limit, planOf(before, 'c').limit)
    assert.equal(planOf(after, 'z').limit, null)
  })
})

test('a target that the configuration should not have let through is refused', () => {
  assert.throws(() => new TopicMap([subscription('a', 1, { topic: '{1}' })]), { name: 'RangeError', message: /\{1\}/ })
  assert.throws(() => new TopicMap([subscription('a', 1, { topic: 'x/{clientid}' })]), /asks who published/)
})
