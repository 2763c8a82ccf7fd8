/** Wills stay stored until they are published, or never will be. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { payloadsOf, until } from '../../support/embedded-hub.ts'
import type { ConnectOptions } from '../../support/packets.ts'
import type { RawClient } from '../../support/raw-client.ts'
import { SlowStore } from '../../support/slow-store.ts'

const will = (payload: string): ConnectOptions => ({ will: { topic: 'wills', payload, qos: 1 } })

/** Everything that has come, as payloads. */
async function heard(client: RawClient): Promise<string[]> {
  return payloadsOf(await client.everything())
}

suite('a Will that can not be stored as its client goes', () => {
  test('is published to all when it can be, once', async t => {
    const disk = await SlowStore.start(t)
    const { stored } = disk
    const device = await stored.kept('device', false)
    const observer = await stored.guest('observer')
    for (const client of [device, observer]) await client.subscribe(['wills', 1])
    const mortal = await stored.guest('mortal', will('dead'))
    await disk.failNow()
    mortal.destroy()
    await until(() => stored.log.count('will.failed') === 1, 'the Will is put off')
    for (const client of [device, observer]) assert.deepEqual(await heard(client), [], 'nobody gets what is not stored')
    await disk.heal()
    for (const client of [device, observer]) assert.equal((await client.receive()).payload.toString(), 'dead')
    assert.equal(await disk.settledKeys('wq'), 0, 'neither the Will nor the message is left on disk')
    await disk.restart()
    const back = await stored.kept('device', true)
    assert.deepEqual(await heard(back), [], 'not published again')
  })

  test('is published at the next start when the hub ends before', async t => {
    const disk = await SlowStore.start(t)
    const { stored } = disk
    await stored.absent('device', ['wills', 1])
    const mortal = await stored.guest('mortal', will('dead'))
    await disk.failNow()
    mortal.destroy()
    await until(() => stored.log.count('will.failed') === 1, 'the Will is put off')
    await disk.restart()
    const device = await stored.kept('device', true)
    assert.equal((await device.receive()).payload.toString(), 'dead')
    assert.equal(await disk.settledKeys('w'), 0, 'the Will is no longer stored')
  })

  test('does not take the Will along that its client came back with', async t => {
    const disk = await SlowStore.start(t)
    const { stored } = disk
    const device = await stored.kept('device', false)
    await device.subscribe(['wills', 1])
    const mortal = await stored.guest('mortal', will('first'))
    await disk.failNow()
    mortal.destroy()
    await until(() => stored.log.count('will.failed') === 1, 'the Will is put off')
    const again = await stored.guest('mortal', will('second'))
    await disk.heal()
    assert.equal((await device.receive()).payload.toString(), 'first')
    assert.equal(await disk.settledKeys('w'), 1, 'the second Will is stored')
    again.destroy()
    assert.equal((await device.receive()).payload.toString(), 'second')
    assert.equal(await disk.settledKeys('w'), 0, 'no Will is stored any more')
  })
})

suite('while authorizePublish is asked about a Will', () => {
  for (const isAllowed of [true, false]) {
    test(`it stays on disk, until it is ${isAllowed ? 'published' : 'refused'}`, async t => {
      const disk = await SlowStore.start(t)
      const { stored } = disk
      await stored.absent('device', ['wills', 1])
      const mortal = await stored.guest('mortal', will('dead'))
      let answer: (() => void) | undefined
      stored.hub.authorizePublish = (_client, _packet, done) => {
        answer = () => done(isAllowed ? null : new Error('refused'))
      }
      mortal.destroy()
      await until(() => answer !== undefined, 'the hook is asked')
      assert.equal(await disk.settledKeys('w'), 1, 'a hub that dies now still has it')
      answer?.()
      await until(() => isAllowed || stored.log.count('will.failed') === 1, 'the Will is refused')
      const device = await stored.kept('device', true)
      if (isAllowed) assert.equal((await device.receive()).payload.toString(), 'dead')
      else assert.deepEqual(await heard(device), [])
      assert.equal(await disk.settledKeys('w'), 0, 'the Will is no longer stored')
    })
  }
})
