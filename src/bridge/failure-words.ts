import type { ErrorCode } from '../common/index.ts'
import type { ClientConfig } from '../config/index.ts'
import type { Side } from './figures.ts'

/** An address as people may see it: the query of a WebSocket URL is where brokers take tokens. */
export function shownAddress(address: string): string {
  return address.split('?', 1)[0] as string
}

/** The connection that failed. */
export interface Where {
  /** The name of the rule. */
  readonly rule: string
  readonly side: Side
  readonly config: ClientConfig
  readonly clientId: string
  /** What was going on: `connack` waits for the answer to CONNECT, `subscribe` for that to SUBSCRIBE. */
  readonly phase: 'connect' | 'connack' | 'subscribe' | 'connected'
  /** When our certificate ended, in words; null or absent: it has not, or there is none. */
  readonly certificateEnded?: string | null
}

export interface Explanation {
  readonly code: ErrorCode
  /** What happened and what to do, as the rest of a sentence. */
  readonly text: string
  /** True when it may be over by itself. */
  readonly retryable: boolean
}

/** Longest text of somebody else's that is told on, characters. */
const MAX_FOREIGN = 200
/** A shorter password is part of ordinary words; to blank it out would tell it. */
const LEAST_PASSWORD = 4

export function passing(what: string, text: string): Explanation {
  return { code: `ERR_BRIDGE_${what}`, text, retryable: true }
}

export function lasting(what: string, text: string): Explanation {
  return { code: `ERR_BRIDGE_${what}`, text, retryable: false }
}

/** The name of a key of the configuration. */
export function keyOf({ side }: Where, key: string): string {
  return side === 'hub' ? `hub.${key}` : `remotes[].${key}`
}

/** Who we are for the broker. */
export function identityOf({ clientId, config }: Where): string {
  const user = config.username === '' ? 'without a username' : `with username ${quoted(config.username)}`
  return `client id ${quoted(clientId)} ${user}`
}

export function clientIdKeyOf({ side }: Where): string {
  return `rules[].${side}.clientid`
}

/** Where the password of CONNECT stands. */
export function passwordKeyOf(where: Where): string {
  return where.config.passwordFile === ''
    ? keyOf(where, 'password')
    : `the first line of ${keyOf(where, 'passwordfile')} ${where.config.passwordFile}`
}

export function quoted(text: string): string {
  return JSON.stringify(shortened(text))
}

/** What others wrote: in one line, not long, and without our password. */
export function foreign(text: string, where: Where): string {
  return shortened(withoutPassword(text.replace(/[\p{Cc}\p{Cf}\u2028\u2029\s]+/gu, ' ').trim(), where))
}

export function withoutPassword(text: string, { config: { password } }: Where): string {
  return password.length < LEAST_PASSWORD ? text : text.replaceAll(password, '***')
}

function shortened(text: string): string {
  return text.length > MAX_FOREIGN ? `${text.slice(0, MAX_FOREIGN)}...` : text
}
