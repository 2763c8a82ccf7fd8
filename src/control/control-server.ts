import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { dirname } from 'node:path'
import type { Logger, Service } from '../common/index.ts'
import { bindSocket, removeAbandoned } from './bind-socket.ts'
import { leavePointer, removePointer } from './pointer.ts'
import type { Reply } from './routes.ts'
import { prepareFolder } from './socket-folder.ts'
import type { Kind } from './socket-path.ts'

const MAX_CONNECTIONS = 16
/** A client identifier of 64 KiB, each byte of it escaped. */
const MAX_HEADER_BYTES = 204_800
/** No request needs a body. */
const MAX_BODY_BYTES = 4096
const HEADERS_TIMEOUT_MS = 5000
const REQUEST_TIMEOUT_MS = 10_000
/** A connection that is between two requests, or does not take its answer. */
const IDLE_TIMEOUT_MS = 30_000
/** After a stop, for answers that are on their way. */
const LAST_ANSWERS_MS = 200

export interface ControlOptions {
  readonly kind: Kind
  /** Absolute; see controlSocketPath. */
  readonly path: string
  /** The program chose the path, not the user: its folder is the program's own. */
  readonly isAutomatic: boolean
  /** Where a link to the socket is left for commands that look there only; absolute. */
  readonly pointer?: string
  readonly log: Logger
  /** Answers a request; `url` is the path, with or without a query. */
  routes(method: string, url: string): Promise<Reply>
  /** Called when it stops, however often. */
  onStop?(): void
}

/**
 * The way in for commands on the same machine: HTTP with JSON on a unix socket that only the user of the program may
 * open. start() rejects when the socket can't be used: with `ERR_LISTEN_ADDRESS_IN_USE` when another one has it.
 */
export class ControlServer implements Service {
  readonly name = 'control'
  readonly #options: ControlOptions
  readonly #server: Server

  constructor(options: ControlOptions) {
    this.#options = options
    this.#server = createServer(
      {
        maxHeaderSize: MAX_HEADER_BYTES,
        headersTimeout: HEADERS_TIMEOUT_MS,
        requestTimeout: REQUEST_TIMEOUT_MS,
        keepAliveTimeout: IDLE_TIMEOUT_MS,
        connectionsCheckingInterval: HEADERS_TIMEOUT_MS,
      },
      (request, response) => void this.#answer(request, response),
    )
    this.#server.maxConnections = MAX_CONNECTIONS
    this.#server.setTimeout(IDLE_TIMEOUT_MS)
  }

  async start(signal: AbortSignal): Promise<void> {
    const { kind, path, isAutomatic, pointer, log } = this.#options
    signal.throwIfAborted()
    const userId = process.getuid?.() ?? -1
    prepareFolder(dirname(path), userId, isAutomatic)
    if (isAutomatic) await removeAbandoned(dirname(path))
    await bindSocket(this.#server, path, isAutomatic ? kind : null)
    this.#server.on('error', error => log.warn({ error }, 'control.failed'))
    if (pointer === undefined) return
    try {
      await leavePointer(pointer, path, userId)
    } catch (error) {
      log.debug({ pointer, error }, 'control.no_pointer') // who knows the path has no need of it
    }
  }

  async stop(): Promise<void> {
    this.#options.onStop?.()
    if (!this.#server.listening) return
    const { path, pointer } = this.#options
    if (pointer !== undefined) removePointer(pointer, path)
    // The file goes with the server.
    const closed = new Promise<void>(resolve => this.#server.close(() => resolve()))
    const late = setTimeout(() => this.#server.closeAllConnections(), LAST_ANSWERS_MS)
    await closed
    clearTimeout(late)
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    response.on('error', () => {}) // who has gone needs no answer
    try {
      if (!(await isTaken(request))) {
        send(response, { status: 413, body: { error: `a request has ${MAX_BODY_BYTES} bytes of body at most` } })
        return
      }
      // What is asked for may take longer than a connection may be idle.
      request.socket.setTimeout(0)
      const reply = await this.#options.routes(request.method ?? '', request.url ?? '')
      request.socket.setTimeout(IDLE_TIMEOUT_MS)
      send(response, reply)
    } catch (error) {
      this.#options.log.warn({ url: request.url?.slice(0, 200), error }, 'control.failed')
      const problem = `the ${this.#options.kind} could not answer; its log says why`
      send(response, { status: 500, body: { error: problem } })
    }
  }
}

/** Reads the body, which nobody needs. False when it is too long. */
function isTaken(request: IncomingMessage): Promise<boolean> {
  return new Promise(resolve => {
    let length = 0
    request.on('data', (chunk: Buffer) => {
      length += chunk.length
      if (length > MAX_BODY_BYTES) resolve(false)
    })
    request.on('end', () => resolve(true))
    request.on('error', () => resolve(false))
  })
}

function send(response: ServerResponse, { status, body, allow }: Reply): void {
  if (response.headersSent || response.destroyed) return
  const bytes = Buffer.from(`${JSON.stringify(body)}\n`)
  response.writeHead(status, {
    'Content-Type': 'application/json; charset=utf-8',
    'Content-Length': bytes.length,
    'Cache-Control': 'no-store',
    ...(allow !== undefined && { Allow: allow }),
    ...(status === 413 && { Connection: 'close' }),
  })
  response.end(bytes)
}
