/** Receipts of QoS 2 messages: exactly once, whatever happens between PUBLISH and PUBREL. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { payloadsOf, turns, until } from '../../support/embedded-hub.ts'
import { publish, pubrel } from '../../support/packets.ts'
import { SlowStore } from '../../support/slow-store.ts'

const copy = (dup: boolean): Buffer => publish({ topic: 'flood', payload: 'one', qos: 2, packetId: 7, dup })

for (const granted of [0, 1, 2]) {
  test(`\`published\` fails behind a stored receipt: a subscriber of QoS ${granted} gets the message once`, async t => {
    const disk = await SlowStore.start(t)
    const { stored } = disk
    const reader = await stored.guest('reader')
    await reader.subscribe(['flood', granted])
    const publisher = await stored.kept('publisher', false)
    stored.hub.published = (_packet, client, done) => done(client === null ? null : new Error('the hook fails'))
    publisher.send(copy(false))
    await publisher.closed()
    assert.equal(await disk.settledKeys('i'), 1, 'the receipt is on disk')
    stored.hub.published = (_packet, _client, done) => done(null)

    const again = await stored.kept('publisher', true)
    again.send(copy(true))
    assert.equal((await again.expect('pubrec')).packetId, 7, 'the copy is acknowledged')
    await again.publish({ topic: 'flood', payload: 'two', qos: 1 })
    const received = [await reader.receive(), await reader.receive()]
    assert.deepEqual(payloadsOf(received), ['one', 'two'], 'and not delivered')
    await reader.quiet()
    again.send(pubrel(7))
    await again.expect('pubcomp')
    assert.equal(await disk.settledKeys('i'), 0, 'PUBREL ends the receipt')
    again.send(copy(false))
    await again.expect('pubrec')
    assert.equal((await reader.receive()).payload.toString(), 'one', 'the identifier is free for another message')
  })
}

suite('while the receipt is being written', () => {
  for (const isHooked of [false, true]) {
    test(`neither the message nor its copy is acknowledged${isHooked ? ', with hooks as without' : ''}`, async t => {
      const disk = await SlowStore.start(t)
      const { stored } = disk
      const reader = await stored.guest('reader')
      await reader.subscribe(['flood', 1])
      const publisher = await stored.kept('publisher', false)
      if (isHooked) stored.hub.authorizePublish = (_client, _packet, done) => done(null)
      await stored.settled()
      disk.hold()
      publisher.send(copy(false))
      await disk.underWay()
      await disk.cut(publisher, 'publisher')
      const again = await stored.kept('publisher', true)
      again.send(copy(true))
      await until(() => stored.hub.state.counters.messagesReceived === 2, 'the copy has come')
      await turns(20)
      assert.equal(again.socket.bytesRead, 4, 'nothing but CONNACK has come')
      disk.release()
      assert.equal((await again.expect('pubrec')).packetId, 7)
      assert.equal((await reader.receive()).payload.toString(), 'one')
      assert.deepEqual(await reader.everything(), [], 'delivered once')
      await disk.restart()
      const later = await stored.kept('publisher', true)
      later.send(copy(true))
      await later.expect('pubrec')
      assert.equal(stored.hub.sessions.get('publisher')?.receipts.has(7), true, 'known after a restart')
    })
  }
})
