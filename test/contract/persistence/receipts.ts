// QoS 2 messages from clients: each published once, whatever ends between its packets.
import assert from 'node:assert/strict'
import { publish, pubrel } from '../../support/packets.ts'
import type { RawClient } from '../../support/raw-client.ts'
import type { It, Lab } from './lab.ts'
import { silence, take, textsOf } from './traffic.ts'

const ENDINGS: readonly [string, (lab: Lab, client: RawClient) => Promise<void>][] = [
  ['a reconnect', async (_lab, client) => client.destroy()],
  ['a restart', async lab => lab.restart()],
]

/** A client that sends; a subscription, so that its session is kept by every store. */
async function sender(lab: Lab, clientId = 'sender'): Promise<RawClient> {
  const client = await lab.begin(clientId)
  await client.subscribe(['to/sender', 1])
  return client
}

/** Sends a PUBLISH of QoS 2 and waits for PUBREC. */
async function offer(client: RawClient, packetId: number, payload: string, dup = false): Promise<void> {
  client.send(publish({ topic: 't', qos: 2, packetId, payload, dup }))
  assert.equal((await client.expect('pubrec')).packetId, packetId)
}

async function release(client: RawClient, packetId: number): Promise<void> {
  client.send(pubrel(packetId))
  assert.equal((await client.expect('pubcomp')).packetId, packetId)
}

/** What a kept session got of all that was published. */
async function heard(lab: Lab, count: number): Promise<string[]> {
  const witness = await lab.resume('witness')
  const got = textsOf(await take(witness, count))
  await silence(witness)
  await witness.disconnect()
  return got
}

export function receipts(it: It): void {
  for (const [ending, end] of ENDINGS) {
    it(`PUBLISH, ${ending}, PUBLISH again with DUP: published once`, async lab => {
      await lab.leaveSession('witness', ['t', 2])
      const before = await sender(lab)
      await offer(before, 7, 'once')
      await end(lab, before)
      const between = await lab.resume('sender')
      await offer(between, 7, 'once', true)
      await end(lab, between)
      const after = await lab.resume('sender')
      await offer(after, 7, 'once', true)
      await release(after, 7)
      assert.deepEqual(await heard(lab, 1), ['once'])
    })

    it(`PUBLISH, ${ending}, PUBREL: published once, and completed however often it is asked`, async lab => {
      await lab.leaveSession('witness', ['t', 2])
      const before = await sender(lab)
      await offer(before, 7, 'once')
      await end(lab, before)
      const after = await lab.resume('sender')
      await release(after, 7)
      await end(lab, after)
      await release(await lab.resume('sender'), 7)
      assert.deepEqual(await heard(lab, 1), ['once'])
    })

    it(`after PUBCOMP and ${ending} the packet identifier says something new, with DUP or without`, async lab => {
      await lab.leaveSession('witness', ['t', 2])
      let client = await sender(lab)
      for (const [payload, dup] of [
        ['one', false],
        ['two', false],
        ['three', true],
      ] as const) {
        await offer(client, 7, payload, dup)
        await release(client, 7)
        await end(lab, client)
        client = await lab.resume('sender')
      }
      assert.deepEqual(await heard(lab, 3), ['one', 'two', 'three'])
    })
  }

  it('many open exchanges of two clients are kept apart over a restart', async lab => {
    await lab.leaveSession('witness', ['t', 2])
    const names = ['sender', 'sender2']
    const ids = Array.from({ length: 50 }, (_, i) => 1 + i * 1300)
    for (const name of names) {
      const client = await sender(lab, name)
      for (const id of ids) await offer(client, id, `${name} ${id}`)
      for (const id of ids.filter((_, i) => i % 2 === 0)) await release(client, id)
    }
    await lab.restart()
    const expected = names.flatMap(name => ids.map(id => `${name} ${id}`))
    for (const name of names) {
      const client = await lab.resume(name)
      for (const [i, id] of ids.entries()) {
        await offer(client, id, `${name} anew ${id}`, true)
        await release(client, id)
        if (i % 2 === 0) expected.push(`${name} anew ${id}`)
      }
    }
    assert.deepEqual(await heard(lab, expected.length), expected)
  })

  it('a receipt of a clean session ends with it', async lab => {
    await lab.leaveSession('witness', ['t', 2])
    for (const payload of ['one', 'two', 'three']) {
      const client = await lab.guest('sender')
      await offer(client, 7, payload)
      await client.disconnect()
      if (payload === 'two') await lab.restart()
    }
    const kept = await lab.begin('sender')
    await offer(kept, 7, 'four')
    assert.deepEqual(await heard(lab, 4), ['one', 'two', 'three', 'four'])
  })
}
