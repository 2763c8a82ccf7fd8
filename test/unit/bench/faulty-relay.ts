import { once } from 'node:events'
import net from 'node:net'

/** What the relay does wrong, once; `none` is the relay that works. */
export type Mischief =
  | 'none'
  | 'drop'
  | 'duplicate'
  | 'reorder'
  | 'corrupt payload'
  | 'cut payload'
  | 'rename topic'
  | 'send to all'
  | 'lower QoS'
  | 'set DUP'
  | 'forget PUBACK'
  | 'repeat PUBACK'
  | 'close'

/** The message on which it happens, late enough that ordinary traffic went before. */
const VICTIM = 50

interface Subscription {
  socket: net.Socket
  topic: string
}

export interface Relay {
  port: number
  close(): Promise<void>
}

/** A broker with just enough of MQTT to pass messages of exact topics on, and one fault. */
export async function startFaultyRelay(mischief: Mischief): Promise<Relay> {
  const subscriptions: Subscription[] = []
  const sockets = new Set<net.Socket>()
  let published = 0
  let held: (() => void) | null = null

  const forward = (packet: Buffer, topic: string): void => {
    const isVictim = ++published === VICTIM
    const to = subscriptions.filter(subscription => subscription.topic === topic)
    const deliver = (bytes: Buffer, receivers = to): void => {
      for (const { socket } of receivers) socket.write(bytes)
    }
    if (!isVictim) {
      deliver(packet)
      held?.()
      held = null
      return
    }
    const changed = Buffer.from(packet)
    const last = packet.length - 1
    switch (mischief) {
      case 'drop':
        return
      case 'duplicate':
        deliver(packet)
        break
      case 'reorder':
        held = () => deliver(packet)
        return
      case 'corrupt payload':
        changed[last] = (packet[last] as number) ^ 1
        break
      case 'cut payload':
        changed[1] = (packet[1] as number) - 1
        return deliver(changed.subarray(0, last))
      case 'rename topic':
        changed[topicAt(packet)] = (packet[topicAt(packet)] as number) ^ 1
        break
      case 'send to all':
        return deliver(packet, subscriptions)
      case 'lower QoS':
        return deliver(withoutQos(packet, topic))
      case 'set DUP':
        changed[0] = (packet[0] as number) | 8
        break
      case 'close':
        for (const socket of sockets) socket.destroy()
        return
      case 'none':
      case 'forget PUBACK':
      case 'repeat PUBACK':
        break
    }
    deliver(changed)
  }

  const handle = (socket: net.Socket, packet: Buffer): void => {
    switch ((packet[0] as number) >> 4) {
      case 1:
        socket.write(Buffer.from([0x20, 2, 0, 0]))
        break
      case 8: {
        const qos = packet[packet.length - 1] as number
        subscriptions.push({ socket, topic: packet.toString('latin1', 6, packet.length - 1) })
        socket.write(Buffer.from([0x90, 3, packet[2] as number, packet[3] as number, qos]))
        break
      }
      case 3: {
        const start = topicAt(packet)
        const end = start + packet.readUInt16BE(start - 2)
        forward(packet, packet.toString('latin1', start, end))
        if (((packet[0] as number) & 6) === 0) break
        const ack = Buffer.from([0x40, 2, packet[end] as number, packet[end + 1] as number])
        if (published !== VICTIM || mischief !== 'forget PUBACK') socket.write(ack)
        if (published === VICTIM && mischief === 'repeat PUBACK') socket.write(ack)
        break
      }
    }
  }

  const server = net.createServer(socket => {
    sockets.add(socket)
    let rest: Buffer = Buffer.alloc(0)
    socket.on('error', () => {})
    socket.on('data', chunk => {
      rest = Buffer.concat([rest, chunk])
      for (let length = packetLength(rest); length <= rest.length; length = packetLength(rest)) {
        handle(socket, rest.subarray(0, length))
        rest = rest.subarray(length)
      }
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as net.AddressInfo).port,
    async close() {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}

/** Length of the first packet, Infinity when it cannot be told yet. Packets of these tests are short of 16 KiB. */
function packetLength(bytes: Buffer): number {
  if (bytes.length < 3) return bytes[1] === 0 ? 2 : Number.POSITIVE_INFINITY
  const low = bytes[1] as number
  return low < 128 ? 2 + low : 3 + (low & 127) + (bytes[2] as number) * 128
}

/** Where the topic of a PUBLISH begins. */
function topicAt(packet: Buffer): number {
  return (packet[1] as number) < 128 ? 4 : 5
}

/** The same short PUBLISH at QoS 0, without its packet identifier. */
function withoutQos(packet: Buffer, topic: string): Buffer {
  const id = 4 + topic.length
  const result = Buffer.concat([packet.subarray(0, id), packet.subarray(id + 2)])
  result[0] = 0x30
  result[1] = result.length - 2
  return result
}
