import type { X509Certificate } from 'node:crypto'
import { isIP, isIPv6 } from 'node:net'
import type { PeerIdentity } from '../../auth/index.ts'

/** The kinds of alternative name that identify somebody, as Node.js calls them. */
const NAME_TYPES = new Set(['DNS', 'email', 'URI', 'IP Address'])

/**
 * The names in a certificate. Of several common names the last counts, which is the most specific one and what the
 * standard library of Go, OpenEdge's language, takes.
 */
export function identityOf(certificate: X509Certificate): PeerIdentity {
  // The legacy object has the raw values; the text in `subject` would have to be unescaped.
  const names: unknown = certificate.toLegacyObject().subject?.CN
  const commonName: unknown = Array.isArray(names) ? names.at(-1) : names
  return {
    commonName: typeof commonName === 'string' ? commonName : '',
    alternativeNames: parseAlternativeNames(certificate.subjectAltName ?? ''),
  }
}

/**
 * Takes apart what Node.js makes of a subjectAltName: `type:value` entries, separated by `, `, where a value that could
 * be mistaken for something else is a JSON string. Text that does not keep to that gives no names at all, since what
 * an attacker wrote into a certificate must not pass for a second entry.
 */
export function parseAlternativeNames(text: string): string[] {
  const names: string[] = []
  let at = 0
  while (at < text.length) {
    const colon = text.indexOf(':', at)
    if (colon < 0) return []
    const type = text.slice(at, colon)
    const start = colon + 1
    let end: number
    let value: string | null
    if (text[start] === '"') {
      end = endOfString(text, start)
      value = unquote(text.slice(start, end))
    } else {
      const comma = text.indexOf(', ', start)
      end = comma < 0 ? text.length : comma
      value = text.slice(start, end)
    }
    if (value === null || (end < text.length && !text.startsWith(', ', end))) return []
    const name = type === 'IP Address' ? plainIp(value) : value
    if (NAME_TYPES.has(type) && name !== '') names.push(name)
    at = end + 2
  }
  return names
}

/** An address as people write it. Empty for what is none: Node.js puts one of a wrong length into words. */
function plainIp(text: string): string {
  return isIPv6(text) ? new URL(`http://[${text}]`).hostname.slice(1, -1) : isIP(text) === 0 ? '' : text
}

/** The position behind the JSON string that starts at `start`, or the end of the text when it is not closed. */
function endOfString(text: string, start: number): number {
  for (let i = start + 1; i < text.length; i++) {
    if (text[i] === '\\') i++
    else if (text[i] === '"') return i + 1
  }
  return text.length
}

function unquote(json: string): string | null {
  try {
    const value: unknown = JSON.parse(json)
    return typeof value === 'string' ? value : null
  } catch {
    return null
  }
}
