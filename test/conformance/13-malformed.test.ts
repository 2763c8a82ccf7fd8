import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { useHub } from '../support/hub.ts'
import { connect, field, packet, publish, pubrel, subscribe, u16, unsubscribe } from '../support/packets.ts'

const text = (...bytes: number[]): Buffer => Buffer.from(bytes)

/** Strings that must close the connection [MQTT-1.5.3-1] [MQTT-1.5.3-2]. */
const BAD_STRINGS: Record<string, Buffer> = {
  'U+0000': text(0),
  'U+0000 in the middle': text(0x61, 0, 0x62),
  'a lone continuation byte': text(0x80),
  'a sequence cut short': text(0x61, 0xe4, 0xb8),
  'a sequence broken off': text(0xe4, 0x61, 0x62),
  'an overlong slash': text(0xc0, 0xaf),
  'an overlong U+0000': text(0xc0, 0x80),
  'an overlong sequence of three bytes': text(0xe0, 0x80, 0xaf),
  'U+D800': text(0xed, 0xa0, 0x80),
  'U+DFFF': text(0xed, 0xbf, 0xbf),
  'a pair of surrogates': text(0xed, 0xa0, 0xbd, 0xed, 0xb8, 0x80),
  'a code point above U+10FFFF': text(0xf4, 0x90, 0x80, 0x80),
  'a sequence of five bytes': text(0xf8, 0x88, 0x80, 0x80, 0x80),
  'the byte FF': text(0x61, 0xff),
}

/** Places where a string can stand. */
const PLACES: Record<string, (content: Buffer) => Buffer> = {
  'the topic of PUBLISH': content => publish({ topic: content, payload: 'x' }),
  'the topic of PUBLISH at QoS 2': content => publish({ topic: content, qos: 2 }),
  'a filter of SUBSCRIBE': content => subscribe(1, ['fine', 0], [content, 0]),
  'a filter of UNSUBSCRIBE': content => unsubscribe(1, 'fine', content),
}

/** Packets that end the connection of a connected client, by type. */
const BAD_PACKETS: Record<string, Buffer> = {
  '[MQTT-2.2.2-1] [MQTT-2.2.2-2] PUBACK with flags': packet(0x41, u16(1)),
  '[MQTT-2.2.2-2] PUBACK with the flags of PUBREL': packet(0x42, u16(1)),
  '[MQTT-2.2.2-2] PUBREC with flags': packet(0x51, u16(1)),
  '[MQTT-3.6.1-1] [MQTT-2.2.2-2] PUBREL without its flags': packet(0x60, u16(1)),
  '[MQTT-3.6.1-1] [MQTT-2.2.2-2] PUBREL with flags 0011': packet(0x63, u16(1)),
  '[MQTT-3.6.1-1] [MQTT-2.2.2-2] PUBREL with flags 1010': packet(0x6a, u16(1)),
  '[MQTT-2.2.2-2] PUBCOMP with flags': packet(0x78, u16(1)),
  '[MQTT-2.2.2-2] [MQTT-3.1.0-2] CONNECT with flags': packet(0x11, connect({ clientId: 'x' }).subarray(2)),
  '[MQTT-4.8.0-1] CONNACK from a client': packet(0x20, text(0, 0)),
  '[MQTT-4.8.0-1] SUBACK from a client': packet(0x90, u16(1), text(0)),
  '[MQTT-4.8.0-1] UNSUBACK from a client': packet(0xb0, u16(1)),
  '[MQTT-4.8.0-1] PINGRESP from a client': packet(0xd0),
  '[MQTT-4.8.0-1] the reserved type 0': packet(0x00),
  '[MQTT-4.8.0-1] the reserved type 0 with a body': packet(0x00, text(1, 2, 3)),
  '[MQTT-4.8.0-1] the reserved type 15': packet(0xf0),
  '[MQTT-4.8.0-1] the reserved type 15 with a body': packet(0xf0, text(0)),
  '[MQTT-4.8.0-1] PUBLISH without a body': packet(0x30),
  '[MQTT-4.8.0-1] PUBLISH with half a topic length': packet(0x30, text(0)),
  '[MQTT-4.8.0-1] PUBLISH with a topic cut short': packet(0x30, u16(10), text(0x61)),
  '[MQTT-4.8.0-1] PUBLISH of QoS 1 without packet identifier': packet(0x32, field('a')),
  '[MQTT-4.8.0-1] PUBLISH of QoS 2 with half a packet identifier': packet(0x34, field('a'), text(1)),
  '[MQTT-4.8.0-1] PUBACK without a body': packet(0x40),
  '[MQTT-4.8.0-1] PUBACK of one byte': packet(0x40, text(1)),
  '[MQTT-4.8.0-1] PUBACK of three bytes': packet(0x40, text(0, 1, 0)),
  '[MQTT-2.3.1-6] PUBACK with packet identifier 0': packet(0x40, u16(0)),
  '[MQTT-4.8.0-1] PUBREC without a body': packet(0x50),
  '[MQTT-2.3.1-6] PUBREC with packet identifier 0': packet(0x50, u16(0)),
  '[MQTT-4.8.0-1] PUBREL without a body': packet(0x62),
  '[MQTT-4.8.0-1] PUBREL of three bytes': packet(0x62, text(0, 1, 0)),
  '[MQTT-2.3.1-6] PUBREL with packet identifier 0': pubrel(0),
  '[MQTT-4.8.0-1] PUBCOMP of one byte': packet(0x70, text(1)),
  '[MQTT-2.3.1-6] PUBCOMP with packet identifier 0': packet(0x70, u16(0)),
  '[MQTT-4.8.0-1] a remaining length of five bytes': Buffer.from([0x30, 0xff, 0xff, 0xff, 0xff, 0x01]),
  '[MQTT-4.8.0-1] five bytes of remaining length for PINGREQ': Buffer.from([0xc0, 0x80, 0x80, 0x80, 0x80, 0x00]),
  '[MQTT-4.8.0-1] an announced PUBLISH of 256 MB': Buffer.from([0x30, 0xff, 0xff, 0xff, 0x7f, 0, 1, 0x61]),
  '[MQTT-4.8.0-1] an announced SUBSCRIBE of 256 MB': Buffer.from([0x82, 0xff, 0xff, 0xff, 0x7f, 0, 1, 0]),
  '[MQTT-4.8.0-1] an announced PUBACK of 256 MB': Buffer.from([0x40, 0xff, 0xff, 0xff, 0x7f, 0, 1]),
}

