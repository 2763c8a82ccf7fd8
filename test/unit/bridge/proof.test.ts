import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { PROOF_MS, Proof } from '../../../src/bridge/proof.ts'

/** Publishes what is wanted, and has it come back. */
function roundTrip(proof: Proof, keys: readonly number[], now: number): boolean[] {
  for (const key of keys) if (proof.wants(now)) proof.sent(key, now)
  return keys.map(key => proof.cameBack(key, now))
}

suite('whether messages come back', () => {
  test('three that did: they do, and it is news once', () => {
    const proof = new Proof()
    assert.deepEqual(roundTrip(proof, [1, 2, 3], 0), [false, false, true])
    assert.equal(proof.isBroken, true)
    assert.deepEqual(roundTrip(proof, [4, 5, 6], 10), [false, false, false])
    assert.equal(proof.isBroken, true)
  })

  test('one that did not: they do not, which stands for a minute', () => {
    const proof = new Proof()
    roundTrip(proof, [1, 2], 0)
    proof.sent(3, 0)
    assert.equal(proof.wants(PROOF_MS - 1), false, 'three are enough')
    assert.equal(proof.wants(PROOF_MS), false)
    assert.equal(proof.isKept(PROOF_MS), true)
    assert.equal(proof.cameBack(3, PROOF_MS + 1), false, 'it comes too late')
    assert.equal(proof.wants(PROOF_MS + 59_999), false)
    assert.equal(proof.wants(PROOF_MS + 60_000), true, 'it is looked at again')
  })

  test('the same message many times at once is one', () => {
    const proof = new Proof()
    for (let i = 0; i < 100; i++) {
      proof.sent(1, i)
      assert.equal(proof.cameBack(1, i), false)
    }
    assert.equal(proof.isBroken, false)
  })

  test('the same message, a second apart: a circle of one message is seen, too', () => {
    const proof = new Proof()
    const news = [0, 1000, 2000].map(now => roundTrip(proof, [1], now))
    assert.deepEqual(news, [[false], [false], [true]])
  })

  test('messages that came back and do no longer: it begins anew', () => {
    const proof = new Proof()
    roundTrip(proof, [1, 2, 3], 0)
    assert.equal(proof.wants(1), true)
    proof.sent(4, 1)
    assert.equal(proof.wants(1 + PROOF_MS), true)
    assert.equal(proof.isBroken, false)
    assert.equal(proof.isKept(1 + PROOF_MS), false, 'that is not known either')
  })

  test('a new connection: what was under way says nothing, what came back stays known', () => {
    const proof = new Proof()
    proof.sent(1, 0)
    proof.begin()
    assert.equal(proof.isWaiting, false)
    assert.equal(proof.wants(PROOF_MS), true)
    roundTrip(proof, [1, 2, 3], PROOF_MS)
    proof.begin()
    assert.equal(proof.isBroken, true)
  })
})
