import { isIPv6 } from 'node:net'
import { GatewayError } from '../common/index.ts'
import { AUTHORITY, readHost, TRANSPORTS, URL_PARTS, unknownScheme } from './url-parts.ts'

/** The address of a broker to connect to. */
export interface ClientAddress {
  readonly scheme: 'tcp' | 'tls' | 'ws' | 'wss'
  /** Name or IP address that is dialled, IPv6 without brackets. Where `0.0.0.0` or `[::]` was written: that of the machine itself. */
  readonly host: string
  readonly port: number
  /** What a WebSocket asks for, with its query; at least `/`. Empty for `tcp` and `tls`. */
  readonly path: string
  /** All of it, in one form for all ways to write it: `SCHEME://HOST:PORT/PATH`. */
  readonly url: string
}

const PORTS = { tcp: 1883, tls: 8883, ws: 80, wss: 443 } as const

/**
 * Reads the URL of a broker, such as `tcp://127.0.0.1`, `ssl://broker.example:8883` or `wss://[2001:db8::1]/mqtt`.
 *
 * @throws GatewayError `ERR_CONFIG_CLIENT_URL` that says what is wrong with it
 */
export function parseClientUrl(address: string): ClientAddress {
  const parsed = readClientUrl(address)
  if (typeof parsed === 'string') throw new GatewayError('ERR_CONFIG_CLIENT_URL', `${withoutUser(address)}: ${parsed}`)
  return parsed
}

/** The address, or what is wrong with `text`. */
export function readClientUrl(text: string): ClientAddress | string {
  if (text === '') return 'is empty; write for instance tcp://127.0.0.1:1883'
  if (/[\s\p{Cc}]/u.test(text)) return 'has white space or a control character in it'
  const [, schemeText, rest] = URL_PARTS.exec(text) ?? []
  if (schemeText === undefined || rest === undefined) return `is no URL; write for instance tcp://${withoutUser(text)}`
  const scheme = TRANSPORTS.get(schemeText.toLowerCase())
  if (scheme === undefined) return unknownScheme(schemeText, TRANSPORTS)
  const [before = ''] = rest.split('/', 1)
  if (before.includes('@')) return 'has a user in it; write username and password as keys of their own'
  if (rest.includes('#')) return 'has a fragment in it, which means nothing to a broker'
  const [, hostText = '', portText, pathText = ''] = AUTHORITY.exec(rest) ?? []
  if (!AUTHORITY.test(rest)) return 'has no host'
  // Without brackets an IPv6 address can't be told from its port.
  if (portText?.includes(':')) return `has an IPv6 address without brackets; write for instance ${schemeText}://[::1]`
  const host = readHost(hostText)
  if (host === null) return `has no valid host: ${hostText}`
  if (host === '') return `has no host; write for instance ${schemeText}://127.0.0.1`
  const port = portText === undefined || portText === '' ? PORTS[scheme] : readPort(portText)
  if (port === null) return `has port ${portText}; a port is 1 to 65535`
  const isWeb = scheme === 'ws' || scheme === 'wss'
  if (!isWeb && pathText !== '' && pathText !== '/')
    return `has the path ${pathText}, which means nothing to ${schemeText}`
  const path = isWeb ? pathText || '/' : ''
  const dialled = dialledHost(host)
  const shown = isIPv6(dialled) ? `[${dialled}]` : dialled
  return { scheme, host: dialled, port, path, url: `${scheme}://${shown}:${port}${path}` }
}

function readPort(text: string): number | null {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0
  return port >= 1 && port <= 65_535 ? port : null
}

/** Addresses that stand for every one of a machine are none to dial on every system. */
function dialledHost(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1'
  return isIPv6(host) && /^[0:]+$/.test(host) ? '::1' : host
}

/** Messages go to the log: without what may be a password. */
function withoutUser(text: string): string {
  return text.replace(/^([^/]*:\/\/)?[^/]*@/, '$1...@')
}
