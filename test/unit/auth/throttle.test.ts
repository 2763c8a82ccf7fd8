import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Throttle, type ThrottleOptions } from '../../../src/auth/index.ts'

function setUp(options: Omit<ThrottleOptions, 'clock'> = {}) {
  const time = { now: 1000 }
  const throttle = new Throttle({ clock: () => time.now, ...options })
  const fail = (address: string, times = 1): void => {
    for (let i = 0; i < times; i++) throttle.failed(address)
  }
  return { throttle, time, fail }
}

test('the first failures are free, then the delay doubles up to the longest', () => {
  const { throttle } = setUp()
  const delays = Array.from({ length: 14 }, () => {
    throttle.failed('192.0.2.1')
    return throttle.delayMs('192.0.2.1')
  })
  assert.deepEqual(delays, [0, 0, 0, 0, 0, 250, 500, 1000, 2000, 4000, 8000, 8000, 8000, 8000])
  assert.equal(throttle.delayMs('192.0.2.2'), 0)
})

test('the delay runs from the last failure', () => {
  const { throttle, time, fail } = setUp()
  fail('192.0.2.1', 7)
  time.now += 200
  assert.equal(throttle.delayMs('192.0.2.1'), 300)
  assert.equal(throttle.delayMs('192.0.2.1'), 300)
  time.now += 300
  assert.equal(throttle.delayMs('192.0.2.1'), 0)
  fail('192.0.2.1')
  assert.equal(throttle.delayMs('192.0.2.1'), 1000)
})

test('an address is forgotten after a while without failures', () => {
  const { throttle, time, fail } = setUp({ forgetMs: 60_000 })
  fail('192.0.2.1', 20)
  time.now += 60_000
  fail('192.0.2.1', 5)
  assert.equal(throttle.delayMs('192.0.2.1'), 0)
  fail('192.0.2.1')
  assert.equal(throttle.delayMs('192.0.2.1'), 250)
})

test('an account of their own does not help to guess the passwords of others', () => {
  const { throttle, time } = setUp()
  const until = time.now + 3600_000
  let guesses = 0
  const logIn = (): void => {
    for (let i = 0; i < 10; i++) throttle.succeeded('192.0.2.1')
  }
  while (time.now < until) {
    if (throttle.delayMs('192.0.2.1') > 0) {
      time.now += 8000
    } else {
      throttle.failed('192.0.2.1')
      guesses++
    }
    logIn()
    time.now += 1
  }
  // One guess every 8 s is what the longest delay leaves without such an account; an unthrottled one makes millions.
  assert.ok(guesses < (4 * 3600) / 8, `${guesses} guesses`)
})

test('a device that got its password right is back to normal after a few successes', () => {
  const { throttle, time, fail } = setUp()
  fail('192.0.2.1', 1000)
  for (let i = 0; i < 4; i++) {
    time.now += 8000
    assert.equal(throttle.delayMs('192.0.2.1'), 0)
    throttle.succeeded('192.0.2.1')
  }
  fail('192.0.2.1', 5)
  assert.equal(throttle.delayMs('192.0.2.1'), 0)
})

test('addresses that belong together count together', () => {
  for (const [one, same, other] of [
    ['192.0.2.1', '::ffff:192.0.2.1', '::ffff:192.0.2.2'],
    ['192.0.2.1', '::ffff:c000:201', '::ffff:c000:202'],
    ['192.0.2.1', '0:0:0:0:0:FFFF:192.0.2.1', '192.0.2.10'],
    ['2001:db8:0:1::1', '2001:db8:0:1:ffff:ffff:ffff:ffff', '2001:db8:0:2::1'],
    ['2001:0DB8::1', '2001:db8:0:0:1::', '2001:db8:0:1::'],
    ['::1', '::2', '::1:0:0:0:0'],
    ['fe80::1%eth0', 'fe80::2', 'fe80:0:0:1::1'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::', '2001:db8:1::2'],
    ['64:ff9b:0:0:1:2:192.0.2.1', '64:ff9b::', '64:ff9b:0:1::'],
  ] as const) {
    const { throttle, fail } = setUp({ freeFailures: 0 })
    fail(one)
    assert.equal(throttle.delayMs(same), 250, `${one} and ${same}`)
    assert.equal(throttle.delayMs(other), 0, `${one} and ${other}`)
  }
})

test('what has no address never waits', () => {
  const { throttle, fail } = setUp()
  fail('', 100)
  throttle.succeeded('')
  assert.equal(throttle.delayMs(''), 0)
})

test('the table is bounded; who failed longest ago is forgotten first', () => {
  const { throttle, fail } = setUp({ freeFailures: 0, maxAddresses: 3 })
  fail('192.0.2.1')
  fail('192.0.2.2')
  fail('192.0.2.3')
  fail('192.0.2.1')
  fail('192.0.2.4')
  assert.deepEqual(
    [1, 2, 3, 4].map(last => throttle.delayMs(`192.0.2.${last}`)),
    [500, 0, 250, 250],
  )
})
