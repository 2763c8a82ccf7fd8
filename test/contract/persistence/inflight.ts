// Messages on their way to a client when the connection or the hub ends.
import assert from 'node:assert/strict'
import { puback, pubcomp, pubrec } from '../../support/packets.ts'
import type { RawClient } from '../../support/raw-client.ts'
import type { It, Lab } from './lab.ts'
import { acknowledge, hold, pour, QOS, type Received, series, silence, take, texts, textsOf } from './traffic.ts'

const ENDINGS: readonly [string, (lab: Lab, client: RawClient) => Promise<void>][] = [
  ['a reconnect', async (_lab, client) => client.destroy()],
  ['a DISCONNECT', async (_lab, client) => client.disconnect()],
  ['a restart', async lab => lab.restart()],
]

const idsOf = (messages: readonly Received[]): number[] => messages.map(({ packetId }) => packetId)

export function inflight(it: It): void {
  for (const qos of QOS) {
    for (const [ending, end] of ENDINGS) {
      it(`QoS ${qos}: what was not acknowledged comes again after ${ending}, with DUP and its packet identifier`, async lab => {
        const before = await lab.begin('kept')
        await before.subscribe(['t', qos])
        await pour(await lab.guest(), series('t', qos, 6))
        const first = await hold(before, 6)
        assert.deepEqual(
          first.map(({ dup }) => dup),
          first.map(() => false),
        )
        const acknowledged = [first[1], first[4]] as Received[]
        await acknowledge(before, acknowledged)
        const open = first.filter(message => !acknowledged.includes(message))
        await end(lab, before)
        for (let i = 0; i < 2; i++) {
          const after = await lab.resume('kept')
          const second = await hold(after, 4)
          assert.deepEqual(
            second,
            open.map(message => ({ ...message, dup: true })),
          )
          await end(lab, after)
        }
      })
    }
  }

  for (const [ending, end] of ENDINGS) {
    it(`after PUBREC it is PUBREL that comes again after ${ending}, not PUBLISH`, async lab => {
      const before = await lab.begin('kept')
      await before.subscribe(['t', 2])
      await pour(await lab.guest(), series('t', 2, 3))
      const [first, second, third] = (await hold(before, 3)) as [Received, Received, Received]
      for (const { packetId } of [first, third]) {
        before.send(pubrec(packetId))
        assert.equal((await before.expect('pubrel')).packetId, packetId)
      }
      await end(lab, before)
      const after = await lab.resume('kept')
      assert.equal((await after.expect('pubrel')).packetId, first.packetId)
      assert.deepEqual(await after.expect('publish'), { ...second, dup: true })
      assert.equal((await after.expect('pubrel')).packetId, third.packetId)
      after.send(pubcomp(third.packetId))
      await silence(after)
      await end(lab, after)
      const last = await lab.resume('kept')
      assert.equal((await last.expect('pubrel')).packetId, first.packetId)
      assert.deepEqual(await last.expect('publish'), { ...second, dup: true })
      last.send(pubcomp(first.packetId))
      await acknowledge(last, [second])
      await end(lab, last)
      await silence(await lab.resume('kept'))
    })
  }

  for (const qos of QOS) {
    for (const [ending, end] of ENDINGS) {
      it(`QoS ${qos}: what was acknowledged does not come again after ${ending}`, async lab => {
        const client = await lab.begin('kept')
        await client.subscribe(['t', qos])
        const sender = await lab.guest()
        const pouring = pour(sender, series('t', qos, 200))
        assert.deepEqual(textsOf(await take(client, 200)), texts(200))
        await pouring
        await silence(client)
        await end(lab, client)
        const away = await lab.resume('kept')
        await silence(away)
        await away.disconnect()
        const later = await lab.guest()
        await pour(later, series('t', qos, 200, 'queued '))
        const again = await lab.resume('kept')
        assert.deepEqual(textsOf(await take(again, 200)), texts(200, 'queued '))
        await silence(again)
        await end(lab, again)
        await silence(await lab.resume('kept'))
      })
    }
  }

  it('after a restart messages get packet identifiers that none in flight has', async lab => {
    const before = await lab.begin('kept')
    await before.subscribe(['t', 1])
    await pour(await lab.guest(), series('t', 1, 20))
    const first = await hold(before, 20)
    await acknowledge(before, first.slice(0, 10))
    await lab.restart()
    const after = await lab.resume('kept')
    const again = await hold(after, 10)
    assert.deepEqual(idsOf(again), idsOf(first.slice(10)))
    await pour(await lab.guest(), series('t', 1, 80, 'new '))
    const fresh = await hold(after, 80)
    assert.equal(new Set([...idsOf(again), ...idsOf(fresh)]).size, 90)
    await acknowledge(after, [...fresh, ...again])
    await lab.restart()
    await silence(await lab.resume('kept'))
  })

  it('after a restart what was in flight comes before what was queued, in the order of publication', async lab => {
    const before = await lab.begin('kept')
    await before.subscribe(['t', 1])
    const sender = await lab.guest()
    await pour(sender, series('t', 1, 5))
    assert.equal((await hold(before, 5)).length, 5)
    await before.disconnect()
    await pour(sender, series('t', 1, 300, 'queued '))
    await lab.restart()
    const after = await lab.resume('kept')
    const got = await take(after, 305)
    assert.deepEqual(textsOf(got), [...texts(5), ...texts(300, 'queued ')])
    assert.deepEqual(
      got.map(({ dup }) => dup),
      got.map((_, i) => i < 5),
    )
    await silence(after)
  })

  it('acknowledgements in any order free what they name', async lab => {
    const before = await lab.begin('kept')
    await before.subscribe(['t', 1])
    await pour(await lab.guest(), series('t', 1, 50))
    const held = await hold(before, 50)
    for (const { packetId } of held.filter((_, i) => i % 3 > 0).reverse()) before.send(puback(packetId))
    before.send(puback(60_000)) // names nothing
    await before.quiet()
    await lab.restart()
    const after = await lab.resume('kept')
    assert.deepEqual(idsOf(await hold(after, 17)), idsOf(held.filter((_, i) => i % 3 === 0)))
  })

  it('a retained message that came with SUBSCRIBE and was not acknowledged comes again after a restart', async lab => {
    await (await lab.guest()).publish({ topic: 'r', qos: 1, payload: 'x', retain: true })
    const before = await lab.begin('kept')
    await before.subscribe(['r', 1])
    const [sent] = (await hold(before, 1)) as [Received]
    await lab.restart()
    const after = await lab.resume('kept')
    assert.deepEqual(await hold(after, 1), [{ ...sent, dup: true }])
  })
}
