import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { OPEN_TO_ALL, ownHubOnly, startTestHub, useHub } from '../support/hub.ts'
import { connect, type Packet, packet } from '../support/packets.ts'

describe('Connections that do not connect', { concurrency: true, skip: ownHubOnly }, () => {
  const hub = useHub({ yaml: `${OPEN_TO_ALL}\nlimits: { connect: { timeout: 400ms } }\n`, transports: ['tcp', 'ws'] })

  for (const transport of ['tcp', 'ws'] as const) {
    test(`a connection on ${transport} that sends nothing is closed after limits.connect.timeout`, async t => {
      const client = await hub.open(t, transport)
      const start = performance.now()
      await client.closed()
      assert.ok(performance.now() - start > 300)
    })

    test(`a connection on ${transport} that sends a byte now and then is closed all the same`, async t => {
      const client = await hub.open(t, transport)
      const bytes = connect({ clientId: 'slow' })
      let at = 0
      const timer = setInterval(() => client.send(bytes.subarray(at, ++at)), 50)
      t.after(() => clearInterval(timer))
      await client.closed()
      clearInterval(timer)
      assert.ok(at < bytes.length)
    })

    test(`a client that has connected on ${transport} stays`, async t => {
      const client = await hub.connect(t, { transport })
      await client.nothing(700)
      await client.quiet()
    })
  }
})

describe('More connections than allowed', { skip: ownHubOnly }, () => {
  test('the one beyond limits.connections is refused, and there is room again when one has gone', async t => {
    const hub = await startTestHub(t, { yaml: `${OPEN_TO_ALL}\nlimits: { connections: 3 }\n` })
    const clients = await Promise.all([1, 2, 3].map(() => hub.connect(t)))
    const refused = await hub.open(t)
    refused.send(connect({ clientId: 'one-too-many' }))
    const answers = await refused.drain()
    assert.ok(answers.every(answer => answer.type === 'connack' && answer.returnCode === 3))
    await clients[0]?.disconnect()
    // Both ends have to see the end of the connection before there is room.
    let answer: Packet | null = null
    for (let attempt = 0; answer === null || answer.type !== 'connack' || answer.returnCode !== 0; attempt++) {
      assert.ok(attempt < 50, 'there is no room')
      const client = await hub.open(t)
      client.send(connect({ clientId: 'after-all' }))
      answer = await client.nextOrClosed()
    }
    for (const survivor of clients.slice(1)) await survivor.quiet()
  })
})

describe('Offenders', { skip: ownHubOnly }, () => {
  const hub = useHub()

  test('two hundred broken connections leave nothing behind and disturb nobody', async t => {
    const witness = await hub.connect(t)
    const broken = [packet(0xf0), Buffer.from([0x30, 0xff, 0xff, 0xff, 0xff, 1]), packet(0x36, Buffer.alloc(4))]
    for (let round = 0; round < 10; round++) {
      await Promise.all(
        Array.from({ length: 20 }, async (_, i) => {
          const client = await hub.open(t)
          const bytes = broken[i % 3] as Buffer
          client.send(i % 2 === 0 ? bytes : Buffer.concat([connect({ clientId: `broken-${i}` }), bytes]))
          await client.drain()
        }),
      )
      await witness.quiet()
    }
    assert.equal(hub.connectedClients(), 1)
  })
})