describe('Malformed packets', { concurrency: true }, () => {
  const hub = useHub()

  for (const [name, bytes] of Object.entries(BAD_PACKETS)) {
    test(`${name} ends the connection`, async t => {
      const client = await hub.connect(t)
      client.send(bytes)
      await client.closed()
    })
  }

  for (const [place, encode] of Object.entries(PLACES)) {
    for (const [name, content] of Object.entries(BAD_STRINGS)) {
      test(`[MQTT-1.5.3-1] [MQTT-1.5.3-2] ${name} in ${place} ends the connection`, async t => {
        const client = await hub.connect(t)
        client.send(encode(content))
        await client.closed()
      })
    }
  }

  test('[MQTT-1.5.3-3] the bytes EF BB BF are kept in topics and filters', async t => {
    const client = await hub.connect(t)
    await client.subscribe(['\ufeffmark', 0])
    client.send(publish({ topic: 'mark' }), publish({ topic: text(0xef, 0xbb, 0xbf, 0x6d, 0x61, 0x72, 0x6b) }))
    assert.equal((await client.receive()).topic, '\ufeffmark')
    await client.quiet()
  })

  test('[MQTT-1.5.3-3] client identifiers with and without EF BB BF are not the same', async t => {
    const plain = await hub.connect(t, { clientId: 'mark' })
    const marked = await hub.open(t)
    marked.send(connect({ clientId: '\ufeffmark' }))
    await marked.drain(200).catch(() => {}) // refused or not, the other one stays
    await plain.quiet()
  })

  for (const first of [0x10, 0x30, 0xc0]) {
    test(`[MQTT-3.1.0-1] 256 MB announced by ${first} before CONNECT end the connection`, async t => {
      const client = await hub.open(t)
      client.send(Buffer.from([first, 0xff, 0xff, 0xff, 0x7f]), Buffer.alloc(100))
      await client.closed()
    })
  }

  test('[MQTT-3.1.0-1] what is not MQTT at all ends the connection', async t => {
    for (const bytes of ['GET / HTTP/1.1\r\nHost: localhost\r\n\r\n', '\x16\x03\x01\x02\x00\x01', 'hello\r\n']) {
      const client = await hub.open(t)
      client.send(Buffer.from(bytes.padEnd(200, '\r\n'), 'latin1'))
      await client.closed()
    }
  })

  test('[MQTT-4.8.0-1] nothing behind a malformed packet in the same chunk is processed', async t => {
    const witness = await hub.connect(t)
    await witness.subscribe(['behind/#', 0])
    const client = await hub.connect(t)
    const good = publish({ topic: 'behind/good' })
    client.send(Buffer.concat([good, packet(0x36, field('behind/bad'), u16(1)), publish({ topic: 'behind/ugly' })]))
    await client.closed()
    assert.equal((await witness.receive()).topic, 'behind/good')
    await witness.quiet()
  })
})
