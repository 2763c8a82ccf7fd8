/**
 * Starts the hub under test. With `TARGET=mosquitto` in the environment a Debian mosquitto is started in its place, on
 * TCP and TLS: a second opinion on whether the tests of the standard ask for the right thing.
 */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before } from 'node:test'
import { startHub } from '../../src/broker/index.ts'
import { parseHubConfig } from '../../src/config/index.ts'
import { makeTestCertificates, type TestCertificates } from './certs.ts'
import type { ConnectOptions } from './packets.ts'
import { type Cleanup, type Endpoint, openRawClient, type RawClient, type Transport } from './raw-client.ts'

/** False when the tests run against another broker: then OpenEdge's own behaviours are skipped. */
export const isOwnHub = process.env['TARGET'] !== 'mosquitto'

/** The transports that groups of tests are repeated on. */
export const transports: readonly Transport[] = isOwnHub ? ['tcp', 'tls', 'ws', 'wss'] : ['tcp', 'tls']

/** For `test(name, { skip: ownHubOnly }, ...)`. */
export const ownHubOnly: false | string = isOwnHub ? false : "OpenEdge's own behaviour"

/** Lets everybody do everything. */
export const OPEN_TO_ALL = `
anonymous:
  permissions:
    - { action: pub, permit: ['#'] }
    - { action: sub, permit: ['#'] }
`

export interface HubOptions {
  /** The configuration without `listen`; a certificate is added when a transport needs one. Default `OPEN_TO_ALL`. */
  yaml?: string
  /** Default `['tcp']`. */
  transports?: readonly Transport[]
  /** Common names of clients for which certificates are made; the hub then verifies client certificates. */
  clientCertificates?: readonly string[]
}

interface ConnectAs extends ConnectOptions {
  transport?: Transport
  /** The common name of the client certificate to show. */
  certificate?: string
}

/** A running hub, on a free port of loopback per transport. */
export interface TestHub {
  endpoint(transport?: Transport, certificate?: string): Endpoint
  /** Opens a connection and sends nothing. */
  open(t: Cleanup, transport?: Transport, certificate?: string): Promise<RawClient>
  /** Opens a connection and connects, which must succeed. The client identifier is a new one unless given. */
  connect(t: Cleanup, options?: ConnectAs): Promise<RawClient>
  /** Connected clients, or null when the broker under test does not tell. */
  connectedClients(): number | null
  /** Connections, those included that have not sent CONNECT; or null. */
  connections(): number | null
  close(): Promise<void>
}

/** Starts a hub that is closed when the test is over. */
export async function startTestHub(t: Cleanup, options: HubOptions = {}): Promise<TestHub> {
  const hub = await start(options)
  t.after(() => hub.close())
  return hub
}

/** A hub for all tests of a `describe`. When they are over no connection may be left behind. */
export function useHub(options: HubOptions = {}): TestHub {
  let hub: TestHub | undefined
  const running = (): TestHub => {
    assert.ok(hub !== undefined, 'the hub runs only while tests do')
    return hub
  }
  before(async () => {
    hub = await start(options)
  })
  after(async () => {
    try {
      await assertNobodyConnected(running())
      await assertServes(running())
    } finally {
      await running().close()
    }
  })
  return {
    endpoint: (transport, certificate) => running().endpoint(transport, certificate),
    open: (t, transport, certificate) => running().open(t, transport, certificate),
    connect: (t, connectAs) => running().connect(t, connectAs),
    connectedClients: () => running().connectedClients(),
    connections: () => running().connections(),
    close: () => running().close(),
  }
}

/** Waits until the hub has seen every connection end. */
async function assertNobodyConnected(hub: TestHub): Promise<void> {
  const deadline = performance.now() + 5000
  while ((hub.connections() ?? 0) + (hub.connectedClients() ?? 0) > 0) {
    const left = `${hub.connections()} connections and ${hub.connectedClients()} clients`
    assert.ok(performance.now() < deadline, `${left} are left behind`)
    await new Promise(resolve => setTimeout(resolve, 5))
  }
}

/** Whatever was done to the hub before, it answers a CONNECT. */
async function assertServes(hub: TestHub): Promise<void> {
  const endpoint = hub.endpoint()
  const cleanups: (() => void | Promise<void>)[] = []
  const client = await openRawClient({ after: fn => void cleanups.push(fn) }, endpoint)
  const { returnCode } = await client.connect({ clientId: 'the-last', username: 'nobody' })
  if (returnCode === 0) await client.disconnect()
  else await client.closed()
  for (const cleanup of cleanups) await cleanup()
}

interface Running {
  endpoints: Endpoint[]
  connectedClients(): number | null
  connections(): number | null
  close(): Promise<void>
}

