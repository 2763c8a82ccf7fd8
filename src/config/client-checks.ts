import { isIP } from 'node:net'
import { type ClientAddress, readClientUrl } from './client-url.ts'
import type { Circumstances, Collect } from './findings.ts'
import { isRecord, shorten, valid } from './loose.ts'
import type { Path } from './problem.ts'
import { type ClientConfig, hubClientSchema, remoteSchema } from './schema/client.ts'
import { isHost } from './url-parts.ts'

/** What the length of a text in MQTT can say [MQTT-1.5.3]. */
const MAX_TEXT_BYTES = 65_535
/** What the length of a protocol in a TLS handshake can say. */
const MAX_PROTOCOL_BYTES = 255
const TLS_KEYS = ['ca', 'key', 'cert', 'insecure', 'servername', 'alpn'] as const

export interface ClientCheck {
  /** The block as it was read, before validation. */
  readonly value: unknown
  readonly path: Path
  readonly circumstances: Circumstances
  readonly wrong: Collect
  readonly warn: Collect
}

/** Judges how to be a client of one broker. Gives where that is; null when that can't be told. */
export function checkClient(check: ClientCheck, isNeeded: boolean): ClientAddress | null {
  const { value, path, wrong } = check
  const address = checkAddress(check, isNeeded)
  const client = valid(path[0] === 'hub' ? hubClientSchema : remoteSchema, value)
  if (client === undefined) return address
  checkCredentials(client, check)
  if (client.cert !== '' && client.key === '') wrong({ path: [...path, 'cert'], message: 'has no key to it' })
  if (client.key !== '' && client.cert === '') wrong({ path: [...path, 'key'], message: 'is a key without cert' })
  checkTlsNames(client, check)
  if (address !== null) warnOfTls(client, address, check)
  return address
}

/** Why a text can't be sent in MQTT, or null when it can [MQTT-1.5.3-1] [MQTT-1.5.3-2]. */
export function mqttTextProblem(text: string): string | null {
  if (text.includes('\0')) return 'has a null character'
  if (/\p{Surrogate}/u.test(text)) return 'has half a character (a surrogate without its other half)'
  const bytes = Buffer.byteLength(text)
  return bytes > MAX_TEXT_BYTES ? `has ${bytes} bytes; ${MAX_TEXT_BYTES} are allowed` : null
}

function checkAddress({ value, path, wrong }: ClientCheck, isNeeded: boolean): ClientAddress | null {
  const written = isRecord(value ?? {}) ? ((value as Record<string, unknown> | null)?.['address'] ?? '') : null
  if (typeof written !== 'string' || (written === '' && !isNeeded)) return null
  const address = readClientUrl(written)
  if (typeof address !== 'string') return address
  wrong({ path: [...path, 'address'], message: address })
  return null
}

function checkCredentials(client: ClientConfig, { path, circumstances, wrong, warn }: ClientCheck): void {
  for (const key of ['username', 'password'] as const) {
    const problem = mqttTextProblem(client[key])
    if (problem !== null) wrong({ path: [...path, key], message: problem })
  }
  const { username, password, passwordFile } = client
  if (password !== '' && passwordFile !== '') {
    wrong({ path: [...path, 'passwordfile'], message: 'stands beside password; only one of the two is possible' })
  }
  // [MQTT-3.1.2-22]
  if (username === '' && (password !== '' || passwordFile !== '')) {
    const key = password === '' ? 'passwordfile' : 'password'
    wrong({ path: [...path, key], message: 'needs a username beside it: MQTT has no password without one' })
  }
  const passwordPath = [...path, 'password']
  if (password === '' || !circumstances.isPublicFile || circumstances.isFromEnvironment(passwordPath)) return
  const message = 'is plain text in a file that others than its owner may read'
  warn({ path: passwordPath, message, suggestion: 'chmod 600 the file, or see passwordfile' })
}

function checkTlsNames({ servername, alpn }: ClientConfig, { path, wrong }: ClientCheck): void {
  if (servername !== '' && isIP(servername) === 0 && !isHost(servername)) {
    const message = `is neither a host name nor an IP address: ${shorten(servername)}`
    wrong({ path: [...path, 'servername'], message })
  }
  for (const [i, protocol] of alpn.entries()) {
    const bytes = Buffer.byteLength(protocol)
    const at = [...path, 'alpn', i]
    if (bytes === 0) wrong({ path: at, message: 'is empty' })
    else if (bytes > MAX_PROTOCOL_BYTES) {
      wrong({ path: at, message: `has ${bytes} bytes; ${MAX_PROTOCOL_BYTES} are allowed` })
    }
  }
}

function warnOfTls(client: ClientConfig, { scheme }: ClientAddress, { path, warn }: ClientCheck): void {
  if (scheme === 'tls' || scheme === 'wss') {
    if (!client.insecure) return
    const message = 'takes the certificate of whoever answers: what is sent, passwords too, is open to them'
    warn({ path: [...path, 'insecure'], message, suggestion: 'name the authority of the broker in ca instead' })
    return
  }
  for (const key of TLS_KEYS) {
    const value = client[key]
    if (value === '' || value === false || (Array.isArray(value) && value.length === 0)) continue
    const message = `has no effect: ${scheme} is not encrypted`
    warn({ path: [...path, key], message, suggestion: `for TLS write ${scheme === 'ws' ? 'wss' : 'ssl'}://` })
  }
}
