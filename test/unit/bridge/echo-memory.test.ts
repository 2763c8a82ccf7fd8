import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { EchoMemory } from '../../../src/bridge/echo-memory.ts'

const payload = Buffer.from('21.5')

function memory(max = 100, ttlMs = 1000): EchoMemory {
  return new EchoMemory({ max, ttlMs })
}

suite('echo memory', () => {
  test('knows a message once for each time that it was expected', () => {
    const echoes = memory()
    assert.equal(echoes.take('a', payload, 0), null)
    echoes.expect('a', payload, 'plant1', 0)
    echoes.expect('a', payload, 'plant2', 0)
    assert.equal(echoes.take('a', payload, 1), 'plant1', 'the older one first')
    assert.equal(echoes.take('a', payload, 1), 'plant2')
    assert.equal(echoes.take('a', payload, 1), null)
    assert.equal(echoes.size, 0)
  })

  test('tells topics and payloads apart', () => {
    const echoes = memory()
    echoes.expect('a', Buffer.from('bc'), 'r', 0)
    for (const [topic, other] of [
      ['ab', 'c'],
      ['a', 'b'],
      ['a', 'bc\0'],
      ['a', 'cb'],
      ['', 'abc'],
      ['b', 'bc'],
      ['A', 'bc'],
    ] as const) {
      assert.equal(echoes.take(topic, Buffer.from(other), 0), null, `${topic} ${other}`)
    }
    assert.equal(echoes.take('a', Buffer.from('bc'), 0), 'r')
  })

  test('has no two messages in one among a hundred thousand that are much alike', () => {
    const echoes = memory(200_000, 1_000_000)
    const bytes = Buffer.alloc(12)
    for (let i = 0; i < 100_000; i++) {
      bytes.writeUInt32LE(i, (i % 3) * 4)
      echoes.expect(`t/${i % 7}`, bytes, String(i), 0)
      bytes.fill(0)
    }
    let wrong = 0
    for (let i = 0; i < 100_000; i++) {
      bytes.writeUInt32LE(i, (i % 3) * 4)
      if (echoes.take(`t/${i % 7}`, bytes, 0) !== String(i)) wrong++
      bytes.fill(0)
    }
    assert.equal(wrong, 0)
  })

  test('does not keep the payload, which may be a view that is written over', () => {
    const echoes = memory()
    const bytes = Buffer.from('xx21.5xx')
    echoes.expect('a', bytes.subarray(2, 6), 'r', 0)
    bytes.fill(0)
    assert.equal(echoes.take('a', payload, 0), 'r')
  })

  test('forgets what is older than its time', () => {
    const echoes = memory(100, 1000)
    echoes.expect('a', payload, 'r', 0)
    echoes.expect('b', payload, 'r', 500)
    assert.equal(echoes.take('a', payload, 1000), null)
    assert.equal(echoes.size, 1)
    assert.equal(echoes.take('b', payload, 1499), 'r')
  })

  test('forgets the oldest when it is full', () => {
    const echoes = memory(3)
    for (const topic of ['a', 'b', 'a', 'c', 'd']) echoes.expect(topic, payload, topic, 0)
    assert.equal(echoes.size, 3)
    assert.equal(echoes.take('b', payload, 0), null)
    assert.equal(echoes.take('a', payload, 0), 'a', 'the second one')
    assert.equal(echoes.take('a', payload, 0), null)
    assert.equal(echoes.take('d', payload, 0), 'd')
    assert.equal(echoes.take('c', payload, 0), 'c')
  })

  test('of no messages expects none', () => {
    const echoes = memory(0)
    echoes.expect('a', payload, 'r', 0)
    assert.equal(echoes.take('a', payload, 0), null)
  })

  test('can be cleared', () => {
    const echoes = memory()
    echoes.expect('a', payload, 'r', 0)
    echoes.clear()
    assert.equal(echoes.size, 0)
    assert.equal(echoes.take('a', payload, 0), null)
    echoes.expect('a', payload, 's', 0)
    assert.equal(echoes.take('a', payload, 0), 's')
  })

  test('looks at both ends of a long payload, and at all of one of 64 KiB', () => {
    const echoes = memory()
    const whole = Buffer.alloc(64 * 1024)
    const long = Buffer.alloc(64 * 1024 + 3)
    for (const [bytes, at, isNoticed] of [
      [whole, 0, true],
      [whole, 32 * 1024, true],
      [whole, whole.length - 1, true],
      [long, 0, true],
      [long, 32 * 1024 - 1, true],
      [long, 32 * 1024 + 1, false],
      [long, long.length - 1, true],
    ] as const) {
      echoes.expect('a', bytes, 'r', 0)
      bytes[at] = 1
      assert.equal(echoes.take('a', bytes, 0), isNoticed ? null : 'r', `${bytes.length} bytes, changed at ${at}`)
      bytes[at] = 0
      echoes.clear()
    }
    echoes.expect('a', long, 'r', 0)
    assert.equal(echoes.take('a', Buffer.alloc(64 * 1024 + 4), 0), null, 'the length counts')
  })

  test('does what a list does, at random', () => {
    let seed = 7
    const random = (below: number) => {
      seed = (Math.imul(seed, 1_103_515_245) + 12_345) & 0x7fff_ffff
      return (seed >>> 8) % below
    }
    const echoes = memory(8, 20)
    let plain: { text: string; from: string; at: number }[] = []
    let taken = 0
    for (let now = 0; now < 20_000; now += random(3)) {
      const text = 'abcd'.charAt(random(4))
      plain = plain.filter(({ at }) => now - at < 20)
      if (random(2) === 0) {
        const from = String(now)
        echoes.expect(text, Buffer.from(text), from, now)
        plain = [...plain, { text, from, at: now }].slice(-8)
      } else {
        const i = plain.findIndex(entry => entry.text === text)
        const expected = i === -1 ? null : (plain[i]?.from ?? null)
        if (i !== -1) plain.splice(i, 1)
        assert.equal(echoes.take(text, Buffer.from(text), now), expected, `at ${now}`)
        if (expected !== null) taken++
      }
    }
    assert.ok(taken > 1000, `${taken} were taken`)
  })
})
