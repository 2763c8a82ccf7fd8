// What makes up a session: that it is there, its subscriptions, and how it ends.
import assert from 'node:assert/strict'
import { publish, unsubscribe } from '../../support/packets.ts'
import type { RawClient } from '../../support/raw-client.ts'
import type { It } from './lab.ts'
import { acknowledge, hold, pour, series, silence, take, texts, textsOf, untilSilence } from './traffic.ts'

async function drop(client: RawClient, ...filters: string[]): Promise<void> {
  client.send(unsubscribe(77, ...filters))
  assert.equal((await client.expect('unsuback')).packetId, 77)
}

export function sessions(it: It): void {
  it('a kept session is present after a reconnect and after a restart, others are not', async lab => {
    await lab.leaveSession('kept', ['a', 1])
    const clean = await lab.guest('clean')
    await clean.subscribe(['a', 1])
    await clean.disconnect()
    await (await lab.resume('kept')).disconnect()
    await lab.restart()
    await (await lab.resume('kept')).disconnect()
    await (await lab.begin('clean')).disconnect()
    await (await lab.begin('stranger')).disconnect()
  })

  it(
    'a session without subscriptions is present',
    async lab => {
      await (await lab.begin('empty')).disconnect()
      await (await lab.resume('empty')).disconnect()
      await lab.restart()
      await (await lab.resume('empty')).disconnect()
    },
    { needs: 'a session without subscriptions' },
  )

  for (const isAway of [false, true]) {
    it(`subscriptions hold after a restart, for a client that was ${isAway ? 'away' : 'connected'}`, async lab => {
      const before = await lab.begin('kept')
      await before.subscribe(['zero', 0], ['one/+', 1], ['two/#', 2])
      await before.subscribe(['changed', 2])
      await before.subscribe(['changed', 1])
      if (isAway) await before.disconnect()
      await lab.restart()
      const after = await lab.resume('kept')
      const sender = await lab.guest()
      for (const topic of ['zero', 'one/x', 'two/x/y', 'two', 'changed'])
        for (const qos of [0, 1, 2]) await sender.publish({ topic, qos, payload: `${topic} ${qos}` })
      await sender.publish({ topic: 'one', qos: 2 })
      await sender.publish({ topic: 'one/x/y', qos: 2 })
      const got = await take(after, 15)
      assert.deepEqual(
        got.map(({ topic, qos, retain, dup }) => [topic, qos, retain, dup]),
        [
          ...[0, 0, 0].map(qos => ['zero', qos, false, false]),
          ...[0, 1, 1].map(qos => ['one/x', qos, false, false]),
          ...[0, 1, 2].map(qos => ['two/x/y', qos, false, false]),
          ...[0, 1, 2].map(qos => ['two', qos, false, false]),
          ...[0, 1, 1].map(qos => ['changed', qos, false, false]),
        ],
      )
      await silence(after)
    })
  }

  it('what was unsubscribed stays so after a restart', async lab => {
    const before = await lab.begin('kept')
    await before.subscribe(['a', 1], ['b/+', 2], ['c', 0], ['d', 1])
    await drop(before, 'a', 'b/+')
    await before.disconnect()
    await lab.restart()
    const sender = await lab.guest()
    await pour(
      sender,
      ['a', 'b/x', 'd'].map(topic => ({ topic, qos: 1, payload: 'away' })),
    )
    const after = await lab.resume('kept')
    const [waited] = await take(after, 1)
    assert.deepEqual([waited?.topic, waited?.payload.toString()], ['d', 'away'])
    await drop(after, 'c')
    await pour(
      sender,
      ['a', 'b/x', 'c', 'd'].map(topic => ({ topic, qos: 1, payload: 'here' })),
    )
    const [live] = await take(after, 1)
    assert.deepEqual([live?.topic, live?.payload.toString()], ['d', 'here'])
    await silence(after)
  })

  it('a client that unsubscribes keeps what was queued for it before', async lab => {
    await lab.leaveSession('kept', ['a', 1], ['other', 1])
    const sender = await lab.guest()
    await pour(sender, series('a', 1, 300))
    const before = await lab.resume('kept')
    const sent = await untilSilence(before)
    assert.ok(sent.length > 0 && sent.length < 300, `of 300 messages ${sent.length} go out unacknowledged`)
    await drop(before, 'a')
    await pour(sender, series('a', 1, 3, 'late '))
    await lab.restart()
    const after = await lab.resume('kept')
    assert.deepEqual(textsOf(await take(after, 300)), texts(300))
    await silence(after)
  })

  for (const moment of ['at once', 'after a restart'] as const) {
    it(`a CONNECT with Clean Session ends all that was kept, ${moment}`, async lab => {
      const sender = await lab.guest()
      const victim = await lab.begin('victim')
      await victim.subscribe(['a/+', 2], ['b', 1])
      await pour(sender, [...series('a/x', 2, 5), ...series('b', 1, 5)])
      const held = await hold(victim, 10)
      await acknowledge(victim, held.slice(0, 2))
      victim.send(publish({ topic: 'other', qos: 2, packetId: 9, payload: 'before' }))
      await victim.expect('pubrec')
      await victim.disconnect()
      await pour(sender, [...series('a/x', 2, 5), ...series('b', 1, 200)])
      if (moment === 'after a restart') await lab.restart()
      const clean = await lab.guest('victim')
      await silence(clean)
      await clean.disconnect()
      const witness = await lab.guest('witness')
      await witness.subscribe(['other', 2])
      const again = await lab.begin('victim')
      await silence(again)
      await pour(witness, [...series('a/x', 2, 2), ...series('b', 1, 2)])
      await silence(again)
      // The receipt is gone as well: this identifier says something new.
      again.send(publish({ topic: 'other', qos: 2, packetId: 9, payload: 'after', dup: true }))
      await again.expect('pubrec')
      assert.deepEqual(textsOf(await take(witness, 1)), ['after'])
      await again.disconnect()
      const last = await lab.guest('victim')
      await last.disconnect()
      await lab.restart()
      await silence(await lab.begin('victim'))
    })
  }

  it('client identifiers that look alike are sessions of their own', async lab => {
    const ids = ['ab', 'abc', 'ab:', 'ab%3A', 'ab/#', 'ab;', 'AB', 'größe', 'gro\u0308ße', '\u{1F600}']
    for (const [i, id] of ids.entries()) await lab.leaveSession(id, [`t/${i}`, 1], ['all', 2])
    const sender = await lab.guest('sender')
    for (const i of ids.keys()) await pour(sender, series(`t/${i}`, 1, 2, `for ${i}: `))
    await pour(sender, series('all', 2, 1, 'for all '))
    await (await lab.guest('ab')).disconnect()
    await lab.restart()
    for (const [i, id] of ids.entries()) {
      if (id === 'ab') {
        await silence(await lab.begin(id))
        continue
      }
      const client = await lab.resume(id)
      assert.deepEqual(textsOf(await take(client, 3)), [`for ${i}: 0`, `for ${i}: 1`, 'for all 0'])
      await silence(client)
    }
  })
}
