/** A client identifier that another principal takes up: what was on its way to the first is not for the second. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { configOf, type EmbeddedHub, embedHub, payloadsOf, until } from '../../support/embedded-hub.ts'
import { puback, publish, pubrec, unsubscribe } from '../../support/packets.ts'
import type { Cleanup, RawClient } from '../../support/raw-client.ts'

const PRINCIPALS = `
principals:
  - { username: a, password: a, permissions: [{ action: pub, permit: ['#'] }, { action: sub, permit: ['secret/#'] }] }
  - { username: b, password: b, permissions: [{ action: sub, permit: ['public'] }] }
message: { egress: { qos1: { buffer: { size: 3 } } } }
`
const A = { username: 'a', password: 'a' }
const B = { username: 'b', password: 'b' }
const KEPT = { cleanSession: false }
const MESSAGES = 20

interface Pending extends EmbeddedHub {
  /** Has acknowledged nothing. */
  device: RawClient
}

/** Some messages are in flight to the session `device` of principal `a`, more wait. */
async function withPending(t: Cleanup, qos: 1 | 2): Promise<Pending> {
  const embedded = await embedHub(t, { config: configOf(PRINCIPALS, '') })
  const device = await embedded.connect('device', { ...A, ...KEPT })
  await device.subscribe(['secret/#', qos])
  const publisher = await embedded.connect('publisher', A)
  for (let i = 0; i < MESSAGES; i++)
    publisher.send(publish({ topic: 'secret/x', payload: `${i}`, qos: 1, packetId: i + 1 }))
  for (let i = 0; i < MESSAGES; i++) await publisher.expect('puback')
  const first = await device.expect('publish')
  if (qos === 2 && first.qos === 2) {
    device.send(pubrec(first.packetId))
    while ((await device.next()).type !== 'pubrel');
  }
  const session = embedded.hub.sessions.get('device')
  assert.ok((session?.unacknowledged ?? 0) > 0, 'nothing is in flight')
  return { ...embedded, device }
}

async function leave({ hub }: EmbeddedHub, device: RawClient): Promise<void> {
  device.destroy()
  await until(() => hub.clients['device'] === undefined, 'the device leaves')
}

for (const qos of [1, 2] as const) {
  suite(`messages of QoS ${qos} in flight`, () => {
    for (const unsubscribes of [true, false]) {
      const how = unsubscribes ? 'unsubscribed and left' : 'left'
      test(`another principal does not get them after the first ${how}`, async t => {
        const pending = await withPending(t, qos)
        if (unsubscribes) {
          pending.device.send(unsubscribe(9, 'secret/#'))
          while ((await pending.device.next()).type !== 'unsuback');
        }
        await leave(pending, pending.device)
        const other = await pending.connect('device', { ...B, ...KEPT })
        assert.deepEqual(payloadsOf(await other.everything()), [])
        const session = pending.hub.sessions.get('device')
        assert.equal(session?.queued, 0)
        assert.equal(session?.subscriptions.size, 0)
      })
    }

    test('the same principal does, also those of a filter it has unsubscribed', async t => {
      const pending = await withPending(t, qos)
      pending.device.send(unsubscribe(9, 'secret/#'))
      while ((await pending.device.next()).type !== 'unsuback');
      await leave(pending, pending.device)
      const again = await pending.connect('device', { ...A, ...KEPT })
      const packets = await again.everything()
      const first = packets.find(packet => packet.type === 'publish')
      assert.ok(first?.type === 'publish' && first.topic === 'secret/x', 'nothing came again')
      if (first.qos === 1) again.send(puback(first.packetId))
    })
  })
}
