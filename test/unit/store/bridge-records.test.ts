/** What is stored of bridges: read again, checked, and not missed in what older versions have stored. */
import assert from 'node:assert/strict'
import { cpSync } from 'node:fs'
import { join } from 'node:path'
import { suite, test } from 'node:test'
import { crc32 } from 'node:zlib'
import { inspectStore } from '../../../src/broker/store/index.ts'
import { DamagedRecord, decodeRetained, encodeRetained, unseal } from '../../../src/broker/store/records.ts'
import { silentLogger } from '../../../src/common/index.ts'
import type { RawClient } from '../../support/raw-client.ts'
import { StoredHub } from '../../support/stored-hub.ts'
import { scratch } from './database-files.ts'
import { findingsOf, keysOf, tamper } from './verify-stores.ts'

const BRIDGE = { protocolLevel: 0x84 }
const KEY = Buffer.from('ra/1')

async function heard(client: RawClient): Promise<string[]> {
  const packets = await client.everything()
  return packets.map(packet =>
    packet.type === 'publish'
      ? `${packet.topic}${packet.retain ? ' retained' : ''} ${packet.payload.toString()}`
      : packet.type,
  )
}

/** A hub that has stored a session of bridge b1, and a retained message of it, and was stopped. */
async function stopped(t: Parameters<typeof StoredHub.start>[0]): Promise<StoredHub> {
  const hub = await StoredHub.start(t)
  const bridge = await hub.kept('b1', false, BRIDGE)
  await bridge.subscribe(['a/#', 1])
  await bridge.publish({ topic: 'a/1', payload: 'of b1', qos: 1, retain: true })
  await hub.leave(bridge, 'b1')
  await hub.stop()
  return hub
}

/** The value with its sum, as in a file. */
function sealed(key: Buffer, body: Buffer): Buffer {
  const sum = Buffer.alloc(4)
  sum.writeUInt32BE(crc32(body, crc32(key)))
  return Buffer.concat([body, sum])
}

suite('a stored retained message', () => {
  for (const payload of ['text', '', '\0\0']) {
    test(`is read as it was written: ${JSON.stringify(payload)}`, () => {
      for (const bridge of ['', 'b1', 'brücke', 'x'.repeat(65_535)]) {
        for (const qos of [0, 1, 2]) {
          const value = unseal(KEY, encodeRetained(KEY, qos, Buffer.from(payload), bridge))
          assert.deepEqual(decodeRetained(KEY, value), { qos, bridge, payload: Buffer.from(payload) })
        }
      }
    })
  }

  test('that no bridge has published is what older versions write', () => {
    const body = Buffer.from('\x01payload', 'latin1')
    assert.deepEqual(encodeRetained(KEY, 1, Buffer.from('payload'), ''), sealed(KEY, body))
  })

  test('that ends before it should is damaged', () => {
    const whole = unseal(KEY, encodeRetained(KEY, 1, Buffer.alloc(0), 'b1'))
    for (let length = 0; length < whole.length; length++)
      assert.throws(() => decodeRetained(KEY, whole.subarray(0, length)), DamagedRecord, `${length} bytes`)
  })
})

suite('a store that bridges have used', () => {
  test('is sound, and payloads are counted without the names of bridges', async t => {
    const hub = await stopped(t)
    const dir = join(scratch(t), 'data')
    cpSync(hub.dir, dir, { recursive: true })
    assert.deepEqual((await findingsOf(dir)).problems, [])
    const { summary } = await inspectStore(dir, silentLogger)
    assert.deepEqual([summary.retained, summary.retainedBytes, summary.damaged], [1, 'of b1'.length, 0])
  })

  test('with a QoS that there is not is damaged', async t => {
    const { dir } = await stopped(t)
    await tamper(dir, level => level.put(KEY, sealed(KEY, Buffer.from([0x83, 0, 2, 0x62, 0x31, 0x6d]))))
    assert.deepEqual((await findingsOf(dir)).problems, ['retained message "a/1": wrong content'])
  })

  test('keeps over restarts who has brought in what', async t => {
    const hub = await stopped(t)
    await hub.start()
    await hub.restart()
    const bridge = await hub.kept('b1', true, BRIDGE)
    await bridge.subscribe(['a/#', 1])
    assert.deepEqual(await heard(bridge), [])
    const other = await hub.guest('b2', BRIDGE)
    await other.subscribe(['a/#', 0])
    assert.deepEqual(await heard(other), ['a/1 retained of b1'])
    const publisher = await hub.guest('publisher')
    await publisher.publish({ topic: 'a/1', payload: 'of others', qos: 1, retain: true })
    assert.deepEqual(await heard(bridge), ['a/1 retained of others'])
    await hub.leave(bridge, 'b1')
    await hub.restart()
    const back = await hub.kept('b1', true, BRIDGE)
    await heard(back)
    await back.subscribe(['a/#', 0])
    assert.deepEqual(await heard(back), ['a/1 retained of others'])
  })

  test('with records of a version that knew nothing of bridges is read as ever', async t => {
    const hub = await stopped(t)
    await tamper(hub.dir, async level => {
      await level.put(KEY, sealed(KEY, Buffer.from('\x01of b1', 'latin1')))
      const [key] = await keysOf(level, 's')
      assert.ok(key !== undefined, 'a session is stored')
      const { isBridge, ...head } = JSON.parse(String(unseal(key, (await level.get(key)) as Buffer)))
      assert.equal(isBridge, true)
      await level.put(key, sealed(key, Buffer.from(JSON.stringify(head))))
    })
    assert.deepEqual((await findingsOf(hub.dir)).problems, [])
    await hub.start()
    const publisher = await hub.guest('publisher')
    await publisher.publish({ topic: 'a/2', payload: 'waits', qos: 1, retain: true })
    const bridge = await hub.kept('b1', true, BRIDGE)
    assert.deepEqual(await heard(bridge), ['a/2 waits'])
    await bridge.subscribe(['a/1', 0])
    assert.deepEqual(await heard(bridge), ['a/1 retained of b1'])
  })
})
