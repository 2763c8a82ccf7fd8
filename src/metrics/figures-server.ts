import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { GatewayError, type Logger, messageOf, type Service, systemCodeOf } from '../common/index.ts'
import { metricsUrl, parseMetricsUrl } from './address.ts'
import type { Exposition, Figures } from './exposition.ts'
import { HttpConnections } from './http-connections.ts'

const MAX_HEADER_BYTES = 8192
const MAX_HEADERS = 64
const HEADERS_MS = 5000
/** A request has no body to speak of, and who reads so slowly is not waited for. */
const REQUEST_MS = 10_000
const SOCKET_MS = 30_000
const KEEP_ALIVE_MS = 5000
const CONNECTIONS = 32
const REQUESTS_PER_CONNECTION = 100
const ALLOWED = 'GET, HEAD'
const TEXT = 'text/plain; charset=utf-8'
const EXPLANATIONS: ReadonlyMap<string, string> = new Map([
  ['EADDRINUSE', 'something listens there already: stop it or choose another port'],
  ['EACCES', 'ports below 1024 need CAP_NET_BIND_SERVICE (or root): choose a higher port or grant it'],
  ['EADDRNOTAVAIL', 'no network interface of this machine has that address'],
  ['EAFNOSUPPORT', 'this machine does not have that kind of address (IPv6 may be off)'],
  ['ENOTFOUND', 'the host name is not known: give an IP address of this machine'],
  ['EAI_AGAIN', 'the host name is not known: give an IP address of this machine'],
  ['EMFILE', 'too many files are open: raise the limit (ulimit -n)'],
])

interface Answer {
  readonly status: number
  readonly type: string
  readonly body: string
}

type Resource = () => Answer | Promise<Answer>

export interface FiguresServerOptions {
  /** `http://HOST:PORT`; port 0: any that is free. */
  readonly listen: string
  readonly log: Logger
  /** What the first page is called; it is HTML. */
  readonly title: string
  /** What it means to be ready, for the first page. */
  readonly readiness: string
  /** Asked at each start. */
  figures(): Figures
  /** Why it is not ready; null when it is. */
  isReady(): string | null
  /** Called before the figures are taken for somebody. */
  onScrape?(): void
}

