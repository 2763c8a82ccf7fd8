import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import type { IncomingMessage } from 'node:http'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Duplex } from 'node:stream'
import { connect as connectTls } from 'node:tls'
import { createWebSocketStream, WebSocket } from 'ws'
import { createListener, type Listener, type ListenerOptions } from '../../src/broker/listeners/index.ts'
import type { Peer } from '../../src/broker/transport.ts'
import { type Logger, silentLogger } from '../../src/common/index.ts'
import type { KeyPair, TestCertificates } from '../support/certs.ts'

export type Scheme = 'tcp' | 'tls' | 'ws' | 'wss' | 'unix'
export type Address = Parameters<typeof createListener>[0]

export interface Cleanup {
  after(fn: () => void | Promise<void>): void
}

export interface Accepted {
  readonly stream: Duplex
  readonly peer: Peer
  readonly request: IncomingMessage | undefined
}

export interface LogLine {
  readonly level: string
  readonly event: string
  readonly fields: Record<string, unknown>
}

/** A listener on a free port together with what it accepted. */
export interface TestListener {
  readonly listener: Listener
  readonly lines: LogLine[]
  readonly accepted: Accepted[]
  /** The next connection that is handed over. */
  readonly next: () => Promise<Accepted>
  /** The next log line of that event, also when it was written already. */
  readonly logged: (event: string) => Promise<LogLine>
}

export interface TestListenerOptions extends Partial<ListenerOptions> {
  readonly address?: Partial<Address>
  /** Called with each connection before `next` gives it. */
  readonly onAccept?: (accepted: Accepted) => void
}

export function addressOf(scheme: Scheme, parts: Partial<Address> = {}): Address {
  const { host = '127.0.0.1', port = 0, path = '' } = parts
  const url =
    scheme === 'unix' ? `unix://${path}` : `${scheme}://${host.includes(':') ? `[${host}]` : host}:${port}${path}`
  return { scheme, host: scheme === 'unix' ? '' : host, port, path, url }
}

