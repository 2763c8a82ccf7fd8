/** Rules and the store: a message and all that rules make of it are stored, acknowledged or refused as one. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { turns, until } from '../support/embedded-hub.ts'
import { type PublishOptions, publish } from '../support/packets.ts'
import { heard, heardAll, linesOf, rule } from '../support/rules.ts'
import { SlowStore } from '../support/slow-store.ts'
import { numbers, ranges, StoredHub } from '../support/stored-hub.ts'

const CHAIN = [rule('flood/# -> copy/{#}'), rule('copy/# -> end/{#}')]
const SESSIONS = ['flood', 'copy', 'end'] as const

suite('sessions that are away', () => {
  for (const qos of [1, 2]) {
    for (const single of [false, true]) {
      for (const isHooked of [false, true]) {
        const name = `QoS ${qos}, ${single ? 'one by one' : 'in runs'}${isHooked ? ', with a hook' : ''}`
        test(`at the source and at both targets get everything, across a restart: ${name}`, async t => {
          const stored = await StoredHub.start(t)
          stored.hub.useRules(CHAIN)
          if (isHooked) stored.hub.authorizePublish = (_client, _packet, done) => done(null)
          for (const topic of SESSIONS) await stored.absent(topic, [`${topic}/#`, qos])
          const publisher = await stored.guest('publisher')
          const acknowledged = await stored.flood(publisher, { topic: 'flood/x', count: 300, qos, single })
          assert.equal(ranges(acknowledged), '0-299', 'all are acknowledged')
          await stored.restart()
          for (const topic of SESSIONS) {
            const device = await stored.kept(topic, true)
            assert.equal(ranges(await stored.drain(device, topic)), '0-299', topic)
          }
          await stored.settled()
          await stored.stop()
          assert.equal((await stored.contents()).count('qmk'), 0, 'nothing is left on disk')
        })
      }
    }
  }

  test('one session at the source and at the targets gets each as a message of its own', async t => {
    const stored = await StoredHub.start(t)
    stored.hub.useRules(CHAIN)
    await stored.absent('device', ['flood', 1], ['copy', 2], ['end', 0])
    const publisher = await stored.guest('publisher')
    await publisher.publish({ topic: 'flood', payload: 'm', qos: 2 })
    await stored.restart()
    const device = await stored.kept('device', true)
    assert.deepEqual(await heardAll(device, 3), ['copy 2 m', 'end 0 m', 'flood 1 m'])
  })

  test('copies of QoS 0 do not wait for anybody', async t => {
    const stored = await StoredHub.start(t)
    stored.hub.useRules([rule('flood -> copy', { targetQos: 0 })])
    await stored.absent('device', ['copy', 1])
    const publisher = await stored.guest('publisher')
    await publisher.publish({ topic: 'flood', payload: 'm', qos: 1 })
    const device = await stored.kept('device', true)
    await device.quiet()
  })
})

suite('while a write is under way', () => {
  for (const [name, options] of [
    ['QoS 1', { qos: 1 }],
    ['QoS 1 with RETAIN', { qos: 1, retain: true }],
    ['QoS 2', { qos: 2 }],
  ] as const) {
    for (const isHooked of [false, true]) {
      for (const target of ['copy', 'end']) {
        test(`${name}${isHooked ? ', with a hook' : ''}: acknowledged when what waits at ${target} alone is stored`, async t => {
          const disk = await SlowStore.start(t)
          const { stored } = disk
          stored.hub.useRules(CHAIN)
          await stored.absent('device', [`${target}/#`, 2])
          const publisher = await stored.guest('publisher')
          if (isHooked) stored.hub.authorizePublish = (_client, _packet, done) => done(null)
          await stored.settled()
          disk.hold()
          const message: PublishOptions = { topic: 'flood/x', payload: '7', packetId: 9, ...options }
          publisher.send(publish(message))
          await disk.underWay()
          await turns(20)
          assert.equal(publisher.socket.bytesRead, 4, 'nothing but CONNACK has come')
          disk.release()
          assert.equal((await publisher.expect(options.qos === 1 ? 'puback' : 'pubrec')).packetId, 9)
          await stored.restart()
          const device = await stored.kept('device', true)
          assert.deepEqual(await stored.drain(device, 'device'), [7])
        })
      }
    }
  }

  test('a message that nobody keeps is acknowledged at once', async t => {
    const disk = await SlowStore.start(t)
    const { stored } = disk
    stored.hub.useRules([...CHAIN, rule('flood -> light', { targetQos: 0 })])
    await stored.absent('device', ['light', 2])
    const reader = await stored.guest('reader')
    await reader.subscribe(['end', 2])
    const publisher = await stored.guest('publisher')
    await stored.settled()
    disk.hold()
    await publisher.publish({ topic: 'flood', payload: 'm', qos: 2 })
    assert.deepEqual(await heard(reader), ['end 2 m'])
  })
})

suite('while nothing can be stored', () => {
  for (const qos of [1, 2]) {
    for (const isHooked of [false, true]) {
      for (const [where, rules, filter] of [
        ['at the target', CHAIN, 'copy/#'],
        ['at the end of a chain', CHAIN, 'end/#'],
        ['as what is retained at the target', [rule('flood/# -> copy/{#}', { retain: 'set' })], 'else'],
      ] as const) {
        test(`a message that must be kept ${where} is refused as a whole: QoS ${qos}${isHooked ? ', with a hook' : ''}`, async t => {
          const disk = await SlowStore.start(t)
          const { stored } = disk
          stored.hub.useRules(rules)
          await stored.absent('device', [filter, qos])
          const reader = await stored.guest('reader')
          await reader.subscribe(['#', 0])
          const [single, many] = [await stored.guest('single'), await stored.guest('many')]
          if (isHooked) stored.hub.authorizePublish = (_client, _packet, done) => done(null)
          await disk.failNow()
          const { count: retained } = stored.hub.retained
          single.send(publish({ topic: 'flood/x', payload: '1', qos, packetId: 1, retain: true }))
          const packets = numbers(2, 6).map(i => publish({ topic: 'flood/x', payload: `${i}`, qos, packetId: i }))
          many.send(Buffer.concat(packets))
          const { counters } = stored.hub.state
          await until(() => counters.refused === 5, 'all five are refused')
          assert.deepEqual(await heard(reader), [], 'nobody gets the original')
          assert.equal(stored.hub.retained.count, retained, 'nothing more is retained')
          const free = await stored.guest('free')
          await free.publish({ topic: 'flood/x', payload: '0', qos: 0 })
          const copies = rules.length === 2 ? ['copy/x 0 0', 'end/x 0 0', 'flood/x 0 0'] : ['copy/x 0 0', 'flood/x 0 0']
          assert.deepEqual(await heard(reader), copies, 'QoS 0 passes')
          await disk.heal()
          for (const publisher of [single, many]) await publisher.closed()
          const again = await stored.guest('again')
          await again.publish({ topic: 'flood/x', payload: '1', qos })
          assert.equal(linesOf(await reader.everything()).length, copies.length)
          if (filter === 'else') return
          const device = await stored.kept('device', true)
          assert.deepEqual(await stored.drain(device, 'device'), [1])
        })
      }
    }
  }

  test('what only needs room for copies of QoS 0 passes', async t => {
    const disk = await SlowStore.start(t)
    const { stored } = disk
    stored.hub.useRules([rule('flood -> copy', { targetQos: 0 }), rule('copy -> end')])
    await stored.absent('device', ['copy', 2], ['end', 2])
    const reader = await stored.guest('reader')
    await reader.subscribe(['end', 2])
    const publisher = await stored.guest('publisher')
    await disk.failNow()
    await publisher.publish({ topic: 'flood', payload: 'm', qos: 1 })
    assert.deepEqual(await heard(reader), ['end 0 m'])
    await disk.heal()
  })

  for (const single of [true, false]) {
    test(`what the first rule would forward with QoS 0 counts with the QoS of the rule that it goes by: ${single ? 'one by one' : 'in runs'}`, async t => {
      const disk = await SlowStore.start(t)
      const { stored } = disk
      const limit = { rate: 1 / 3600, burst: 1 }
      stored.hub.useRules([
        rule('flood -> copy', { sourceQos: 2, targetQos: 0, limit }),
        rule('flood/# -> copy', { sourceQos: 1, targetQos: 1 }),
      ])
      await stored.absent('device', ['copy', 1])
      const publisher = await stored.guest('publisher')
      const acknowledged = await stored.flood(publisher, { count: 2, single: false })
      assert.equal(ranges(acknowledged), '0-1')
      await disk.failNow()
      const packets = numbers(2, 5).map(i => publish({ topic: 'flood', payload: `${i}`, qos: 1, packetId: i + 1 }))
      if (single) for (const each of packets) publisher.send(each)
      else publisher.send(Buffer.concat(packets))
      assert.deepEqual(await publisher.everything(), [], 'what must be stored is not acknowledged')
      await disk.heal()
      await publisher.closed()
      const device = await stored.kept('device', true)
      assert.deepEqual(await stored.drain(device, 'device'), [1])
    })
  }
})

suite('a Will', () => {
  test('whose copies can not be stored waits, and is published with them one day', async t => {
    const disk = await SlowStore.start(t)
    const { stored } = disk
    stored.hub.useRules(CHAIN)
    await stored.absent('device', ['end/#', 1])
    const reader = await stored.guest('reader')
    await reader.subscribe(['flood/#', 0])
    const mortal = await stored.guest('mortal', { will: { topic: 'flood/x', payload: '5', qos: 1 } })
    await disk.failNow()
    await disk.cut(mortal, 'mortal')
    assert.deepEqual(await heard(reader), [], 'it waits')
    await disk.heal()
    assert.deepEqual(linesOf([await reader.receive()]), ['flood/x 0 5'])
    await stored.settled()
    const device = await stored.kept('device', true)
    assert.deepEqual(await stored.drain(device, 'device'), [5])
  })
})
