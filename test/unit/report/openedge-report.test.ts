import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { openedgeReport } from '../../../src/broker/report/index.ts'
import { embedHub } from '../../support/embedded-hub.ts'
import { puback } from '../../support/packets.ts'
import { SlowStore } from '../../support/slow-store.ts'
import { StoredHub } from '../../support/stored-hub.ts'

const NOTHING = {
  persisted_offset: '-',
  buffered_offset: 0,
  buffered_message_qos0: 0,
  buffered_message_qos1: 0,
  buffered_message_ack: 0,
}

suite("OpenEdge's report", () => {
  test('of an idle hub, with exactly its keys', async t => {
    const { hub } = await embedHub(t)
    assert.equal(
      JSON.stringify(openedgeReport(hub)),
      '[{"broker_stats":{"ingress_buffered_message_qos0":0,"ingress_buffered_message_qos1":0,"egress_buffered_offset":0}},' +
        '{"rule_count":2,"rule_stats":{' +
        '"$rule/msgqos0":{"persisted_offset":"-","buffered_offset":0,"buffered_message_qos0":0,"buffered_message_qos1":0,"buffered_message_ack":0},' +
        '"$rule/topic":{"persisted_offset":"-","buffered_offset":0,"buffered_message_qos0":0,"buffered_message_qos1":0,"buffered_message_ack":0}}}]',
    )
  })

  test('has each session, and what waits for it', async t => {
    const { hub, connect } = await embedHub(t)
    const away = await connect('away', { cleanSession: false })
    await away.subscribe(['news', 1])
    await away.disconnect()
    const here = await connect('here')
    await here.subscribe(['news', 1])
    const writer = await connect('__proto__')
    for (let i = 0; i < 4; i++) await writer.publish({ topic: 'news', payload: 'x', qos: 1 })
    for (let i = 0; i < 4; i++) await here.expect('publish')
    const [, { rule_count, rule_stats }] = openedgeReport(hub)
    assert.equal(rule_count, 5)
    assert.deepEqual(rule_stats, {
      '$rule/msgqos0': NOTHING,
      '$rule/topic': NOTHING,
      '$session/away': { ...NOTHING, buffered_message_qos1: 4 },
      '$session/here': { ...NOTHING, buffered_message_ack: 4 },
      '$session/__proto__': NOTHING,
    })
  })

  test('numbers are those of the store: what a session has is done with up to there', async t => {
    const stored = await StoredHub.start(t)
    const offset = (id: string): string | undefined => openedgeReport(stored.hub)[1].rule_stats[id]?.persisted_offset
    const device = await stored.kept('device', false)
    await device.subscribe(['flood', 1])
    const first = Number(offset('$rule/topic'))
    const writer = await stored.guest('writer')
    await stored.flood(writer, { count: 3 })
    await stored.settled()
    const packets = [await device.expect('publish'), await device.expect('publish'), await device.expect('publish')]
    assert.equal(offset('$rule/topic'), `${first + 3}`)
    assert.equal(offset('$session/device'), `${first}`, 'nothing is acknowledged')
    assert.equal(offset('$session/writer'), '-', 'nothing of it is stored')
    for (const { packetId } of packets) device.send(puback(packetId))
    await device.quiet()
    await stored.settled()
    assert.equal(offset('$session/device'), `${first + 3}`)
  })

  test('what can not be written is buffered', async t => {
    const disk = await SlowStore.start(t)
    const { stored } = disk
    const device = await stored.kept('device', false)
    await device.subscribe(['flood', 1])
    const writer = await stored.guest('writer')
    await stored.flood(writer, { count: 1 })
    const { packetId } = await device.expect('publish')
    await disk.failNow()
    device.send(puback(packetId))
    await device.quiet()
    const [{ broker_stats }, { rule_stats }] = openedgeReport(stored.hub)
    assert.equal(broker_stats.egress_buffered_offset, 1)
    assert.equal(rule_stats['$session/device']?.buffered_offset, 1)
    await disk.heal()
    await stored.settled()
    assert.equal(openedgeReport(stored.hub)[0].broker_stats.egress_buffered_offset, 0)
  })

  test('is bounded', async t => {
    const { hub } = await embedHub(t)
    for (let i = 0; i < 10_500; i++) hub.sessions.create(`away-${i}`, false).leftAt = 1
    const [, { rule_count, rule_stats }] = openedgeReport(hub)
    assert.equal(rule_count, 10_502)
    assert.equal(Object.keys(rule_stats).length, 10_002)
  })
})
