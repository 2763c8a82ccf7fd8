import assert from 'node:assert/strict'
import { once } from 'node:events'
import http from 'node:http'
import https from 'node:https'
import type { Duplex } from 'node:stream'
import { describe, test } from 'node:test'
import { isOwnHub, useHub } from '../support/hub.ts'
import { connect, pingreq, publish, subscribe } from '../support/packets.ts'
import { type Endpoint, untilClosed } from '../support/raw-client.ts'

interface Upgrade {
  /** 101, or what the server answers instead. */
  status: number
  protocol: string | undefined
  socket: Duplex | null
}

/** Asks for a WebSocket by hand, to see the answer and to have the bare socket. */
function upgrade(endpoint: Endpoint, headers: Record<string, string>, path = '/mqtt'): Promise<Upgrade> {
  const { transport, host, port, ca } = endpoint
  const options = {
    host,
    port,
    path,
    agent: false,
    headers: {
      connection: 'Upgrade',
      upgrade: 'websocket',
      'sec-websocket-version': '13',
      'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
      ...headers,
    },
  }
  const request = transport === 'wss' ? https.request({ ...options, ...(ca && { ca }) }) : http.request(options)
  request.end()
  return new Promise((resolve, reject) => {
    request.on('error', reject)
    request.on('upgrade', (response, socket) => {
      socket.on('error', () => {})
      resolve({ status: 101, protocol: response.headers['sec-websocket-protocol'], socket })
    })
    request.on('response', response => {
      response.resume()
      resolve({ status: response.statusCode ?? 0, protocol: undefined, socket: null })
    })
  })
}

/** A masked frame, with whatever first byte and announced length. */
function frame(first: number, payload: Buffer, announced = payload.length): Buffer {
  const length = announced < 126 ? Buffer.from([0x80 | announced]) : Buffer.alloc(9)
  if (announced >= 126) {
    length[0] = 0xff
    length.writeBigUInt64BE(BigInt(announced), 1)
  }
  return Buffer.concat([Buffer.from([first]), length, Buffer.alloc(4), payload])
}

const skip = isOwnHub ? false : 'no WebSockets there'

