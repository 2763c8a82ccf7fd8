import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { AddressInfo, Server, Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { TestContext } from 'node:test'
import { explainFailure } from '../../../src/bridge/failure.ts'
import { openTransport } from '../../../src/bridge/transport/index.ts'
import type { GatewayError } from '../../../src/common/index.ts'
import type { ClientConfig, RemoteConfig } from '../../../src/config/index.ts'

/** A remote as the configuration gives it, without anything that is not asked for. */
export function remoteAt(address: string, changes: Partial<ClientConfig> = {}): RemoteConfig {
  return {
    name: 'cloud',
    address,
    username: '',
    password: '',
    passwordFile: '',
    ca: '',
    key: '',
    cert: '',
    insecure: false,
    servername: '',
    alpn: [],
    clientId: '',
    cleanSession: false,
    timeoutMs: 10_000,
    intervalMs: 60_000,
    keepaliveMs: 60_000,
    bufferSize: 100,
    validateSubs: false,
    tryPrivate: true,
    ...changes,
  }
}

/** A server that listens on loopback until the test is over, and what became of its connections. */
export interface TestServer {
  readonly port: number
  /** Those that came, over TCP. */
  readonly sockets: ReadonlySet<Socket>
  /** Resolves when at least one connection came and none is left. */
  readonly deserted: () => Promise<void>
}

/** Has `server` listen. All that is left of it when the test is over is cut. */
export async function listenOn(t: TestContext, server: Server, host = '127.0.0.1'): Promise<TestServer> {
  const sockets = new Set<Socket>()
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
  })
  server.listen(0, host)
  await once(server, 'listening')
  t.after(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  const deserted = async (): Promise<void> => {
    if (sockets.size === 0) await once(server, 'connection')
    await Promise.all([...sockets].filter(socket => !socket.closed).map(socket => once(socket, 'close')))
  }
  return { port: (server.address() as AddressInfo).port, sockets, deserted }
}

interface Options {
  readonly baseDir?: string
  readonly signal?: AbortSignal
}

/** Connects; what is open when the test is over is cut. */
export async function openFor(
  t: TestContext,
  config: ClientConfig,
  { baseDir = '/', signal = new AbortController().signal }: Options = {},
): Promise<Duplex> {
  const stream = await openTransport(config, { baseDir, signal })
  t.after(() => stream.destroy())
  return stream
}

/** What connecting failed with. */
export async function failureOf(
  config: ClientConfig,
  { baseDir = '/', signal = new AbortController().signal }: Options = {},
): Promise<unknown> {
  try {
    const stream = await openTransport(config, { baseDir, signal })
    stream.destroy()
  } catch (failure) {
    return failure
  }
  return assert.fail(`${config.address} let us in`)
}

/** What is said of a failure to connect. */
export async function explained(config: ClientConfig, baseDir = '/'): Promise<GatewayError> {
  return explainFailure(await failureOf(config, { baseDir }), {
    rule: 'plant1',
    side: 'remote',
    config,
    clientId: 'plant-1',
    phase: 'connect',
  })
}

/** The next bytes, as text. */
export async function textFrom(stream: Duplex): Promise<string> {
  const [chunk] = (await once(stream, 'data')) as [Buffer]
  return chunk.toString()
}
