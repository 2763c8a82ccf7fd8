import { isIP } from 'node:net'
import { formatDuration, messageOf, systemCodeOf } from '../common/index.ts'
import { parseClientUrl } from '../config/index.ts'
import { explainCutHandshake } from './failure-tls.ts'
import { type Explanation, foreign, keyOf, lasting, passing, type Where } from './failure-words.ts'
import { OpenTimeout, type Stage, UpgradeRefused, WebSocketClosed } from './transport/index.ts'

/** Of several addresses that failed, which failure says most: the first of these. */
const TELLING = ['ECONNREFUSED', 'EACCES', 'EPERM', 'ETIMEDOUT', 'EHOSTUNREACH', 'ENETUNREACH']

const NO_WAY: ReadonlyMap<string, string> = new Map([
  ['EHOSTUNREACH', 'the host does not answer on its network'],
  ['EHOSTDOWN', 'the host does not answer on its network'],
  ['ENETUNREACH', 'there is no route to its network'],
  ['ENETDOWN', 'the network of this device is down'],
  ['ENONET', 'this device has no network'],
  ['EADDRNOTAVAIL', 'this device has no address, or no free port, to connect from'],
  ['EACCES', 'this device does not allow the connection'],
  ['EPERM', 'this device does not allow the connection'],
])

/** What a connection breaks with when the other end, or something between, cuts it. */
const CUT: ReadonlySet<string> = new Set(['ECONNRESET', 'EPIPE', 'ECONNABORTED', 'ERR_STREAM_PREMATURE_CLOSE'])

/** Whether the other end, or something between, ended the connection. */
export function isCut(failure: unknown): boolean {
  return CUT.has(systemCodeOf(failure) ?? '')
}

/** The error that says most, where all addresses of a name failed. */
export function withoutAggregate(failure: unknown): unknown {
  if (!(failure instanceof AggregateError) || failure.errors.length === 0) return failure
  const rank = (each: unknown): number => {
    const at = TELLING.indexOf(systemCodeOf(each) ?? '')
    return at < 0 ? TELLING.length : at
  }
  const errors: unknown[] = failure.errors
  return errors.reduce((best, each) => (rank(each) < rank(best) ? each : best))
}

/** Explains an error of the system; null for others. `stage` is null when the connection stood. */
export function explainSystem(failure: Error, stage: Stage | null, where: Where): Explanation | null {
  const code = systemCodeOf(failure) ?? ''
  const address = parseClientUrl(where.config.address)
  if (stage === 'lookup' && isIP(address.host) === 0) {
    const trouble = explainLookup(code, address.host, where)
    if (trouble !== null) return trouble
  }
  const place = placeIn(failure) ?? `${address.host}:${address.port}`
  const noWay = NO_WAY.get(code)
  if (noWay !== undefined) {
    return passing('UNREACHABLE', `${noWay} (${code} for ${place}): check the network, its routes and firewalls`)
  }
  switch (code) {
    case 'ECONNREFUSED': {
      const advice = `start it, or correct ${keyOf(where, 'address')}; a firewall may also refuse`
      return passing('REFUSED', `no broker accepts connections at ${place} (${code}): ${advice}`)
    }
    case 'ETIMEDOUT':
      return stage === null
        ? passing('TIMEOUT', `the network does not deliver any more (${code}): check it and whether the host is up`)
        : passing('TIMEOUT', silentHost(place))
    case 'EMFILE':
    case 'ENFILE':
      return passing('UNAVAILABLE', `no file descriptor is left here (${code}): raise the limit (ulimit -n)`)
    default:
      return CUT.has(code) && stage !== null ? explainCut(stage, code, where) : null
  }
}

