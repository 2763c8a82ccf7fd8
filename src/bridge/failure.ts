import { formatDuration, GatewayError, messageOf } from '../common/index.ts'
import { parseClientUrl } from '../config/index.ts'
import { ConnackTimeout, ConnectRefused, KeepaliveLost, PeerClosed, SubscribeRefused } from './failure-kinds.ts'
import {
  explainHandshake,
  explainOpenTimeout,
  explainSystem,
  explainUpgrade,
  explainWebSocketClosed,
  isCut,
  withoutAggregate,
} from './failure-network.ts'
import { explainTls } from './failure-tls.ts'
import {
  clientIdKeyOf,
  type Explanation,
  foreign,
  identityOf,
  keyOf,
  lasting,
  passing,
  passwordKeyOf,
  quoted,
  shownAddress,
  type Where,
  withoutPassword,
} from './failure-words.ts'
import { OpenFailed, OpenTimeout, type Stage, UpgradeRefused, WebSocketClosed } from './transport/index.ts'

export { ConnackTimeout, ConnectRefused, KeepaliveLost, PeerClosed, SubscribeRefused } from './failure-kinds.ts'

/** A connection that breaks earlier than this was most likely ended because of what we are or did. */
const SOON_MS = 60_000
const MAX_FILTERS_SHOWN = 10

/**
 * Says of anything that went wrong with a connection what it means and what to do. The text names the rule, the side
 * and the address, and never has a password in it; `cause` is what was given.
 *
 * Codes: ERR_BRIDGE_DNS, _REFUSED, _UNREACHABLE, _TIMEOUT, _TLS, _CREDENTIALS_FILE, _AUTH, _CLIENT_ID, _PROTOCOL_LEVEL,
 * _UNAVAILABLE, _SUBSCRIBE, _KEEPALIVE, _CLOSED, _PROTOCOL.
 */
export function explainFailure(cause: unknown, where: Where): GatewayError {
  const place = placeOf(where)
  if (cause instanceof GatewayError && cause.message.startsWith(place)) return cause
  const { code, text, retryable } = explanationOf(cause, where)
  return new GatewayError(code, `${place}${text}`, { cause, retryable })
}

function placeOf({ rule, side, config }: Where): string {
  const name = side === 'remote' && 'name' in config ? `remote ${String(config.name)}` : side
  return `rule ${rule}: ${name} (${shownAddress(config.address)}): `
}

function explanationOf(cause: unknown, where: Where): Explanation {
  if (cause instanceof ConnectRefused) return explainConnack(cause.returnCode, where)
  if (cause instanceof SubscribeRefused) return explainFilters(cause.filters, where)
  if (cause instanceof ConnackTimeout) return explainSilence(where)
  if (cause instanceof KeepaliveLost) return explainKeepalive(where)
  if (cause instanceof PeerClosed) {
    return cause.cause === undefined || isCut(cause.cause)
      ? explainClosed(cause.afterMs, where)
      : explanationOf(cause.cause, where)
  }
  if (cause instanceof OpenTimeout) return explainOpenTimeout(cause, where)
  if (cause instanceof UpgradeRefused) return explainUpgrade(cause, where)
  if (cause instanceof WebSocketClosed) return explainWebSocketClosed(cause, where)
  if (cause instanceof OpenFailed) return explainRaw(withoutAggregate(cause.cause), cause.stage, where)
  if (cause instanceof GatewayError && /^ERR_(?:BRIDGE|CONFIG)_/.test(cause.code)) {
    return { code: cause.code, text: withoutPassword(cause.message, where), retryable: cause.retryable }
  }
  return explainRaw(withoutAggregate(cause), where.phase === 'connect' ? 'lookup' : null, where)
}

/** What Node.js said, `stage` null when the connection stood. */
function explainRaw(failure: unknown, stage: Stage | null, where: Where): Explanation {
  const text = foreign(messageOf(failure), where)
  if (failure instanceof Error) {
    const known = explainTls(failure, where) ?? explainSystem(failure, stage, where)
    if (known !== null) return known
    if (stage === null && isCut(failure)) return explainClosed(null, where)
    if (stage === 'websocket') return explainHandshake(failure, where)
    if (stage === 'tls') return lasting('TLS', `TLS failed: ${text}: see the log of the broker`)
    if (stage !== null) return passing('UNREACHABLE', `no connection: ${text}`)
  }
  if (where.phase !== 'connack') return lasting('PROTOCOL', `the connection was given up: ${text}`)
  const { port } = parseClientUrl(where.config.address)
  return lasting('PROTOCOL', `${text}: check that port ${port} is the one for ${schemeOf(where)}`)
}

