import { createHmac, randomBytes, type ScryptOptions, timingSafeEqual } from 'node:crypto'
import { deriveKey, type ScryptPool } from './scrypt-pool.ts'

/** How costly a hash is to compute: memory is 128 * 2^ln * r bytes, time grows with p as well. */
export interface ScryptCost {
  /** Logarithm of the number of blocks, 10..20. Default 14, with r = 8 that is 16 MiB. */
  readonly ln: number
  /** Block size, 1..32. Default 8. */
  readonly r: number
  /** Rounds, 1..16. Default 1. */
  readonly p: number
}

const DEFAULT_COST: ScryptCost = { ln: 14, r: 8, p: 1 }
/** Two computations may run at once; a device with 256 MB has room for that and for the hub. */
const MAX_MEMORY = 64 * 1024 * 1024
const SALT_BYTES = 16
const HASH_BYTES = 32
const PREFIX = '$scrypt$'
const FORMAT = /^\$scrypt\$ln=(\d{1,2}),r=(\d{1,2}),p=(\d{1,2})\$([A-Za-z0-9+/]{11,86})\$([A-Za-z0-9+/]{22,86})$/

/** True when a configured password is meant as a hash. A plain password can't start like one. */
export function isHash(configured: string): boolean {
  return configured.startsWith(PREFIX)
}

/**
 * What `openedge passwd` prints and a configuration may have in place of a plain password:
 * `$scrypt$ln=14,r=8,p=1$<salt>$<hash>`, both in base64 without padding. Throws a RangeError for a cost out of bounds.
 */
export async function hashPassword(password: string, cost: Partial<ScryptCost> = {}): Promise<string> {
  const full = { ...DEFAULT_COST, ...cost }
  const problem = costProblem(full)
  if (problem !== null) throw new RangeError(`scrypt ${problem}`)
  const salt = randomBytes(SALT_BYTES)
  const hash = await deriveKey(Buffer.from(password), salt, HASH_BYTES, optionsOf(full))
  return `${PREFIX}ln=${full.ln},r=${full.r},p=${full.p}$${unpadded(salt)}$${unpadded(hash)}`
}

/** Tells whether a password, as bytes from the wire, is the one that was configured. */
export interface PasswordCheck {
  matches(password: Uint8Array): boolean | Promise<boolean>
}

/** Compares digests under a random key, so that neither content nor length shows in the time it takes. */
export class PlainPassword implements PasswordCheck {
  readonly #key = randomBytes(32)
  readonly #digest: Buffer

  constructor(password: string | Uint8Array) {
    this.#digest = this.#digestOf(typeof password === 'string' ? Buffer.from(password) : password)
  }

  matches(password: Uint8Array): boolean {
    return timingSafeEqual(this.#digestOf(password), this.#digest)
  }

  #digestOf(password: Uint8Array): Buffer {
    return createHmac('sha256', this.#key).update(password).digest()
  }
}

/** A password of which only the scrypt hash is known. */
export class HashedPassword implements PasswordCheck {
  readonly #cost: ScryptCost
  readonly #salt: Buffer
  readonly #hash: Buffer
  readonly #pool: ScryptPool

  /** Throws a RangeError that says what is wrong, without the hash in it. */
  constructor(configured: string, pool: ScryptPool) {
    const [, ln, r, p, salt, hash] = FORMAT.exec(configured) ?? []
    if (salt === undefined || hash === undefined) {
      throw new RangeError('is not of the form $scrypt$ln=14,r=8,p=1$<salt>$<hash>')
    }
    this.#cost = { ln: Number(ln), r: Number(r), p: Number(p) }
    const problem = costProblem(this.#cost)
    if (problem !== null) throw new RangeError(problem)
    this.#salt = bytesOf(salt)
    this.#hash = bytesOf(hash)
    this.#pool = pool
  }

  /** Rejects with `TooManyWaiting` when the pool is full. */
  async matches(password: Uint8Array): Promise<boolean> {
    const key = await this.#pool.derive(password, this.#salt, this.#hash.length, optionsOf(this.#cost))
    return timingSafeEqual(key, this.#hash)
  }
}

function costProblem({ ln, r, p }: ScryptCost): string | null {
  if (!isWithin(ln, 10, 20)) return 'needs ln from 10 to 20'
  if (!isWithin(r, 1, 32)) return 'needs r from 1 to 32'
  if (!isWithin(p, 1, 16)) return 'needs p from 1 to 16'
  const memory = 128 * 2 ** ln * r
  if (memory > MAX_MEMORY) return `needs ${memory / 2 ** 20} MiB of memory; at most ${MAX_MEMORY / 2 ** 20} are allowed`
  return null
}

function isWithin(value: number, least: number, most: number): boolean {
  return Number.isInteger(value) && value >= least && value <= most
}

function optionsOf({ ln, r, p }: ScryptCost): ScryptOptions {
  const N = 2 ** ln
  // What OpenSSL counts: the blocks, the rounds and a little more.
  return { N, r, p, maxmem: 128 * r * (N + p + 2) + 1024 }
}

/** Refuses text that is not the one way to write its bytes. */
function bytesOf(base64: string): Buffer {
  const bytes = Buffer.from(base64, 'base64')
  if (unpadded(bytes) !== base64) throw new RangeError('has a salt or hash that is not base64 without padding')
  return bytes
}

function unpadded(bytes: Buffer): string {
  return bytes.toString('base64').replace(/=+$/, '')
}
