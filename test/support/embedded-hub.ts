/** A hub as a program embeds it: with hooks and listeners, fed with sockets or with streams of this process. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import net from 'node:net'
import { duplexPair } from 'node:stream'
import { createHub, type Hub, type HubOptions } from '../../src/broker/index.ts'
import { type HubConfig, parseHubConfig } from '../../src/config/index.ts'
import { OPEN_TO_ALL } from './hub.ts'
import { type ConnectOptions, type Packet, PacketDecoder } from './packets.ts'
import { type Cleanup, openRawClient, RawClient } from './raw-client.ts'

const PATIENCE_MS = 5000

/** What a client says at once, in the middle of the write that brought it a packet; null: nothing. */
type Reflex = (packet: Packet) => Uint8Array | null

export interface EmbeddedHub {
  readonly hub: Hub
  /** Opens a TCP connection and sends nothing. */
  readonly open: () => Promise<RawClient>
  /** Opens a TCP connection and connects, which must succeed. */
  readonly connect: (clientId: string, options?: ConnectOptions) => Promise<RawClient>
  /** As open(), with a synchronous stream of this process; `address` is where it claims to come from. */
  readonly openStream: (options?: { reflex?: Reflex; address?: string }) => RawClient
  /** As connect(), with a synchronous stream of this process. */
  readonly connectStream: (clientId: string, reflex?: Reflex) => Promise<RawClient>
}

/** Makes a hub that is closed when the test is over. */
export async function embedHub(t: Cleanup, options: HubOptions = {}): Promise<EmbeddedHub> {
  const hub = await createHub(options)
  const server = net.createServer({ noDelay: true }, socket => void hub.handle(socket)).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as net.AddressInfo
  const clients: RawClient[] = []
  t.after(async () => {
    // A hub that stops drops its clients, which must not look like a failure of theirs.
    try {
      for (const client of clients) client.finish()
    } finally {
      server.close()
      await hub.closeGently(0)
    }
  })
  const open: EmbeddedHub['open'] = async () => {
    const client = await openRawClient(t, { transport: 'tcp', host: '127.0.0.1', port })
    clients.push(client)
    return client
  }
  const openStream: EmbeddedHub['openStream'] = ({ reflex, address } = {}) => {
    const [near, far] = duplexPair()
    const client = new RawClient()
    clients.push(client)
    const decoder = new PacketDecoder()
    far.on('data', (chunk: Buffer) => {
      client.events.onData(chunk)
      if (reflex === undefined) return
      for (const packet of decoder.push(chunk)) {
        const answer = reflex(packet)
        if (answer !== null) far.write(answer)
      }
    })
    far.on('error', () => {})
    far.on('end', () => far.end())
    // As with a socket, one end that is cut cuts the other.
    near.on('close', () => far.destroy())
    far.on('close', () => {
      near.destroy()
      client.events.onClose()
    })
    const socket = far as net.Socket // pause and resume are those of any stream
    client.attach({ write: bytes => far.write(bytes), destroy: () => far.destroy(), socket })
    if (address === undefined) hub.handle(near)
    else hub.accept(near, { transport: 'tcp', listener: '', address, port: 1, certificate: null })
    return client
  }
  const admitted = async (client: RawClient, connectOptions: ConnectOptions): Promise<RawClient> => {
    const { returnCode } = await client.connect(connectOptions)
    assert.equal(returnCode, 0, `CONNACK ${returnCode}`)
    return client
  }
  return {
    hub,
    open,
    openStream,
    connect: async (clientId, more) => admitted(await open(), { clientId, ...more }),
    connectStream: (clientId, reflex) => admitted(openStream(reflex === undefined ? {} : { reflex }), { clientId }),
  }
}

/** A configuration, by default open to all, with these lines. */
export function configOf(lines: string, base = OPEN_TO_ALL): HubConfig {
  return parseHubConfig(`${base}\n${lines}\n`, { file: 'service.yml', env: {} }).config
}

/** Waits until something that no event tells of has come about. */
export async function until(
  condition: () => boolean | Promise<boolean>,
  what: string,
  timeoutMs = PATIENCE_MS,
): Promise<void> {
  const deadline = performance.now() + timeoutMs
  while (!(await condition())) {
    assert.ok(performance.now() < deadline, `not within ${timeoutMs} ms: ${what}`)
    await new Promise(resolve => setTimeout(resolve, 2))
  }
}

/** Lets everything go on that needs no time. */
export async function turns(count = 5): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise(resolve => setImmediate(resolve))
}

/** Payloads of the messages among some packets. */
export function payloadsOf(packets: readonly Packet[]): string[] {
  return packets.flatMap(packet => (packet.type === 'publish' ? [packet.payload.toString()] : []))
}
