import { isIP } from 'node:net'
import { GatewayError } from '../common/index.ts'

/** A subject alternative name together with its type in X.509. */
export interface AlternativeName {
  readonly type: 'dns' | 'ip' | 'email' | 'uri'
  readonly value: string
}

const LABEL = '[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?'
const DNS = new RegExp(`^(?:\\*\\.)?${LABEL}(?:\\.${LABEL})*$`)
const EMAIL = /^[\x21-\x3f\x41-\x7e]+@[\x21-\x3f\x41-\x7e]+$/
const URI = /^(?:[A-Za-z][A-Za-z0-9+.-]*:\/\/|urn:)[\x21-\x7e]+$/
/** Nothing that a shell, a file system or a path would take for more than a name. */
const FILE = /^[A-Za-z0-9_-][A-Za-z0-9_.-]{0,63}$/
const MAX_VALUE = 255

/** The type of an alternative name as people write it: without one. Throws `ERR_CERTS_BAD_NAME`. */
function alternativeNameOf(text: string): AlternativeName {
  if (text.length <= MAX_VALUE) {
    if (isIP(text) !== 0 && !text.includes('%')) return { type: 'ip', value: plainIp(text) }
    if (DNS.test(text) && !looksLikeIp(text)) return { type: 'dns', value: text }
    if (EMAIL.test(text)) return { type: 'email', value: text }
    if (URI.test(text)) return { type: 'uri', value: text }
  }
  throw badName(
    `alternative name ${quoted(text)} is not a DNS name, IP address, e-mail address or URI of at most ${MAX_VALUE} characters`,
  )
}

/** Of each kind once, in the order given. */
export function alternativeNamesOf(texts: readonly string[]): AlternativeName[] {
  const seen = new Map<string, AlternativeName>()
  for (const name of texts.map(alternativeNameOf)) seen.set(`${name.type}:${name.value}`, name)
  return [...seen.values()]
}

/** True when a host can be reached under that name, so that it belongs among the alternative names of a server. */
export function isHostName(text: string): boolean {
  return (isIP(text) !== 0 && !text.includes('%')) || (text.length <= MAX_VALUE && DNS.test(text) && !looksLikeIp(text))
}

/** Throws `ERR_CERTS_BAD_NAME` unless `text` can be the common name of a subject. */
export function checkCommonName(text: string): void {
  if (!/^\P{C}{1,64}$/u.test(text)) {
    throw badName(`common name ${quoted(text)} needs 1 to 64 characters and no control characters`)
  }
}

/** Throws `ERR_CERTS_BAD_NAME` unless a client's common name is also fit to be the name of its files. */
export function checkClientName(text: string): void {
  if (!FILE.test(text)) {
    throw badName(
      `client name ${quoted(text)} becomes a file name; use 1 to 64 letters, digits, "_", "-" and "." (not first)`,
    )
  }
  if (['ca', 'server'].includes(text.toLowerCase())) {
    throw badName(`client name ${quoted(text)} is taken by the files of the ${text.toLowerCase()}; choose another`)
  }
}

export function badName(message: string): GatewayError {
  return new GatewayError('ERR_CERTS_BAD_NAME', message)
}

export function quoted(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}...` : text)
}

/** `300.1.2.3` would be a DNS name by its letters; nobody means it so. */
function looksLikeIp(text: string): boolean {
  return /^[\d.]+$/.test(text)
}

/** One spelling for an address: that of URLs, which has no dotted end in IPv6. */
function plainIp(text: string): string {
  return text.includes(':') ? new URL(`http://[${text}]`).hostname.slice(1, -1) : text
}
