import { GatewayError } from '../common/index.ts'
import { AUTHORITY, readHost, TRANSPORTS, URL_PARTS, unknownScheme } from './url-parts.ts'

/** An address to accept connections on. */
export interface ListenAddress {
  readonly scheme: 'tcp' | 'tls' | 'ws' | 'wss' | 'unix'
  /** Name or IP address, IPv6 without brackets; empty for every address of the machine and for `unix`. */
  readonly host: string
  /** 0 for a free port, and for `unix`. */
  readonly port: number
  /** The path of a WebSocket URL, which may be empty; of `unix`, the path of the socket in the file system. */
  readonly path: string
  /** As it was written. */
  readonly url: string
}

const SCHEMES: ReadonlyMap<string, ListenAddress['scheme']> = new Map<string, ListenAddress['scheme']>([
  ...TRANSPORTS,
  ['unix', 'unix'],
])

/** What fits into the address of a unix socket on Linux, without the null at its end. */
export const MAX_SOCKET_PATH = 107

/**
 * Reads a URL to listen on, such as `tcp://0.0.0.0:1883`, `ssl://:8883`, `ws://[::1]:8083/mqtt` or `unix:///run/hub.sock`.
 *
 * @throws GatewayError `ERR_CONFIG_LISTEN_URL` that says what is wrong with it
 */
export function parseListenUrl(url: string): ListenAddress {
  const address = readListenUrl(url)
  if (typeof address === 'string') throw new GatewayError('ERR_CONFIG_LISTEN_URL', `${url}: ${address}`)
  return address
}

/** The address, or what is wrong with `url`. */
export function readListenUrl(url: string): ListenAddress | string {
  if (url === '') return 'is empty'
  if (/[\s\p{Cc}]/u.test(url)) return 'has white space or a control character in it'
  const [, schemeText, rest] = URL_PARTS.exec(url) ?? []
  if (schemeText === undefined || rest === undefined) return `is no URL; write for instance tcp://${url}`
  const scheme = SCHEMES.get(schemeText.toLowerCase())
  if (scheme === undefined) return unknownScheme(schemeText, SCHEMES)
  if (scheme === 'unix') return readUnix(url, rest)
  const isWeb = scheme === 'ws' || scheme === 'wss'
  const place = readAuthority(rest, scheme, isWeb, '1883')
  return typeof place === 'string' ? place : { scheme, ...place, url }
}

/** The host and port of `http://HOST:PORT`, or what is wrong with `url`. */
export function readHttpUrl(url: string): { host: string; port: number } | string {
  if (/[\s\p{Cc}]/u.test(url)) return 'has white space or a control character in it'
  const [, scheme, rest] = URL_PARTS.exec(url) ?? []
  if (scheme === undefined || rest === undefined) return 'is no URL; write for instance http://127.0.0.1:9090'
  if (scheme.toLowerCase() !== 'http') return `has the scheme ${scheme}; only http is known here`
  const place = readAuthority(rest, 'http', false, '9090')
  return typeof place === 'string' ? place : { host: place.host, port: place.port }
}

/** Whether only programs of this machine reach an address. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^(?:::ffff:)?127\.\d+\.\d+\.\d+$/i.test(host)
}

function readUnix(url: string, path: string): ListenAddress | string {
  if (path === '' || path.endsWith('/')) return 'has no path of a socket; write for instance unix:///run/openedge.sock'
  const bytes = Buffer.byteLength(path)
  if (bytes > MAX_SOCKET_PATH) return `has a path of ${bytes} bytes; a unix socket takes ${MAX_SOCKET_PATH}`
  return { scheme: 'unix', host: '', port: 0, path, url }
}

function readAuthority(
  rest: string,
  scheme: string,
  hasPath: boolean,
  usualPort: string,
): { host: string; port: number; path: string } | string {
  if (/[?#@]/.test(rest)) return 'has a user, a query or a fragment in it, which mean nothing to a listener'
  const [, hostText = '', portText, path = ''] = AUTHORITY.exec(rest) ?? []
  if (!AUTHORITY.test(rest)) return 'has no host and port'
  const host = readHost(hostText)
  if (host === null) return `has no valid host: ${hostText}`
  if (portText === undefined || portText === '') return `has no port; write :${usualPort}, or :0 for a free one`
  // Without brackets an IPv6 address can't be told from its port.
  if (portText.includes(':'))
    return `has an IPv6 address without brackets; write for instance ${scheme}://[::1]:${usualPort}`
  const port = /^\d{1,5}$/.test(portText) ? Number(portText) : Number.NaN
  if (!(port <= 65_535)) return `has port ${portText}; a port is 0 to 65535`
  if (!hasPath && path !== '' && path !== '/') return `has the path ${path}, which means nothing to ${scheme}`
  return { host, port, path: hasPath ? path : '' }
}
