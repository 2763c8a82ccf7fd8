import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto'
import { resolve } from 'node:path'
import { createSecureContext, type SecureContext } from 'node:tls'
import { messageOf } from '../../common/index.ts'
import type { ClientConfig } from '../../config/index.ts'
import { readStart, unusable } from './files.ts'

/** The least version of the protocol that is spoken. */
const TLS_MIN_VERSION = 'TLSv1.2'
/** A PEM file beyond this is a mistake. */
const MAX_PEM_BYTES = 1024 * 1024
const CERTIFICATE = /-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g

/**
 * What a TLS connection is made with: the authorities of `ca` instead of those of Node.js, and our certificate. Paths
 * are relative to `baseDir`.
 *
 * @throws GatewayError `ERR_BRIDGE_CREDENTIALS_FILE` that names the file and what is wrong with it
 */
export function readSecureContext(config: Pick<ClientConfig, 'ca' | 'key' | 'cert'>, baseDir: string): SecureContext {
  const context = {
    minVersion: TLS_MIN_VERSION,
    ...readAuthorities(config, baseDir),
    ...readPair(config, baseDir),
  } as const
  try {
    return createSecureContext(context)
  } catch (cause) {
    const names = [config.ca, config.cert, config.key].filter(name => name !== '').map(name => resolve(baseDir, name))
    throw unusable(`TLS can't use ${names.join(', ')}: ${messageOf(cause)}`, cause)
  }
}

/** When our certificate ended, as its file says now; null when it has not, or can't be told. */
export function certificateEnded({ cert }: Pick<ClientConfig, 'cert'>, baseDir: string): string | null {
  if (cert === '') return null
  try {
    const { validTo } = new X509Certificate(readPem('cert', resolve(baseDir, cert)))
    return Date.parse(validTo) < Date.now() ? validTo : null
  } catch {
    return null
  }
}

function readAuthorities({ ca }: Pick<ClientConfig, 'ca'>, baseDir: string) {
  if (ca === '') return {}
  const path = resolve(baseDir, ca)
  const pem = readPem('ca', path)
  parseCertificates('ca', path, pem)
  // Whatever is in the file is trusted, also an intermediate authority without the one above it.
  return { ca: pem, allowPartialTrustChain: true }
}

function readPair({ key, cert }: Pick<ClientConfig, 'key' | 'cert'>, baseDir: string) {
  if (key === '' && cert === '') return {}
  if (key === '') throw unusable(`cert is ${cert}, but key is not given: a client certificate needs both`)
  if (cert === '') throw unusable(`key is ${key}, but cert is not given: a client certificate needs both`)
  const keyPath = resolve(baseDir, key)
  const certPath = resolve(baseDir, cert)
  const keyPem = readPem('key', keyPath)
  const certPem = readPem('cert', certPath)
  const privateKey = parseKey(keyPath, keyPem)
  if (!parseCertificates('cert', certPath, certPem).checkPrivateKey(privateKey)) {
    throw unusable(`key ${keyPath} does not belong to cert ${certPath}: give the key it was made with`)
  }
  return { key: keyPem, cert: certPem }
}

function readPem(field: string, path: string): Buffer {
  const pem = readStart(field, path, MAX_PEM_BYTES + 1)
  if (pem.length > MAX_PEM_BYTES) throw unusable(`can't use ${field} ${path}: it is too large for a PEM file`)
  return pem
}

function parseKey(path: string, pem: Buffer): KeyObject {
  try {
    return createPrivateKey(pem)
  } catch (cause) {
    const isEncrypted = pem.includes('ENCRYPTED')
    const problem = isEncrypted ? 'it is encrypted: give a key without a passphrase' : 'it is not a private key in PEM'
    throw unusable(`can't use key ${path}: ${problem}`, cause)
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
      throw unusable(
        `can't use ${field} ${path}: its certificate number ${i + 1} is broken: ${messageOf(cause)}`,
        cause,
      )
    }
  }
  if (first === undefined) throw unusable(`can't use ${field} ${path}: it has no certificate in PEM`)
  return first
}
