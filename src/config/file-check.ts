import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto'
import { resolve } from 'node:path'
import { messageOf } from '../common/index.ts'
import type { Problem } from './problem.ts'
import { readSmallFile } from './read-file.ts'

const PEM_CERTIFICATE =
  /-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----[^-]+-----END (?:TRUSTED |X509 )?CERTIFICATE-----/g
const DAY_MS = 86_400_000
/** Certificates that end sooner are warned of. */
const SOON_DAYS = 30

interface Paths {
  readonly ca: string
  readonly cert: string
  readonly key: string
}

/** Looks at files that a configuration names, and collects what is wrong with them. */
export class FileCheck {
  readonly errors: Problem[] = []
  readonly warnings: Problem[] = []
  readonly #baseDir: string
  readonly #now: number

  constructor(baseDir: string, now: number) {
    this.#baseDir = baseDir
    this.#now = now
  }

  /** Authorities, certificate and key of the block at `path`; empty ones are not looked for. */
  certificatesAndKey(path: string, { ca, cert, key }: Paths): void {
    if (ca !== '') this.#certificates(`${path}.ca`, ca)
    const chain = cert === '' ? [] : this.#certificates(`${path}.cert`, cert)
    const privateKey = key === '' ? null : this.#privateKey(`${path}.key`, key)
    const own = chain[0]
    if (own !== undefined && privateKey !== null && !own.checkPrivateKey(privateKey)) {
      this.#wrong(`${path}.key`, key, `is not the key of ${cert}`)
    }
  }

  /** A file whose first line is a password. */
  password(path: string, file: string): void {
    const read = this.#read(path, file)
    if (read === null) return
    this.#warnIfPublic(path, file, read.mode)
    if (!/^[^\r\n]/.test(read.text)) this.#warn(path, file, 'has no password in its first line')
  }

  #wrong(path: string, file: string, message: string): void {
    this.errors.push({ file, line: 0, column: 0, path, message })
  }

  #certificates(path: string, file: string): X509Certificate[] {
    const text = this.#read(path, file)?.text
    if (text === undefined) return []
    const blocks = text.match(PEM_CERTIFICATE) ?? []
    if (blocks.length === 0) this.#wrong(path, file, 'has no certificate in PEM format')
    const certificates: X509Certificate[] = []
    for (const [i, block] of blocks.entries()) {
      try {
        const certificate = new X509Certificate(block)
        certificates.push(certificate)
        this.#checkDates(path, file, certificate)
      } catch (error) {
        this.#wrong(path, file, `has a certificate that can't be read, number ${i + 1}: ${messageOf(error)}`)
        // The first is the one the key belongs to: with a gap in the list another would be taken for it.
        if (i === 0) return []
      }
    }
    return certificates
  }

  #privateKey(path: string, file: string): KeyObject | null {
    const read = this.#read(path, file)
    if (read === null) return null
    this.#warnIfPublic(path, file, read.mode)
    if (/-----BEGIN ENCRYPTED|Proc-Type: 4,ENCRYPTED/.test(read.text)) {
      this.#wrong(path, file, 'is encrypted; write it without a passphrase')
      return null
    }
    if (!/-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(read.text)) {
      this.#wrong(path, file, 'has no private key in PEM format')
      return null
    }
    try {
      return createPrivateKey(read.text)
    } catch (error) {
      this.#wrong(path, file, `has a private key that can't be read: ${messageOf(error)}`)
      return null
    }
  }

  #warn(path: string, file: string, message: string): void {
    this.warnings.push({ file, line: 0, column: 0, path, message })
  }

  #warnIfPublic(path: string, file: string, mode: number): void {
    // Windows has other means, and reports a mode that says nothing.
    if (process.platform === 'win32' || (mode & 0o004) === 0) return
    const message = 'may be read by every user'
    this.warnings.push({ file, line: 0, column: 0, path, message, suggestion: 'chmod 600 it' })
  }

  #read(path: string, file: string): { text: string; mode: number } | null {
    const read = readSmallFile(resolve(this.#baseDir, file))
    if (typeof read !== 'string') return { text: read.bytes.toString('latin1'), mode: read.mode }
    this.#wrong(path, file, read)
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
    if (message !== null) this.#warn(path, file, message)
  }
}
