/** What is forgotten in memory is forgotten on disk. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { turns } from '../../support/embedded-hub.ts'
import { puback } from '../../support/packets.ts'
import { SlowStore } from '../../support/slow-store.ts'
import { ranges } from '../../support/stored-hub.ts'

/** More than are read in one go. */
const SHARED = 1200

suite('a session ends while another one takes the messages they share', () => {
  for (const qos of [1, 2]) {
    test(`QoS ${qos}: the other gets all, and nothing is left, before a restart and behind it`, async t => {
      const disk = await SlowStore.start(t, { settings: { inboundQos2: 0 } })
      const { stored } = disk
      for (const id of ['one', 'other']) await stored.absent(id, ['flood/#', qos])
      await stored.flood(await stored.guest('publisher'), { count: SHARED, qos, single: true })
      assert.equal(await disk.settledKeys('m'), SHARED, 'shared records')
      const other = await stored.kept('other', true)
      const draining = stored.drain(other, 'other')
      await turns(3)
      await stored.guest('one') // Clean Session ends it
      assert.equal(ranges(await draining), `0-${SHARED - 1}`)
      await disk.rid('qmk')
      assert.equal(await disk.keys('s'), 1, 'sessions on disk')
      const told = stored.log.lines.filter(line => line.level === 'warn' || line.level === 'error')
      assert.deepEqual(told, [], 'nothing went wrong')
      await disk.restart()
      assert.deepEqual(await (await stored.kept('other', true)).everything(), [])
    })
  }
})

suite('client.emptyOutgoingQueue', () => {
  const empty = ({ stored }: SlowStore): Promise<void> =>
    new Promise(resolve => stored.hub.clients['device']?.emptyOutgoingQueue(() => resolve()))

  test('forgets what was sent, what waits in memory and what waits on disk, and nothing behind it', async t => {
    const disk = await SlowStore.start(t, { settings: { window: 10 } })
    const { stored } = disk
    const device = await stored.kept('device', false)
    await device.subscribe(['flood/#', 1])
    const publisher = await stored.guest('publisher')
    await stored.flood(publisher, { count: 1000, single: true })
    const sent = (await device.everything()).flatMap(packet => (packet.type === 'publish' ? [packet.packetId] : []))
    assert.equal(sent.length, 10, 'messages in the window')
    await empty(disk)
    device.send(Buffer.concat(sent.map(puback))) // late, and without effect
    assert.deepEqual(await device.everything(), [])
    assert.equal(stored.hub.sessions.get('device')?.unacknowledged, 0)
    await stored.flood(publisher, { from: 1000, count: 20, single: true })
    assert.equal(ranges(await stored.drain(device, 'device')), '1000-1019')
    assert.equal(await disk.settledKeys('qmk'), 0, 'nothing is left on disk')
  })

  test('what was forgotten does not come back after a restart', async t => {
    const disk = await SlowStore.start(t, { settings: { window: 10 } })
    const { stored } = disk
    const device = await stored.kept('device', false)
    await device.subscribe(['flood/#', 1])
    await stored.flood(await stored.guest('publisher'), { count: 5, single: true })
    assert.equal((await device.everything()).length, 5)
    await empty(disk)
    await stored.settled()
    await disk.restart()
    assert.deepEqual(await (await stored.kept('device', true)).everything(), [])
    assert.equal(await disk.settledKeys('qmk'), 0, 'nothing is left on disk')
  })
})
