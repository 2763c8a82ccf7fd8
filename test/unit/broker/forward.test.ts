import assert from 'node:assert/strict'
import { once } from 'node:events'
import net from 'node:net'
import { test } from 'node:test'
import { createHub } from '../../../src/broker/index.ts'
import { type PacketOf, puback, publish, subscribe } from '../../support/packets.ts'
import { openRawClient } from '../../support/raw-client.ts'

for (const qos of [0, 1]) {
  test(`a hub whose only hook is authorizeForward asks it for every QoS ${qos} message of a run`, async t => {
    const hub = await createHub()
    const asked: string[] = []
    hub.authorizeForward = (_client, packet) => {
      asked.push(packet.topic)
      return packet.topic === 'hidden' ? null : packet
    }
    const server = net.createServer(hub.handle).listen(0, '127.0.0.1')
    t.after(async () => {
      await hub.closeGently(0)
      server.close()
    })
    await once(server, 'listening')
    const { port } = server.address() as net.AddressInfo
    const endpoint = { transport: 'tcp' as const, host: '127.0.0.1', port }
    const client = await openRawClient(t, endpoint)
    await client.connect({ clientId: 'c' })
    client.send(subscribe(1, ['#', qos]))
    await client.expect('suback')
    const packets = ['hidden', 'hidden', 'shown', 'hidden', 'shown'].map((topic, i) =>
      publish({ topic, payload: `${i}`, qos, packetId: i + 1 }),
    )
    client.send(Buffer.concat(packets))
    const answers = (await client.everything()).filter(({ type }) => type === 'publish') as PacketOf<'publish'>[]
    assert.deepEqual(
      answers.map(({ topic, payload }) => `${topic} ${payload.toString()}`),
      ['shown 2', 'shown 4'],
    )
    assert.equal(asked.length, 5)
    for (const { packetId } of answers) if (packetId > 0) client.send(puback(packetId))
    client.destroy()
  })
}
