/** What lies below $SYS/ is said by the hub alone. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { suite, test } from 'node:test'
import type { HubOptions } from '../../../src/broker/index.ts'
import { configOf, embedHub } from '../../support/embedded-hub.ts'
import { publish } from '../../support/packets.ts'

const PERMISSIVE = `
anonymous:
  permissions:
    - { action: pub, permit: ['#', '$SYS/#', '$SYSTEM'] }
    - { action: sub, permit: ['#', '$SYS/#', '$SYSTEM'] }
limits: { topic: { dollar: allow } }
`
const HUBS: Readonly<Record<string, HubOptions>> = {
  'without a configuration': {},
  'whose configuration permits it': { config: configOf('', PERMISSIVE) },
}

for (const [name, options] of Object.entries(HUBS)) {
  suite(`a hub ${name}`, () => {
    for (const hasListener of [false, true]) {
      const how = hasListener ? 'with a listener of publish' : 'with nobody who has a say'
      for (const qos of [0, 1, 2]) {
        test(`${how}: a QoS ${qos} message of a client below $SYS/ closes its connection`, async t => {
          const { hub, connect } = await embedHub(t, options)
          const witness = await connect('witness')
          await witness.subscribe(['$SYS/forged/#', 0])
          if (hasListener) hub.on('publish', () => {})
          for (const retain of [false, true]) {
            const forger = await connect('forger')
            forger.send(publish({ topic: '$SYS/forged/uptime', payload: 'x', qos, retain }))
            assert.deepEqual(await forger.drain(), [])
          }
          await witness.quiet()
          await witness.subscribe(['$SYS/forged/uptime', 0]) // nothing was retained
          await witness.quiet()
        })
      }

      test(`${how}: nor can it leave its Will there`, async t => {
        const { hub, open, connect } = await embedHub(t, options)
        const witness = await connect('witness')
        await witness.subscribe(['$SYS/forged/#', 0])
        if (hasListener) hub.on('publish', () => {})
        const forger = await open()
        const will = { topic: '$SYS/forged/will', payload: 'x' }
        const { returnCode } = await forger.connect({ clientId: 'forger', will })
        if (returnCode === 0) {
          forger.destroy()
          await once(hub, 'clientDisconnect')
        } else await forger.closed()
        await witness.quiet()
      })
    }

    test('says what it has to say there, and the program may', async t => {
      const { hub, connect } = await embedHub(t, options)
      const witness = await connect('witness')
      await witness.subscribe(['$SYS/#', 0])
      hub.publish({ cmd: 'publish', topic: '$SYS/mine', payload: 'x', qos: 0, retain: false, dup: false }, () => {})
      for (;;) if ((await witness.expect('publish')).topic === '$SYS/mine') break
    })

    test('lets clients publish to other topics that begin with $', async t => {
      const { connect } = await embedHub(t, options)
      const client = await connect('client')
      await client.subscribe(['$SYSTEM', 0])
      client.send(publish({ topic: '$SYSTEM', payload: 'x' }))
      assert.equal((await client.expect('publish')).payload.toString(), 'x')
    })
  })
}
