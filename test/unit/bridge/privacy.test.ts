import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { ConnectRefused, PeerClosed } from '../../../src/bridge/failure-kinds.ts'
import { Privacy } from '../../../src/bridge/privacy.ts'

const HOUR_MS = 3_600_000
const CLOSED = new PeerClosed(1)

/** One attempt that ends so; what was asked, and whether the failure goes without a word. */
function fails(privacy: Privacy, failure: Error, phase = 'connack'): [asked: boolean, isQuiet: boolean] {
  return [privacy.begin(true, 0), privacy.ended(phase, failure)]
}

suite('whether a broker is told that this is a bridge', () => {
  test('it refuses the level: in the ordinary way at once, and asked again an hour later', () => {
    const privacy = new Privacy()
    assert.deepEqual(fails(privacy, new ConnectRefused(1)), [true, true])
    assert.equal(privacy.isNextAtOnce, true)
    assert.equal(privacy.begin(true, 0), false)
    privacy.accepted(0)
    assert.equal(privacy.isGranted, false)
    assert.equal(privacy.begin(true, HOUR_MS - 1), false)
    assert.equal(privacy.begin(true, HOUR_MS), true)
  })

  test('it is closed once, then not: that was an accident', () => {
    const privacy = new Privacy()
    assert.deepEqual(fails(privacy, CLOSED), [true, true])
    assert.equal(privacy.isNextAtOnce, true)
    assert.equal(privacy.begin(true, 0), true)
    privacy.accepted(0)
    assert.equal(privacy.isGranted, true)
  })

  test('it is closed whatever is said: that goes on at the usual pace, and it is said', () => {
    const privacy = new Privacy()
    const attempts = Array.from({ length: 7 }, () => [...fails(privacy, CLOSED), privacy.isNextAtOnce])
    assert.deepEqual(attempts.slice(0, 3), [
      [true, true, true],
      [true, true, true],
      [false, false, false],
    ])
    assert.deepEqual(attempts.slice(3), [
      [true, true, true],
      [false, false, false],
      [true, true, true],
      [false, false, false],
    ])
  })

  test('nobody is there after it was closed: no attempt comes at once', () => {
    const privacy = new Privacy()
    fails(privacy, CLOSED)
    assert.deepEqual(fails(privacy, Object.assign(new Error('refused'), { code: 'ECONNREFUSED' }), 'connect')[1], false)
    assert.equal(privacy.isNextAtOnce, false)
  })

  test('one that took it once is closed a few times: it is still asked', () => {
    const privacy = new Privacy()
    privacy.begin(true, 0)
    privacy.accepted(0)
    for (let i = 0; i < 9; i++) assert.deepEqual(fails(privacy, CLOSED), [true, false])
    fails(privacy, CLOSED)
    assert.equal(privacy.begin(true, 0), false, 'it may be another one by now')
  })
})