/** The return codes of MQTT 3.1.1, table 3.1. */
function explainConnack(returnCode: number, where: Where): Explanation {
  const { username } = where.config
  switch (returnCode) {
    case 1: {
      const advice = `it has to speak this version; if it stumbles over the mark of a bridge, set ${keyOf(where, 'tryprivate')}: false`
      return lasting('PROTOCOL_LEVEL', `it refuses MQTT 3.1.1 (CONNACK 1): ${advice}`)
    }
    case 2: {
      const advice = `set ${clientIdKeyOf(where)} to one that it allows (shorter, or letters and digits only)`
      return lasting('CLIENT_ID', `it refuses the client id ${quoted(where.clientId)} (CONNACK 2): ${advice}`)
    }
    case 3:
      return passing('UNAVAILABLE', 'it is not available at the moment (CONNACK 3): see the log of the broker')
    case 4: {
      if (username === '') {
        const advice = `give ${keyOf(where, 'username')} and ${keyOf(where, 'password')}`
        return lasting('AUTH', `it wants a username and a password (CONNACK 4): ${advice}`)
      }
      const start = `it refuses the username ${quoted(username)} or its password (CONNACK 4)`
      return lasting('AUTH', `${start}: check ${keyOf(where, 'username')} and ${passwordKeyOf(where)}`)
    }
    case 5: {
      const start = `it does not admit ${identityOf(where)} (CONNACK 5)`
      const login = username === '' ? keyOf(where, 'username') : `${keyOf(where, 'username')}, ${passwordKeyOf(where)}`
      const certificate = isSecure(where) ? `, ${keyOf(where, 'cert')}` : ''
      return lasting('AUTH', `${start}: check ${login}${certificate} and whom the broker permits to connect`)
    }
    default:
      return lasting('PROTOCOL', `it refuses the connection with the unknown return code ${returnCode}`)
  }
}

function explainFilters(filters: readonly string[], where: Where): Explanation {
  const shown = filters.slice(0, MAX_FILTERS_SHOWN).map(quoted).join(', ')
  const more = filters.length > MAX_FILTERS_SHOWN ? ` and ${filters.length - MAX_FILTERS_SHOWN} more` : ''
  const advice = `permit it there, or take them out of rules[].${where.side}.subscriptions`
  return lasting('SUBSCRIBE', `it refuses ${identityOf(where)} to subscribe to ${shown}${more}: ${advice}`)
}

function explainSilence(where: Where): Explanation {
  const what = where.phase === 'subscribe' ? 'SUBSCRIBE' : 'CONNECT'
  const time = `within ${formatDuration(where.config.timeoutMs)} (${keyOf(where, 'timeout')})`
  const { port } = parseClientUrl(where.config.address)
  const advice =
    what === 'SUBSCRIBE'
      ? 'it may be overloaded'
      : `check that port ${port} is the one for ${schemeOf(where)}; it may also be overloaded`
  return passing('TIMEOUT', `it took the connection, but did not answer ${what} ${time}: ${advice}`)
}

function explainKeepalive(where: Where): Explanation {
  const time = formatDuration(where.config.keepaliveMs * 1.5)
  const advice = 'the broker or the network between is down without a sign of it'
  return passing('KEEPALIVE', `nothing came for ${time}, not even an answer to a ping: ${advice}`)
}

/** Closed without a word. `afterMs` null: nobody knows how long it had been there. */
function explainClosed(afterMs: number | null, where: Where): Explanation {
  const { certificateEnded = null, config } = where
  // Not every server says why it does not take a certificate.
  if (certificateEnded !== null && (afterMs === null || afterMs < SOON_MS)) {
    const advice = `our certificate ${config.cert} ended on ${certificateEnded}: renew ${keyOf(where, 'cert')}`
    return lasting('TLS', `it closed the connection: ${advice}`)
  }
  switch (where.phase) {
    case 'connect':
      return passing('CLOSED', 'it closed the connection as soon as it was made: see the log of the broker')
    case 'connack':
      return passing(
        'CLOSED',
        `it closed the connection instead of answering CONNECT: ${suspicionsOf(where).join('; ')}`,
      )
    case 'subscribe': {
      const advice = `it may not permit ${identityOf(where)} to subscribe to what rules[].${where.side}.subscriptions has`
      return passing('CLOSED', `it closed the connection instead of answering SUBSCRIBE: ${advice}`)
    }
    case 'connected': {
      if (afterMs === null) return passing('CLOSED', 'it cut the connection')
      const start = `it closed the connection after ${formatDuration(roundedTime(afterMs))}`
      if (afterMs >= SOON_MS) return passing('CLOSED', start)
      const twin = `another client with client id ${quoted(where.clientId)} may have come (see ${clientIdKeyOf(where)})`
      const advice = `unless it was stopped, ${twin}, or it does not permit what was published; see the log of the broker`
      return passing('CLOSED', `${start}: ${advice}`)
    }
  }
}

/** Why a broker may not even answer CONNECT. */
function suspicionsOf(where: Where): string[] {
  const { config } = where
  const { port } = parseClientUrl(config.address)
  const permits = `it may not permit ${identityOf(where)}`
  if (!isSecure(where)) return [`port ${port} may be one for TLS (ssl://) or for something other than MQTT`, permits]
  const certificate =
    config.cert === ''
      ? `it may want a client certificate (${keyOf(where, 'cert')} and key)`
      : `it may not accept our certificate ${config.cert}`
  return [certificate, permits]
}

function isSecure({ config }: Where): boolean {
  const { scheme } = parseClientUrl(config.address)
  return scheme === 'tls' || scheme === 'wss'
}

function schemeOf({ config }: Where): string {
  const names = {
    tcp: 'MQTT without TLS',
    tls: 'MQTT with TLS',
    ws: 'MQTT over WebSocket',
    wss: 'MQTT over WebSocket with TLS',
  }
  return names[parseClientUrl(config.address).scheme]
}

/** Seconds are fine enough from one second on. */
function roundedTime(ms: number): number {
  return ms < 1000 ? Math.round(ms) : Math.round(ms / 1000) * 1000
}