export function explainOpenTimeout({ stage, afterMs }: OpenTimeout, where: Where): Explanation {
  const { host, port } = parseClientUrl(where.config.address)
  const time = `within ${formatDuration(afterMs)} (${keyOf(where, 'timeout')})`
  switch (stage) {
    case 'lookup':
      return passing('DNS', `the address of ${host} was not found ${time}: check the DNS servers of this device`)
    case 'tcp':
      return passing('TIMEOUT', `${silentHost(`${host}:${port}`)}, ${time}`)
    case 'tls': {
      const advice = `check that port ${port} is its port for TLS`
      return passing('TIMEOUT', `it took the connection, but did not finish the TLS handshake ${time}: ${advice}`)
    }
    case 'websocket': {
      const advice = `check that port ${port} is its port for WebSocket`
      return passing('TIMEOUT', `it took the connection, but did not answer the WebSocket handshake ${time}: ${advice}`)
    }
  }
}

export function explainUpgrade({ status, statusText, location }: UpgradeRefused, where: Where): Explanation {
  const answer = `HTTP ${status} ${foreign(statusText, where)}`.trim()
  const { path } = parseClientUrl(where.config.address)
  const start = `it answers the WebSocket handshake with ${answer}`
  if (status === 401 || status === 403) {
    return lasting('AUTH', `${start}: it, or a proxy in front of it, does not admit us at the path ${path}`)
  }
  if (status >= 300 && status < 400) {
    const target = location === '' ? '' : ` to ${foreign(location, where)}`
    return lasting('PROTOCOL', `${start}${target}: redirects are not followed, correct ${keyOf(where, 'address')}`)
  }
  if (status === 429 || status >= 500) {
    return passing('UNAVAILABLE', `${start}: the broker behind it may be down or overloaded`)
  }
  const advice = `check the path ${path} and the port in ${keyOf(where, 'address')}; many brokers have /mqtt`
  return lasting('PROTOCOL', `${start}: ${advice}`)
}

export function explainWebSocketClosed({ closeCode, reason }: WebSocketClosed, where: Where): Explanation {
  const why = foreign(reason, where)
  const text = `it closed the WebSocket with code ${closeCode}${why === '' ? '' : ` (${why})`}: see the log of the broker`
  return closeCode === 1002 || closeCode === 1003 || closeCode === 1007
    ? lasting('PROTOCOL', text)
    : passing('CLOSED', text)
}

/** What the WebSocket handshake failed with: the other end does not answer as a web server does. */
export function explainHandshake(failure: Error, where: Where): Explanation {
  const { port } = parseClientUrl(where.config.address)
  const advice = `check that port ${port} is its port for MQTT over WebSocket`
  return lasting('PROTOCOL', `the WebSocket handshake failed: ${foreign(messageOf(failure), where)}: ${advice}`)
}

function explainLookup(code: string, host: string, where: Where): Explanation | null {
  switch (code) {
    case 'ENOTFOUND':
    case 'ENODATA': {
      const advice = `check how it is written in ${keyOf(where, 'address')}, and the DNS of this device`
      return passing('DNS', `the name ${host} has no address (${code}): ${advice}`)
    }
    default:
      if (!code.startsWith('EAI_') && code !== 'ESERVFAIL') return null
      return passing('DNS', `the name ${host} can't be looked up now (${code}): check the DNS servers of this device`)
  }
}

function explainCut(stage: Stage, code: string, where: Where): Explanation {
  if (stage === 'tls') return explainCutHandshake(where)
  const { port } = parseClientUrl(where.config.address)
  if (stage === 'websocket') {
    const advice = `check that port ${port} is its port for WebSocket, and whether that is with TLS (wss://) or without (ws://)`
    return passing('PROTOCOL', `it closed the connection during the WebSocket handshake (${code}): ${advice}`)
  }
  return passing('CLOSED', `it cut the connection as soon as it was made (${code}): see the log of the broker`)
}

function silentHost(place: string): string {
  return `no answer from ${place}: the host may be down, or a firewall drops what is sent to it`
}

/** The address and port that an error of the system names. */
function placeIn(failure: Error): string | null {
  if (!('address' in failure) || !('port' in failure)) return null
  const { address, port } = failure
  if (typeof address !== 'string' || typeof port !== 'number') return null
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`
}
