import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto'
import { readFileSync, statSync } from 'node:fs'
import { resolve } from 'node:path'
import { createSecureContext } from 'node:tls'
import { GatewayError, messageOf, systemCodeOf } from '../../common/index.ts'
import type { TlsMaterial } from './listener.ts'
import { TLS_MIN_VERSION } from './tls.ts'

/** Paths as in the configuration, '' = none. */
export interface TlsFiles {
  readonly ca: string
  readonly key: string
  readonly cert: string
}

/** A PEM file beyond this is a mistake. */
const MAX_FILE_BYTES = 1024 * 1024
const CERTIFICATE = /-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g
const REASONS = new Map([
  ['ENOENT', 'there is no such file'],
  ['EACCES', 'the user of this program may not read it'],
])

/**
 * Reads what TLS needs; undefined when neither key nor certificate is configured. Paths are relative to `baseDir`.
 * Throws a GatewayError that names the file: ERR_LISTEN_CERTIFICATE_MISSING (one of the pair is not configured),
 * _UNREADABLE, _INVALID or _MISMATCH (the key is another one's).
 */
export function readTlsMaterial(files: TlsFiles, baseDir: string): TlsMaterial | undefined {
  if (files.key === '' && files.cert === '') return undefined
  if (files.key === '' || files.cert === '') {
    const [missing, given] = files.key === '' ? ['key', 'cert'] : ['cert', 'key']
    const message = `certificate.${given} is ${files.key}${files.cert}, but certificate.${missing} is not given: TLS needs both`
    throw new GatewayError('ERR_LISTEN_CERTIFICATE_MISSING', message)
  }
  const keyPath = resolve(baseDir, files.key)
  const certPath = resolve(baseDir, files.cert)
  const key = readPem('certificate.key', keyPath)
  const cert = readPem('certificate.cert', certPath)
  const privateKey = parseKey(keyPath, key)
  const certificate = parseCertificates('certificate.cert', certPath, cert)
  if (!certificate.checkPrivateKey(privateKey)) {
    const message = `certificate.key ${keyPath} does not belong to certificate.cert ${certPath}: give the key it was made with`
    throw new GatewayError('ERR_LISTEN_CERTIFICATE_MISMATCH', message)
  }
  const material = { key, cert, ...readCa(files.ca, baseDir) }
  try {
    createSecureContext({ ...material, minVersion: TLS_MIN_VERSION })
  } catch (cause) {
    throw invalid('certificate.cert', certPath, `TLS can't use it: ${messageOf(cause)}`, cause)
  }
  return material
}

/** Whether these are the same, byte for byte. */
export function isSameMaterial(one: TlsMaterial | undefined, other: TlsMaterial | undefined): boolean {
  if (one === undefined || other === undefined) return one === other
  const isSameCa = one.ca === undefined || other.ca === undefined ? one.ca === other.ca : one.ca.equals(other.ca)
  return isSameCa && one.key.equals(other.key) && one.cert.equals(other.cert)
}

function readCa(path: string, baseDir: string): { ca?: Buffer } {
  if (path === '') return {}
  const caPath = resolve(baseDir, path)
  const ca = readPem('certificate.ca', caPath)
  parseCertificates('certificate.ca', caPath, ca)
  return { ca }
}

function readPem(field: string, path: string): Buffer {
  try {
    const found = statSync(path)
    if (!found.isFile()) throw new Error('it is not a file')
    if (found.size > MAX_FILE_BYTES) throw new Error('it is too large for a PEM file')
    return readFileSync(path)
  } catch (cause) {
    const reason = REASONS.get(systemCodeOf(cause) ?? '') ?? messageOf(cause)
    throw new GatewayError('ERR_LISTEN_CERTIFICATE_UNREADABLE', `can't read ${field} ${path}: ${reason}`, { cause })
  }
}

function parseKey(path: string, pem: Buffer): KeyObject {
  try {
    return createPrivateKey(pem)
  } catch (cause) {
    const isEncrypted = pem.includes('ENCRYPTED')
    const problem = isEncrypted ? 'it is encrypted: give a key without a passphrase' : 'it is not a private key in PEM'
    throw invalid('certificate.key', path, problem, cause)
  }
}

/** Looks at all certificates of a file and returns the first. */
function parseCertificates(field: string, path: string, pem: Buffer): X509Certificate {
  const blocks = pem.toString('latin1').match(CERTIFICATE) ?? []
  let first: X509Certificate | undefined
  for (const [i, block] of blocks.entries()) {
    try {
      const certificate = new X509Certificate(block)
      first ??= certificate
    } catch (cause) {
      throw invalid(field, path, `its certificate number ${i + 1} is broken: ${messageOf(cause)}`, cause)
    }
  }
  if (first === undefined) throw invalid(field, path, 'it has no certificate in PEM')
  return first
}

function invalid(field: string, path: string, problem: string, cause?: unknown): GatewayError {
  return new GatewayError('ERR_LISTEN_CERTIFICATE_INVALID', `can't use ${field} ${path}: ${problem}`, { cause })
}
