// Streams that brokers are given: sockets of node:net, and streams that cut bytes anywhere.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, createConnection, createServer, type Server, type Socket } from 'node:net'
import { type Aedes, Aedes as AedesClass } from 'aedes'
import { generate, type Packet, parser } from 'mqtt-packet'
import { type Create, connectPacket, contract, emitted, message, publish, within } from './harness.ts'

/** Serves a broker on a free port of the loopback for the time of one call. */
async function serving(broker: Aedes, use: (port: number) => Promise<void>): Promise<void> {
  // As the documentation has it: the method is passed by itself.
  const server: Server = createServer(broker.handle)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  try {
    await use((server.address() as AddressInfo).port)
  } finally {
    server.close()
  }
}

/** A socket with the packets that have come. */
async function dial(port: number): Promise<{ socket: Socket; next: () => Promise<Packet> }> {
  const socket = createConnection(port, '127.0.0.1')
  const reader = parser()
  const inbox: Packet[] = []
  let wake = () => {}
  reader.on('packet', packet => {
    inbox.push(packet)
    wake()
  })
  socket.on('data', chunk => reader.parse(chunk))
  await once(socket, 'connect')
  const next = async (): Promise<Packet> => {
    while (inbox.length === 0) {
      await within(
        new Promise<void>(resolve => {
          wake = resolve
        }),
        'a packet',
      )
    }
    return inbox.shift() as Packet
  }
  return { socket, next }
}

export function suite(name: string, create: Create, oracle = false): void {
  contract(name, 'transport', create, oracle, it => {
    it('createServer(broker.handle) serves clients; hooks see the address', async lab => {
      const addresses: unknown[] = []
      const broker = await lab.open({
        preConnect: (client, _packet, done) => {
          addresses.push((client.conn as Socket).remoteAddress)
          done(null, true)
        },
      })
      await serving(broker, async port => {
        const { socket, next } = await dial(port)
        socket.write(generate(connectPacket('a')))
        const connack = await next()
        assert.ok(connack.cmd === 'connack' && connack.returnCode === 0, 'it is a CONNACK 0')
        socket.write(generate({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: 'a', qos: 1 }] }))
        assert.equal((await next()).cmd, 'suback')
        await publish(broker, message('a', 'x', { qos: 1 }))
        const packet = await next()
        assert.ok(packet.cmd === 'publish' && packet.payload.toString() === 'x', 'it is the message')
        const gone = emitted(broker, 'clientDisconnect')
        socket.end(generate({ cmd: 'disconnect' }))
        await gone
        assert.deepEqual(addresses, ['127.0.0.1'])
      })
    })

    it('a socket that is reset ends its client', async lab => {
      const broker = await lab.open()
      await serving(broker, async port => {
        const { socket, next } = await dial(port)
        socket.write(generate(connectPacket('a')))
        await next()
        const gone = emitted(broker, 'clientDisconnect')
        socket.resetAndDestroy()
        await gone
        assert.equal(broker.connectedClients, 0)
      })
    })

    it('close of the broker ends its sockets', async lab => {
      const broker = await lab.open()
      await serving(broker, async port => {
        const { socket, next } = await dial(port)
        socket.write(generate(connectPacket('a')))
        await next()
        const closed = once(socket, 'close')
        broker.close()
        await within(closed, 'the socket to close')
      })
    })

    it('bytes that come one at a time are one stream', async lab => {
      const broker = await lab.open()
      const device = lab.attach(broker)
      const bytes = Buffer.concat([
        generate(connectPacket('slow', { username: 'u', password: Buffer.from('p') })),
        generate({ ...message('a/b', 'hello', { qos: 1 }), messageId: 77 }),
        generate({ cmd: 'pingreq' }),
      ])
      for (const byte of bytes) {
        device.write(Buffer.from([byte]))
        await new Promise(resolve => setImmediate(resolve))
      }
      assert.equal((await device.expect('connack')).returnCode, 0)
      assert.equal((await device.expect('puback')).messageId, 77)
      await device.expect('pingresp')
    })

    it('a hundred messages in one chunk are delivered in order', async lab => {
      const broker = await lab.open()
      const subscriber = await lab.connect(broker, 'subscriber')
      await subscriber.subscribe('a')
      const sender = await lab.connect(broker, 'sender')
      sender.send(...Array.from({ length: 100 }, (_value, index) => message('a', String(index))))
      for (let index = 0; index < 100; index++) {
        assert.equal((await subscriber.expect('publish')).payload.toString(), String(index))
      }
    })

    it('handle may be taken from one broker and given to another one as a function', async lab => {
      const broker = await lab.open()
      const other = await lab.open()
      const { handle } = broker
      assert.notEqual(handle, other.handle)
      assert.ok(broker instanceof AedesClass, 'it is an Aedes')
      const device = await lab.connect({ handle } as Aedes, 'a')
      assert.equal(device.client.id, 'a')
      assert.equal(broker.connectedClients, 1)
      assert.equal(other.connectedClients, 0)
    })
  })
}