for (const transport of ['ws', 'wss'] as const) {
  describe(`MQTT on WebSockets: ${transport}`, { concurrency: true, skip }, () => {
    const hub = useHub({ transports: [transport] })

    for (const [offered, selected] of [
      ['mqtt', 'mqtt'],
      ['mqtt, mqttv3.1', 'mqtt'],
      ['mqttv3.1, mqtt', 'mqtt'],
      ['other,mqtt', 'mqtt'],
      ['mqttv3.1', 'mqttv3.1'],
    ] as const) {
      test(`[MQTT-6.0.0-4] of the subprotocols ${offered} the server selects ${selected}`, async t => {
        const { status, protocol, socket } = await upgrade(hub.endpoint(), { 'sec-websocket-protocol': offered })
        t.after(() => socket?.destroy())
        assert.equal(status, 101)
        assert.equal(protocol, selected)
      })
    }

    test('[MQTT-6.0.0-4] a subprotocol that is not MQTT is not selected', async t => {
      const { protocol, socket } = await upgrade(hub.endpoint(), { 'sec-websocket-protocol': 'wamp' })
      t.after(() => socket?.destroy())
      assert.notEqual(protocol, 'wamp')
    })

    for (const path of ['/', '/mqtt', '/any/path?and=query', '/notexist']) {
      test(`the path ${path} is accepted`, async t => {
        const { status, socket } = await upgrade(hub.endpoint(), { 'sec-websocket-protocol': 'mqtt' }, path)
        t.after(() => socket?.destroy())
        assert.equal(status, 101)
      })
    }

    test('a request for something else than a WebSocket is answered by an error, and the server goes on', async t => {
      const { status } = await upgrade(hub.endpoint(), { connection: 'close', upgrade: '' })
      assert.equal(status, 426)
      const client = await hub.connect(t)
      await client.quiet()
    })

    test('[MQTT-6.0.0-1] packets of the server come in binary frames', async t => {
      const client = await hub.connect(t)
      await client.subscribe(['binary', 1])
      const seen: boolean[] = []
      client.webSocket.on('message', (_data, isBinary) => seen.push(isBinary))
      client.send(publish({ topic: 'binary', payload: 'text', qos: 1 }))
      await client.next()
      await client.next()
      assert.ok(seen.length > 0 && seen.every(Boolean))
    })

    test('[MQTT-6.0.0-1] a text frame ends the connection', async t => {
      const client = await hub.connect(t)
      client.webSocket.send('hello')
      await client.closed()
    })

    test('[MQTT-6.0.0-1] a text frame ends the connection also when it holds a good packet', async t => {
      const witness = await hub.connect(t)
      await witness.subscribe(['in-text', 0])
      const client = await hub.connect(t)
      client.webSocket.send(publish({ topic: 'in-text' }).toString('latin1'))
      await client.closed()
      const first = await hub.open(t)
      first.webSocket.send(connect({ clientId: 'text' }), { binary: false })
      await first.closed()
      await witness.quiet()
    })

    test('[MQTT-6.0.0-1] an empty text frame ends the connection', async t => {
      const client = await hub.connect(t)
      client.webSocket.send('')
      await client.closed()
    })

    test('[MQTT-6.0.0-2] several packets in one frame', async t => {
      const client = await hub.open(t)
      client.send(
        Buffer.concat([connect({ clientId: 'one-frame' }), subscribe(1, ['one-frame', 0]), pingreq(), pingreq()]),
      )
      for (const type of ['connack', 'suback', 'pingresp', 'pingresp'] as const) await client.expect(type)
    })

    test('[MQTT-6.0.0-2] a packet across frames, and a frame with the end of one and the start of the next', async t => {
      const client = await hub.connect(t)
      await client.subscribe(['across', 0])
      const both = Buffer.concat([
        publish({ topic: 'across', payload: 'one' }),
        publish({ topic: 'across', payload: 'two' }),
      ])
      client.send(both.subarray(0, 3), both.subarray(3, 17), both.subarray(17))
      for (const payload of ['one', 'two']) assert.equal((await client.receive()).payload.toString(), payload)
    })

    test('[MQTT-6.0.0-2] a packet in fragments of one message, with a WebSocket ping and empty frames between', async t => {
      const client = await hub.connect(t)
      await client.subscribe(['fragments', 0])
      const bytes = publish({ topic: 'fragments', payload: 'whole' })
      const { webSocket } = client
      webSocket.send(bytes.subarray(0, 4), { fin: false })
      webSocket.ping()
      webSocket.send(Buffer.alloc(0), { fin: false })
      webSocket.send(bytes.subarray(4, 9), { fin: false })
      await once(webSocket, 'pong')
      webSocket.send(bytes.subarray(9), { fin: true })
      webSocket.send(Buffer.alloc(0))
      assert.equal((await client.receive()).payload.toString(), 'whole')
      await client.quiet()
    })

    test('a close frame without DISCONNECT ends the connection, with the will', async t => {
      const witness = await hub.connect(t)
      await witness.subscribe(['closed/will', 0])
      const client = await hub.connect(t, { will: { topic: 'closed/will' } })
      client.webSocket.close()
      await client.closed()
      assert.equal((await witness.receive()).topic, 'closed/will')
    })

    for (const [name, bytes] of [
      ['a frame that is not masked', Buffer.concat([Buffer.from([0x82, 2]), pingreq()])],
      ['a reserved opcode', frame(0x83, pingreq())],
      ['a reserved bit', frame(0xc2, pingreq())],
      ['a continuation of nothing', frame(0x80, pingreq())],
      ['a fragmented ping', frame(0x09, Buffer.alloc(0))],
      ['an announced frame of 256 MB', frame(0x82, pingreq(), 268_435_456)],
      ['an announced frame of 2^40 bytes', frame(0x82, pingreq(), 2 ** 40)],
    ] as const) {
      test(`[MQTT-4.8.0-1] ${name} ends the connection`, async t => {
        const { socket } = await upgrade(hub.endpoint(), { 'sec-websocket-protocol': 'mqtt' })
        assert.ok(socket !== null)
        t.after(() => void socket.destroy())
        const closed = untilClosed(socket)
        socket.write(Buffer.concat([frame(0x82, connect({ clientId: 'frames' })), bytes]))
        await closed
      })
    }
  })
}
