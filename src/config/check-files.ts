import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto'
import { resolve } from 'node:path'
import { messageOf } from '../common/index.ts'
import type { Problem } from './problem.ts'
import { readSmallFile } from './read-file.ts'
import type { HubConfig } from './schema/hub.ts'

const PEM_CERTIFICATE =
  /-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----[^-]+-----END (?:TRUSTED |X509 )?CERTIFICATE-----/g
const DAY_MS = 86_400_000
/** Certificates that end sooner are warned of. */
const SOON_DAYS = 30

export interface FileProblems {
  /** With these the hub does not start. */
  readonly errors: readonly Problem[]
  /** Certificates that have ended or soon will, keys that anyone may read. */
  readonly warnings: readonly Problem[]
}

/**
 * Checks the certificates and the key that a configuration names: readable, well formed, belonging together, not ended.
 * The `file` of a problem is the certificate or key, and its path the key of the configuration.
 *
 * @param baseDir what relative paths start from: the working directory of the hub
 * @param now milliseconds since 1970
 */
export function checkFiles(config: Pick<HubConfig, 'certificate'>, baseDir: string, now = Date.now()): FileProblems {
  const check = new FileCheck(baseDir, now)
  const { ca, cert, key } = config.certificate
  if (ca !== '') check.certificates('certificate.ca', ca)
  const chain = cert === '' ? [] : check.certificates('certificate.cert', cert)
  const privateKey = key === '' ? null : check.privateKey('certificate.key', key)
  const own = chain[0]
  if (own !== undefined && privateKey !== null && !own.checkPrivateKey(privateKey)) {
    check.wrong('certificate.key', key, `is not the key of ${cert}`)
  }
  return { errors: check.errors, warnings: check.warnings }
}

class FileCheck {
  readonly errors: Problem[] = []
  readonly warnings: Problem[] = []
  readonly #baseDir: string
  readonly #now: number

  constructor(baseDir: string, now: number) {
    this.#baseDir = baseDir
    this.#now = now
  }

  wrong(path: string, file: string, message: string): void {
    this.errors.push({ file, line: 0, column: 0, path, message })
  }

  certificates(path: string, file: string): X509Certificate[] {
    const text = this.#read(path, file)?.text
    if (text === undefined) return []
    const blocks = text.match(PEM_CERTIFICATE) ?? []
    if (blocks.length === 0) this.wrong(path, file, 'has no certificate in PEM format')
    const certificates: X509Certificate[] = []
    for (const [i, block] of blocks.entries()) {
      try {
        const certificate = new X509Certificate(block)
        certificates.push(certificate)
        this.#checkDates(path, file, certificate)
      } catch (error) {
        this.wrong(path, file, `has a certificate that can't be read, number ${i + 1}: ${messageOf(error)}`)
        // The first is the one the key belongs to: with a gap in the list another would be taken for it.
        if (i === 0) return []
      }
    }
    return certificates
  }

  privateKey(path: string, file: string): KeyObject | null {
    const read = this.#read(path, file)
    if (read === null) return null
    if (process.platform !== 'win32' && (read.mode & 0o004) !== 0) {
      const suggestion = 'chmod 600 it'
      this.warnings.push({ file, line: 0, column: 0, path, message: 'may be read by every user', suggestion })
    }
    if (/-----BEGIN ENCRYPTED|Proc-Type: 4,ENCRYPTED/.test(read.text)) {
      this.wrong(path, file, 'is encrypted; write it without a passphrase')
      return null
    }
    if (!/-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(read.text)) {
      this.wrong(path, file, 'has no private key in PEM format')
      return null
    }
    try {
      return createPrivateKey(read.text)
    } catch (error) {
      this.wrong(path, file, `has a private key that can't be read: ${messageOf(error)}`)
      return null
    }
  }

  #read(path: string, file: string): { text: string; mode: number } | null {
    const read = readSmallFile(resolve(this.#baseDir, file))
    if (typeof read !== 'string') return { text: read.bytes.toString('latin1'), mode: read.mode }
    this.wrong(path, file, read)
    return null
  }

  #checkDates(path: string, file: string, { subject, validFrom, validTo }: X509Certificate): void {
    const name = subject.replaceAll('\n', ', ')
    const start = Date.parse(validFrom)
    const end = Date.parse(validTo)
    let message: string | null = null
    if (end <= this.#now) message = `has the certificate ${name}, which ended on ${validTo}`
    else if (start > this.#now) message = `has the certificate ${name}, which begins on ${validFrom}`
    else if (end - this.#now < SOON_DAYS * DAY_MS) message = `has the certificate ${name}, which ends on ${validTo}`
    if (message !== null) this.warnings.push({ file, line: 0, column: 0, path, message })
  }
}