async function start(options: HubOptions): Promise<TestHub> {
  const wanted = options.transports ?? ['tcp']
  const usesTls = wanted.includes('tls') || wanted.includes('wss')
  const names = options.clientCertificates ?? []
  const certificates = usesTls ? await makeTestCertificates(names.map(commonName => ({ commonName }))) : null
  const running = isOwnHub
    ? await startOwnHub(options.yaml ?? OPEN_TO_ALL, wanted, certificates, names.length > 0)
    : await startMosquitto(wanted, certificates)
  const clients: RawClient[] = []
  let lastClientId = 0
  const endpoint = (transport?: Transport, certificate?: string): Endpoint => {
    const found = running.endpoints.find(candidate => candidate.transport === (transport ?? wanted[0]))
    assert.ok(found !== undefined, `the hub of this test does not listen on ${transport}`)
    if (certificates === null) return found
    const shown = certificate === undefined ? {} : certificates.client(certificate)
    return { ...found, ca: certificates.ca, ...shown }
  }
  const open: TestHub['open'] = async (t, transport, certificate) => {
    const client = await openRawClient(t, endpoint(transport, certificate))
    clients.push(client)
    return client
  }
  return {
    endpoint,
    open,
    async connect(t, { transport, certificate, ...connectOptions } = {}) {
      const client = await open(t, transport, certificate)
      const connack = await client.connect({ clientId: `client-${++lastClientId}`, ...connectOptions })
      assert.equal(connack.returnCode, 0, `CONNACK ${connack.returnCode}`)
      return client
    },
    connectedClients: () => running.connectedClients(),
    connections: () => running.connections(),
    async close() {
      // A hub that stops drops its clients, which must not look like a failure of theirs.
      try {
        for (const client of clients) client.finish()
      } finally {
        await running.close()
        certificates?.remove()
      }
    },
  }
}

async function startOwnHub(
  yaml: string,
  wanted: readonly Transport[],
  certificates: TestCertificates | null,
  verifiesClients: boolean,
): Promise<Running> {
  const directory = mkdtempSync(join(tmpdir(), 'openedge-test-'))
  const lines = [yaml, `storage: { dir: ${join(directory, 'data')} }`]
  lines.push('listen:', ...wanted.map(transport => `  - ${transport}://127.0.0.1:0`))
  if (certificates !== null) {
    const { dir, files } = certificates
    const ca = verifiesClients ? `, ca: ${join(dir, files.ca)}` : ''
    lines.push(`certificate: { cert: ${join(dir, files.cert)}, key: ${join(dir, files.key)}${ca} }`)
  }
  const { config } = parseHubConfig(lines.join('\n'), { file: 'service.yml', env: {} })
  const { hub, urls, close } = await startHub({ config })
  return {
    endpoints: urls.map((url, i) => ({
      transport: wanted[i] as Transport,
      host: '127.0.0.1',
      port: Number(/:(\d+)/.exec(url.slice(url.indexOf('//')))?.[1]),
    })),
    connectedClients: () => hub.connectedClients,
    connections: () => hub.connections,
    async close() {
      await close()
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

async function startMosquitto(wanted: readonly Transport[], certificates: TestCertificates | null): Promise<Running> {
  const directory = mkdtempSync(join(tmpdir(), 'mosquitto-test-'))
  const lines = ['allow_anonymous true', 'user root', 'max_packet_size 32768', 'max_inflight_messages 200']
  const endpoints: Endpoint[] = []
  for (const transport of wanted) {
    if (transport !== 'tcp' && transport !== 'tls') continue
    const port = await freePort()
    lines.push(`listener ${port} 127.0.0.1`)
    if (transport === 'tls' && certificates !== null) {
      const { dir, files } = certificates
      lines.push(`certfile ${join(dir, files.cert)}`, `keyfile ${join(dir, files.key)}`)
    }
    endpoints.push({ transport, host: '127.0.0.1', port })
  }
  writeFileSync(join(directory, 'mosquitto.conf'), lines.join('\n'))
  const child = spawn('mosquitto', ['-c', join(directory, 'mosquitto.conf')], { stdio: 'ignore' })
  const exited = once(child, 'exit')
  const close = async (): Promise<void> => {
    child.kill()
    await exited
    rmSync(directory, { recursive: true, force: true })
  }
  try {
    for (const { host, port } of endpoints) await untilListening(host, port)
  } catch (failure) {
    await close()
    throw failure
  }
  return { endpoints, connectedClients: () => null, connections: () => null, close }
}

async function freePort(): Promise<number> {
  const server = net.createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as net.AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

async function untilListening(host: string, port: number): Promise<void> {
  for (let attempt = 0; attempt < 200; attempt++) {
    const socket = net.connect({ host, port })
    try {
      await once(socket, 'connect')
      return
    } catch {
      await new Promise(resolve => setTimeout(resolve, 10))
    } finally {
      socket.destroy()
    }
  }
  throw new Error(`nothing listens on ${host}:${port}`)
}