export function temporaryFolder(t: Cleanup): string {
  const folder = mkdtempSync(join(tmpdir(), 'openedge-listener-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** Starts a listener that is stopped, with all its connections, when the test is over. */
export async function startListener(
  t: Cleanup,
  scheme: Scheme,
  options: TestListenerOptions = {},
): Promise<TestListener> {
  const { address, onAccept, ...rest } = options
  const accepted = new Inbox<Accepted>()
  const lines = new Inbox<LogLine>()
  const parts = scheme === 'unix' ? { path: join(temporaryFolder(t), 'hub.sock'), ...address } : address
  const listener = createListener(addressOf(scheme, parts), {
    maxConnections: () => true,
    log: recordingLogger(line => lines.add(line)),
    ...rest,
    accept: (stream, peer, request) => {
      const connection = { stream, peer, request }
      t.after(() => {
        stream.destroy()
      })
      onAccept?.(connection)
      accepted.add(connection)
      options.accept?.(stream, peer, request)
    },
  })
  t.after(() => listener.stop())
  await listener.start(new AbortController().signal)
  return {
    listener,
    lines: lines.all,
    accepted: accepted.all,
    next: () => accepted.next(),
    logged: event => lines.find(line => line.event === event),
  }
}

/** Sends back what comes. */
export function echo({ stream }: { stream: Duplex }): void {
  stream.pipe(stream)
}

/** The TLS material of a listener; `ca` asks clients for certificates. */
export function materialOf(certificates: TestCertificates, withCa = false): ListenerOptions['tls'] & object {
  return withCa ? { ...certificates.server, ca: certificates.ca } : certificates.server
}

export interface ClientOptions {
  readonly ca?: Buffer
  readonly pair?: KeyPair
  readonly protocols?: string[]
}

/** Opens the raw socket below a listener's transport: TCP, or the unix socket. */
export async function openSocket(t: Cleanup, url: string): Promise<Socket> {
  const socket = url.startsWith('unix://') ? connect({ path: url.slice(7) }) : connect(hostAndPort(url))
  socket.on('error', () => {})
  t.after(() => {
    socket.destroy()
  })
  await once(socket, 'connect')
  return socket
}

/** Opens a client of the listener as a stream of bytes. */
export async function openClient(t: Cleanup, url: string, options: ClientOptions = {}): Promise<Duplex> {
  const scheme = url.slice(0, url.indexOf(':')) as Scheme
  if (scheme === 'tcp' || scheme === 'unix') return openSocket(t, url)
  if (scheme === 'tls') {
    const socket = connectTls({ ...hostAndPort(url), ca: options.ca, ...options.pair })
    socket.on('error', () => {})
    t.after(() => {
      socket.destroy()
    })
    await once(socket, 'secureConnect')
    return socket
  }
  const ws = await openWebSocket(t, url, options)
  const stream = createWebSocketStream(ws, { allowHalfOpen: false })
  stream.on('error', () => {})
  return stream
}

export async function openWebSocket(t: Cleanup, url: string, options: ClientOptions = {}): Promise<WebSocket> {
  const tls = options.ca === undefined ? {} : { ca: options.ca, ...options.pair }
  const ws = new WebSocket(url, options.protocols ?? ['mqtt'], { perMessageDeflate: false, ...tls })
  t.after(() => ws.terminate())
  await once(ws, 'open')
  ws.on('error', () => {})
  return ws
}

export function hostAndPort(url: string): { host: string; port: number } {
  const { hostname, port } = new URL(url)
  return { host: hostname.replace(/^\[|\]$/g, ''), port: Number(port) }
}

/** Everything a stream gives until it ends or closes. */
export async function readToEnd(stream: Duplex): Promise<Buffer> {
  const chunks: Buffer[] = []
  stream.on('data', (chunk: Buffer) => chunks.push(chunk))
  await closed(stream)
  return Buffer.concat(chunks)
}

/** Reads exactly so many bytes. */
export async function readBytes(stream: Duplex, length: number): Promise<Buffer> {
  const chunks: Buffer[] = []
  let size = 0
  return new Promise((resolve, reject) => {
    const onData = (chunk: Buffer): void => {
      chunks.push(chunk)
      size += chunk.length
      if (size >= length) {
        stream.off('data', onData).off('close', onClose)
        resolve(Buffer.concat(chunks))
      }
    }
    const onClose = (): void => reject(new Error(`closed after ${size} of ${length} bytes`))
    stream.on('data', onData).on('close', onClose)
  })
}

/** Resolves once `measure` has given the same answer for a while: nothing moves any more. */
export async function untilStill(measure: () => number): Promise<number> {
  let last = measure()
  for (let same = 0; same < 10; ) {
    await new Promise(resolve => setTimeout(resolve, 20))
    const now = measure()
    same = now === last ? same + 1 : 0
    last = now
  }
  return last
}

/** Resolves when the stream is closed, by an error or not. */
export function closed(stream: Duplex): Promise<void> {
  return stream.closed ? Promise.resolve() : new Promise(resolve => stream.once('close', () => resolve()))
}

function recordingLogger(add: (line: LogLine) => void): Logger {
  const at = (level: string) => (fields: object | string, event?: string) => {
    if (typeof fields === 'string') add({ level, event: fields, fields: {} })
    else add({ level, event: event ?? '', fields: { ...fields } })
  }
  const logger: Logger = {
    ...silentLogger,
    error: at('error'),
    warn: at('warn'),
    info: at('info'),
    debug: at('debug'),
    child: () => logger,
    isLevelEnabled: () => true,
  }
  return logger
}

/** What came, and a way to wait for what is to come. */
class Inbox<T> {
  readonly all: T[] = []
  #read = 0
  #waiting: (() => void)[] = []

  add(item: T): void {
    this.all.push(item)
    const waiting = this.#waiting
    this.#waiting = []
    for (const wake of waiting) wake()
  }

  async next(): Promise<T> {
    const index = this.#read++
    while (this.all.length <= index) await this.#change()
    return this.all[index] as T
  }

  async find(matches: (item: T) => boolean): Promise<T> {
    for (;;) {
      const found = this.all.find(matches)
      if (found !== undefined) return found
      await this.#change()
    }
  }

  #change(): Promise<void> {
    return new Promise(resolve => this.#waiting.push(resolve))
  }
}
