import { isIP, isIPv6 } from 'node:net'
import { nearestWord } from '../common/index.ts'

/** How bytes travel to and from a broker. */
type Transport = 'tcp' | 'tls' | 'ws' | 'wss'

/** Transports by the names that OpenEdge has for them. */
export const TRANSPORTS: ReadonlyMap<string, Transport> = new Map([
  ['tcp', 'tcp'],
  ['mqtt', 'tcp'],
  ['ssl', 'tls'],
  ['tls', 'tls'],
  ['mqtts', 'tls'],
  ['ws', 'ws'],
  ['wss', 'wss'],
])

/** Scheme and what follows its `://`. */
export const URL_PARTS = /^([A-Za-z][A-Za-z0-9+.-]*):\/\/(.*)$/s
/** Host, port and path. The port has a colon in it when the host is an IPv6 address without brackets. */
export const AUTHORITY = /^(\[[^\]]*\]|[^:/]*)(?::([^/]*))?(\/.*)?$/s
const HOST_NAME =
  /^(?=.{1,253}$)[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?(?:\.[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?)*\.?$/

/** The host without brackets, which may be empty; null: it is neither a name nor an IP address. */
export function readHost(text: string): string | null {
  if (text === '') return ''
  if (text.startsWith('[')) {
    const address = text.slice(1, -1)
    return isIPv6(address) ? address : null
  }
  return isHost(text) ? text : null
}

/** A name or an IPv4 address. A name of digits and dots only is an IP address that is wrong. */
export function isHost(text: string): boolean {
  return isIP(text) !== 0 || (!/^[\d.]+$/.test(text) && HOST_NAME.test(text))
}

export function unknownScheme(scheme: string, known: ReadonlyMap<string, unknown>): string {
  const nearest = nearestWord(scheme, known.keys())
  const all = [...known.keys()].join(', ')
  return `has the unknown scheme ${scheme}; ${nearest === null ? `known are ${all}` : `did you mean ${nearest}?`}`
}
