// The hub ends without a word: whatever it has acknowledged is there in its next life.
import assert from 'node:assert/strict'
import { type Packet, type PacketOf, publish, pubrec, pubrel, unsubscribe } from '../../support/packets.ts'
import type { It } from './lab.ts'
import { acknowledge, hold, pour, series, silence, take, texts, textsOf, untilSilence } from './traffic.ts'

const isPublish = (packet: Packet): packet is PacketOf<'publish'> => packet.type === 'publish'
const isPubrel = (packet: Packet): packet is PacketOf<'pubrel'> => packet.type === 'pubrel'
const idsOf = (packets: readonly { packetId: number }[]): number[] => packets.map(({ packetId }) => packetId)

export function crash(it: It): void {
  it(
    'after a hard end: sessions, queues, what was in flight, receipts and retained messages',
    async lab => {
      await lab.leaveSession('away', ['t', 1], ['u', 2])
      const leaver = await lab.begin('leaver')
      await leaver.subscribe(['t', 1], ['u', 2])
      leaver.send(unsubscribe(5, 't'))
      await leaver.expect('unsuback')
      const reader = await lab.begin('reader')
      await reader.subscribe(['u', 2])
      const sender = await lab.begin('sender')
      await sender.subscribe(['to/sender', 1])
      await pour(sender, series('t', 1, 150))
      await pour(sender, series('u', 2, 30))
      const held = await hold(reader, 30)
      await acknowledge(reader, held.slice(0, 10))
      const completed = idsOf(held.slice(0, 10))
      for (const { packetId } of held.slice(10, 15)) {
        reader.send(pubrec(packetId))
        await reader.expect('pubrel')
      }
      await reader.quiet()
      await sender.publish({ topic: 'r/kept', qos: 1, payload: 'old', retain: true })
      await sender.publish({ topic: 'r/kept', qos: 1, payload: 'new', retain: true })
      await sender.publish({ topic: 'r/gone', qos: 1, payload: 'x', retain: true })
      await sender.publish({ topic: 'r/gone', qos: 1, retain: true })
      sender.send(publish({ topic: 'u', qos: 2, packetId: 7, payload: '30' }))
      await sender.expect('pubrec')

      await lab.crash()

      const again = await lab.resume('sender')
      again.send(publish({ topic: 'u', qos: 2, packetId: 7, payload: '30', dup: true }))
      await again.expect('pubrec')
      again.send(pubrel(7))
      await again.expect('pubcomp')
      await pour(again, [...series('t', 1, 1, 'later '), ...series('u', 2, 1, 'later ')])

      const away = await lab.resume('away')
      const got = await take(away, 183)
      const of = (topic: string): string[] => textsOf(got.filter(message => message.topic === topic))
      assert.deepEqual(of('t'), [...texts(150), 'later 0'])
      assert.deepEqual(of('u'), [...texts(31), 'later 0'])
      await silence(away)

      const leaverAgain = await lab.resume('leaver')
      assert.deepEqual(textsOf(await take(leaverAgain, 32)), [...texts(31), 'later 0'])
      await silence(leaverAgain)

      const readerAgain = await lab.resume('reader')
      const all = await untilSilence(readerAgain)
      const released = idsOf(all.filter(isPubrel)).filter(id => !completed.includes(id))
      assert.deepEqual(released, idsOf(held.slice(10, 15)), 'PUBREL comes again; for what was completed it may')
      const open = all.filter(isPublish)
      const inFlight = held.slice(15).map(message => ({ ...message, dup: true }))
      assert.deepEqual(open.slice(0, 15), inFlight)
      assert.deepEqual(textsOf(open.slice(15)), ['30', 'later 0'])

      const late = await lab.guest()
      await late.subscribe(['r/#', 1])
      assert.deepEqual(textsOf(await take(late, 1)), ['new'])
      await silence(late)
    },
    { mortal: true },
  )
}
