/** Stands in front of a broker and meddles with the bit by which bridges say that they are some. */
import { once } from 'node:events'
import net from 'node:net'
import { sizeAt } from './bridge-packets.ts'
import { packet } from './packets.ts'
import type { Cleanup } from './raw-client.ts'

/**
 * What becomes of a CONNECT with the bit: `refuse` answers CONNACK 1, `close` closes without a word, and `forget` takes
 * the bit out before the broker sees it, as brokers do that look at the other bits only.
 */
export type ShieldKind = 'refuse' | 'close' | 'forget'

/** The port of a broker's shield. */
export async function startShield(t: Cleanup, kind: ShieldKind, brokerPort: number): Promise<number> {
  const sockets = new Set<net.Socket>()
  const keep = (socket: net.Socket): void => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    socket.on('error', () => {})
  }
  const server = net.createServer({ noDelay: true }, near => {
    keep(near)
    let first = Buffer.alloc(0)
    const onData = (chunk: Buffer): void => {
      first = Buffer.concat([first, chunk])
      if (sizeAt(first, 0) === null) return
      near.off('data', onData)
      const at = levelAt(first)
      if ((first[at] as number) & 0x80) {
        if (kind === 'close') return void near.destroy()
        if (kind === 'refuse') return void near.end(packet(0x20, Buffer.from([0, 1])))
        first[at] = (first[at] as number) & 0x7f
      }
      const far = net.connect({ host: '127.0.0.1', port: brokerPort, noDelay: true })
      keep(far)
      far.write(first)
      near.pipe(far)
      far.pipe(near)
      near.on('close', () => far.destroy())
      far.on('close', () => near.destroy())
    }
    near.on('data', onData)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(async () => {
    server.close()
    for (const socket of sockets) socket.destroy()
    await once(server, 'close')
  })
  return (server.address() as net.AddressInfo).port
}

/** Where the protocol level stands: behind the header and the name. */
function levelAt(connect: Buffer): number {
  let header = 1
  while ((connect[header] as number) >= 0x80) header++
  return header + 1 + 2 + connect.readUInt16BE(header + 1)
}