/** Serves figures for Prometheus on `/metrics`, and `/healthz` and `/readyz` for whoever keeps the process running. */
export class FiguresServer implements Service {
  readonly name = 'metrics'
  readonly #options: FiguresServerOptions
  readonly #resources: ReadonlyMap<string, Resource> = new Map<string, Resource>([
    ['/', () => ({ status: 200, type: 'text/html; charset=utf-8', body: indexOf(this.#options) })],
    ['/healthz', () => text(200, 'ok')],
    ['/readyz', () => this.#readiness()],
    ['/metrics', () => this.#metrics()],
  ])
  #server: Server | null = null
  #exposition: Exposition | null = null
  #url: string

  constructor(options: FiguresServerOptions) {
    this.#options = options
    this.#url = options.listen
  }

  /** As bound, with the real port; before that as configured. */
  get url(): string {
    return this.#url
  }

  /** It answers with figures. */
  get isOpen(): boolean {
    return this.#exposition !== null
  }

  /** Throws ERR_METRICS_BIND. The library is loaded here, so that nobody has it who does not want figures. */
  async start(signal?: AbortSignal): Promise<void> {
    if (this.#server !== null) return
    signal?.throwIfAborted()
    const server = createServer(
      {
        maxHeaderSize: MAX_HEADER_BYTES,
        headersTimeout: HEADERS_MS,
        requestTimeout: REQUEST_MS,
        keepAliveTimeout: KEEP_ALIVE_MS,
        connectionsCheckingInterval: HEADERS_MS,
      },
      (request, response) => {
        connections.asked(request.socket)
        void this.#serve(request, response).finally(() => connections.answered(request.socket))
      },
    )
    const connections = new HttpConnections(server, CONNECTIONS)
    server.maxHeadersCount = MAX_HEADERS
    server.maxRequestsPerSocket = REQUESTS_PER_CONNECTION
    server.timeout = SOCKET_MS
    this.#server = server
    try {
      const { Exposition: Opened } = await import('./exposition.ts')
      const url = await this.#bind(server)
      if (this.#server !== server) {
        server.close() // stopped meanwhile
        return
      }
      this.#url = url
      this.#exposition = new Opened(this.#options.figures())
      this.#exposition.start()
    } catch (error) {
      await this.stop()
      throw error
    }
    this.#options.log.info({ url: this.#url }, 'metrics.listening')
  }

  async stop(): Promise<void> {
    const server = this.#server
    if (server === null) return
    this.#server = null
    this.#exposition?.stop()
    this.#exposition = null
    this.#url = this.#options.listen
    if (!server.listening) return
    const closed = once(server, 'close')
    server.close()
    server.closeAllConnections()
    await closed
  }

  async #bind(server: Server): Promise<string> {
    const { listen } = this.#options
    const address = parseMetricsUrl(listen)
    if (address === null) throw bindError(listen, 'it is no URL of the form http://HOST:PORT')
    const { host, port } = address
    try {
      server.listen({ port, ...(host === '' ? {} : { host }) })
      await once(server, 'listening')
    } catch (cause) {
      throw bindError(listen, EXPLANATIONS.get(systemCodeOf(cause) ?? '') ?? messageOf(cause), cause)
    }
    server.on('error', error => this.#options.log.warn({ url: this.#url, err: error }, 'metrics.failed'))
    const bound = server.address() as AddressInfo
    return metricsUrl(host === '' ? bound.address : host, bound.port)
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      const { method = '' } = request
      const isKnown = method === 'GET' || method === 'HEAD'
      const answer = await this.#answer(pathOf(request.url ?? '/'), isKnown)
      response.writeHead(answer.status, {
        'Content-Type': answer.type,
        'Content-Length': Buffer.byteLength(answer.body),
        'Cache-Control': 'no-store',
        'X-Content-Type-Options': 'nosniff',
        ...(answer.status === 405 && { Allow: ALLOWED, Connection: 'close' }),
      })
      response.end(method === 'HEAD' ? undefined : answer.body)
    } catch (error) {
      this.#options.log.warn({ url: this.#url, err: error as Error }, 'metrics.failed')
      if (!response.headersSent) response.writeHead(500, { Connection: 'close', 'Content-Length': 0 })
      response.end()
    }
  }

  async #answer(path: string | null, isKnownMethod: boolean): Promise<Answer> {
    const resource = path === null ? undefined : this.#resources.get(path)
    if (resource === undefined) return text(404, 'There is nothing here: see /metrics, /healthz and /readyz.')
    if (!isKnownMethod) return text(405, `Only ${ALLOWED} are possible here.`)
    return resource()
  }

  #readiness(): Answer {
    const reason = this.#options.isReady()
    return reason === null ? text(200, 'ready') : text(503, `not ready: ${reason}`)
  }

  async #metrics(): Promise<Answer> {
    const exposition = this.#exposition
    if (exposition === null) return text(503, 'not ready')
    this.#options.onScrape?.()
    return { status: 200, type: exposition.contentType, body: await exposition.render() }
  }
}

function indexOf({ title, readiness }: FiguresServerOptions): string {
  return `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>${title}</title></head>
<body>
<h1>${title}</h1>
<ul>
<li><a href="/metrics">/metrics</a>: figures for Prometheus</li>
<li><a href="/healthz">/healthz</a>: the process is alive</li>
<li><a href="/readyz">/readyz</a>: ${readiness}</li>
</ul>
</body>
</html>
`
}

function text(status: number, body: string): Answer {
  return { status, type: TEXT, body: `${body}\n` }
}

/** The path of a request, without its query; null when there is none. A proxy is asked with a whole URL. */
function pathOf(url: string): string | null {
  if (url.startsWith('/')) return url.split('?', 1)[0] as string
  try {
    return new URL(url).pathname
  } catch {
    return null
  }
}

function bindError(listen: string, explanation: string, cause?: unknown): GatewayError {
  return new GatewayError('ERR_METRICS_BIND', `can't serve figures on ${listen}: ${explanation} (metrics.listen)`, {
    cause,
  })
}
