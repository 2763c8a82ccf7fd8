import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { isOwnHub, OPEN_TO_ALL, transports, useHub } from '../support/hub.ts'
import { type ConnectOptions, connect, field, packet, u16 } from '../support/packets.ts'

const ILL_FORMED = Buffer.from([0x61, 0xff, 0x62])
const SURROGATE = Buffer.from([0xed, 0xa0, 0x80])

/** CONNECT packets that break their format: closed without CONNACK [MQTT-3.1.4-1]. */
const MALFORMED: [name: string, options: ConnectOptions][] = [
  ['[MQTT-3.1.2-9] will flag without will topic and message', { flags: 0x06, payload: [field('id')] }],
  ['[MQTT-3.1.2-9] will flag with a will topic and no message', { flags: 0x06, payload: [field('id'), field('t')] }],
  ['[MQTT-3.1.2-11] [MQTT-3.1.2-13] will QoS 1 without will flag', { clientId: 'id', flags: 0x0a }],
  ['[MQTT-3.1.2-11] [MQTT-3.1.2-13] will QoS 2 without will flag', { clientId: 'id', flags: 0x12 }],
  ['[MQTT-3.1.2-11] [MQTT-3.1.2-15] will retain without will flag', { clientId: 'id', flags: 0x22 }],
  [
    '[MQTT-3.1.2-11] a will without will flag',
    { flags: 0x02, payload: [field('id'), field('will/topic'), field('message')] },
  ],
  ['[MQTT-3.1.2-14] will QoS 3', { clientId: 'id', will: { topic: 't', payload: 'x', qos: 3 } }],
  ['[MQTT-3.1.2-14] will QoS 3 without will flag', { clientId: 'id', flags: 0x1a }],
  ['[MQTT-3.1.2-18] a user name without its flag', { flags: 0x02, payload: [field('id'), field('user')] }],
  ['[MQTT-3.1.2-19] the user name flag without a user name', { flags: 0x82, payload: [field('id')] }],
  [
    '[MQTT-3.1.2-20] a password without its flag',
    { flags: 0x82, payload: [field('id'), field('user'), field('secret')] },
  ],
  ['[MQTT-3.1.2-21] the password flag without a password', { flags: 0xc2, payload: [field('id'), field('user')] }],
  [
    '[MQTT-3.1.2-22] the password flag without the user name flag',
    { flags: 0x42, payload: [field('id'), field('secret')] },
  ],
  ['[MQTT-3.1.3-3] no client identifier', { payload: [] }],
  ['[MQTT-3.1.3-3] a client identifier cut short', { payload: [u16(5), Buffer.from('abc')] }],
  ['[MQTT-3.1.3-4] [MQTT-1.5.3-1] a client identifier that is no UTF-8', { clientId: ILL_FORMED }],
  ['[MQTT-3.1.3-4] [MQTT-1.5.3-1] a client identifier with a surrogate', { clientId: SURROGATE }],
  ['[MQTT-3.1.3-4] [MQTT-1.5.3-2] a client identifier with U+0000', { clientId: 'a\0b' }],
  ['[MQTT-3.1.3-10] [MQTT-1.5.3-1] a will topic that is no UTF-8', { clientId: 'id', will: { topic: ILL_FORMED } }],
  ['[MQTT-3.1.3-10] [MQTT-1.5.3-1] a will topic with a surrogate', { clientId: 'id', will: { topic: SURROGATE } }],
  ['[MQTT-3.1.3-10] [MQTT-1.5.3-2] a will topic with U+0000', { clientId: 'id', will: { topic: 'a\0b' } }],
  ['[MQTT-3.1.3-11] [MQTT-1.5.3-1] a user name that is no UTF-8', { clientId: 'id', username: ILL_FORMED }],
  ['[MQTT-3.1.3-11] [MQTT-1.5.3-1] a user name with a surrogate', { clientId: 'id', username: SURROGATE }],
  ['[MQTT-3.1.3-11] [MQTT-1.5.3-2] a user name with U+0000', { clientId: 'id', username: 'a\0b' }],
  ['[MQTT-4.7.1-1] [MQTT-3.2.2-6] a will topic with a wildcard', { clientId: 'id', will: { topic: 'a/#' } }],
  ['[MQTT-4.7.3-1] [MQTT-3.2.2-6] an empty will topic', { clientId: 'id', will: { topic: '' } }],
  ['[MQTT-3.1.4-1] bytes behind the payload', { payload: [field('id'), Buffer.from([0])] }],
  ['[MQTT-3.1.4-1] a protocol name that is no UTF-8', { clientId: 'id', protocolName: ILL_FORMED }],
]

const CONNECT_CUT: [name: string, body: Buffer[]][] = [
  ['an empty packet', []],
  ['half a length', [Buffer.from([0])]],
  ['a protocol name that says it is longer', [u16(400), Buffer.from('MQTT')]],
  ['nothing behind the protocol name', [field('MQTT')]],
  ['nothing behind the protocol level', [field('MQTT'), Buffer.from([4])]],
  ['nothing behind the flags', [field('MQTT'), Buffer.from([4, 2])]],
  ['half a keep alive', [field('MQTT'), Buffer.from([4, 2, 0])]],
]

/** Accounts, so that user name and password are looked at. */
const WITH_PRINCIPAL = `${OPEN_TO_ALL}
principals:
  - username: user
    password: secret
    permissions:
      - { action: pub, permit: ['#'] }
      - { action: sub, permit: ['#'] }
`

for (const transport of transports) {
  describe(`CONNECT and its payload on ${transport}`, { concurrency: true }, () => {
    const hub = useHub({ transports: [transport], yaml: WITH_PRINCIPAL })

    for (const [name, options] of MALFORMED) {
      test(`${name} ends the connection without CONNACK`, async t => {
        const client = await hub.open(t, transport)
        client.send(connect(options))
        await client.closed()
      })
    }

    for (const [name, body] of CONNECT_CUT) {
      test(`[MQTT-3.1.4-1] CONNECT with ${name} ends the connection without CONNACK`, async t => {
        const client = await hub.open(t, transport)
        client.send(packet(0x10, ...body))
        await client.closed()
      })
    }

    test('[MQTT-3.1.3-1] [MQTT-3.1.2-9] all fields at once are read in their order', async t => {
      const witness = await hub.connect(t, { transport })
      await witness.subscribe(['all/will', 2])
      const client = await hub.open(t, transport)
      const connack = await client.connect({
        clientId: 'all',
        keepAlive: 60,
        will: { topic: 'all/will', payload: 'the message', qos: 2 },
        username: 'user',
        password: 'secret',
      })
      assert.equal(connack.returnCode, 0)
      client.destroy()
      const will = await witness.receive()
      assert.deepEqual([will.topic, will.payload.toString(), will.qos], ['all/will', 'the message', 2])
    })

    test('[MQTT-3.1.2-19] [MQTT-3.1.2-21] a wrong password is not accepted', { skip: !isOwnHub }, async t => {
      const client = await hub.open(t, transport)
      const connack = await client.connect({ clientId: 'wrong', username: 'user', password: 'Secret' })
      assert.deepEqual(connack, { type: 'connack', sessionPresent: false, returnCode: 4 })
      await client.closed()
    })

    test('a will message may hold any bytes', async t => {
      const witness = await hub.connect(t, { transport })
      await witness.subscribe(['binary/will', 0])
      const payload = Buffer.from([0, 0xff, 0xed, 0xa0, 0x80])
      const client = await hub.connect(t, { transport, will: { topic: 'binary/will', payload } })
      client.destroy()
      assert.deepEqual((await witness.receive()).payload, payload)
    })
  })
}
