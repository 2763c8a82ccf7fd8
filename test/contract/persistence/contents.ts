// Topics and payloads of every kind come back as they were.
import assert from 'node:assert/strict'
import type { It } from './lab.ts'
import { pour, QOS, silence, take } from './traffic.ts'

const KIB = 1024

const EVERY_BYTE = Buffer.from(Array.from({ length: 256 }, (_, i) => i))

function patterned(size: number): Buffer {
  const bytes = Buffer.alloc(size)
  for (let i = 0; i < size; i++) bytes[i] = (i * 31 + (i >> 8)) & 0xff
  return bytes
}

const PAYLOADS: readonly [string, Buffer][] = [
  ['nothing', Buffer.alloc(0)],
  ['one zero byte', Buffer.from([0])],
  ['every byte', EVERY_BYTE],
  ['no UTF-8', Buffer.from([0xff, 0xfe, 0xc0, 0x80, 0xed, 0xa0, 0x80])],
  ['8 KiB', patterned(8 * KIB)],
  ['100 KiB', patterned(100 * KIB)],
  ['1 MiB', patterned(1024 * KIB)],
]

const TOPICS: readonly string[] = [
  'größe/°C',
  'δ/温度/\u{1F600}',
  '\uFEFFmark',
  'a\u0308/ä',
  ' / leading and trailing ',
  'a:b/c!d\u00ff/~\u{10FFFD}',
  `long/${'ü'.repeat(4000)}`,
  '/',
]

export function contents(it: It): void {
  for (const qos of QOS) {
    it(`QoS ${qos}: payloads of every size and kind, queued and in flight`, async lab => {
      await lab.leaveSession('kept', ['t/#', qos])
      const sender = await lab.guest()
      for (const [name, payload] of PAYLOADS) await sender.publish({ topic: `t/${name}`, qos, payload })
      await lab.restart()
      const before = await lab.resume('kept')
      for (const [name, payload] of PAYLOADS) {
        const message = await before.expect('publish')
        assert.equal(message.topic, `t/${name}`)
        assert.ok(message.payload.equals(payload), `${name}: the payload is another`)
      }
      await lab.restart()
      const after = await lab.resume('kept')
      for (const [name, payload] of PAYLOADS) {
        const message = await after.receive()
        assert.deepEqual([message.topic, message.dup], [`t/${name}`, true])
        assert.ok(message.payload.equals(payload), `${name}: the payload is another after it was in flight`)
      }
      await silence(after)
    })
  }

  it('payloads of every size and kind, retained', async lab => {
    const sender = await lab.guest()
    const kept = PAYLOADS.filter(([, payload]) => payload.length > 0)
    for (const [name, payload] of kept) await sender.publish({ topic: `t/${name}`, qos: 1, payload, retain: true })
    await lab.restart()
    for (const [name, payload] of kept) {
      const client = await lab.guest()
      await client.subscribe([`t/${name}`, 1])
      const [message] = await take(client, 1)
      assert.ok(message?.payload.equals(payload), `${name}: the payload is another`)
    }
  })

  it('topics and filters of every script, queued and retained', async lab => {
    for (const [i, topic] of TOPICS.entries()) await lab.leaveSession(`exactly-${i}`, [topic, 1])
    await lab.leaveSession('all', ['#', 1])
    await lab.restart()
    await pour(
      await lab.guest(),
      TOPICS.map((topic, i) => ({ topic, qos: 1, payload: `${i}`, retain: true })),
    )
    await lab.restart()
    const all = await lab.resume('all')
    assert.deepEqual(
      (await take(all, TOPICS.length)).map(({ topic }) => topic),
      TOPICS,
    )
    await silence(all)
    for (const [i, topic] of TOPICS.entries()) {
      const client = await lab.resume(`exactly-${i}`)
      const [queued] = await take(client, 1)
      assert.equal(queued?.topic, topic)
      await client.subscribe([topic, 1])
      const [retained] = await take(client, 1)
      assert.deepEqual([retained?.topic, retained?.retain, retained?.payload.toString()], [topic, true, `${i}`])
      await silence(client)
    }
  })
}
