import { createHmac, randomBytes } from 'node:crypto'
import { GatewayError, messageOf } from '../common/index.ts'
import type { HubConfig, PrincipalConfig } from '../config/index.ts'
import type { PeerIdentity } from './identity.ts'
import { HashedPassword, isHash, type PasswordCheck, PlainPassword } from './password.ts'
import { Principal } from './principal.ts'
import { ScryptPool, TooManyWaiting } from './scrypt-pool.ts'

const ANONYMOUS = 'anonymous'

/** What a client shows when it connects. */
export interface Credentials {
  readonly username: string | undefined
  readonly password: Uint8Array | undefined
  /** Only a certificate that the TLS layer verified. */
  readonly certificate: PeerIdentity | null
}

/**
 * Who it is, or the CONNACK return code to refuse with: 3 server unavailable, 4 bad user name or password, 5 not
 * authorised. The reason is for the log; the client is told nothing but the code.
 */
export type Verdict = { readonly principal: Principal } | { readonly returnCode: 3 | 4 | 5; readonly reason: string }

/** The part of the hub's configuration that says who may connect. */
export interface AuthenticatorConfig extends Pick<HubConfig, 'principals' | 'anonymous'> {
  readonly certificate: Pick<HubConfig['certificate'], 'identity'>
}

export interface AuthenticatorOptions {
  /** Hashed passwords computed at the same time. Default 2. */
  readonly checksAtOnce?: number
  /** Hashed passwords that may wait for their turn; beyond that clients are refused with return code 3. Default 64. */
  readonly maxWaitingChecks?: number
  /**
   * The one that this takes the place of: principals that are as they were stay the same objects, and password checks
   * go on within the same limits.
   */
  readonly previous?: Authenticator
}

/** Somebody who is connected: what is looked at again when the configuration changes. */
export interface Connected {
  readonly principal: Principal
  readonly username: string | undefined
  readonly certificate: PeerIdentity | null
}

/** A principal with a password. */
interface Account {
  readonly principal: Principal
  readonly password: PasswordCheck
}

/** Finds out who connects. Asks nothing but the configuration it was made from. */
export class Authenticator {
  readonly #accounts = new Map<string, Account>()
  /** Principals without a password, for clients with a certificate. */
  readonly #certified = new Map<string, Principal>()
  readonly #anonymous: Principal | null
  readonly #identity: AuthenticatorConfig['certificate']['identity']
  /** Password checks that cost what real ones cost and never succeed; see `#decoyFor`. */
  readonly #decoys: readonly PasswordCheck[]
  readonly #decoyKey: Buffer
  readonly #pool: ScryptPool

  private constructor(config: AuthenticatorConfig, options: AuthenticatorOptions) {
    const { previous, checksAtOnce = 2, maxWaitingChecks = 64 } = options
    this.#identity = config.certificate.identity
    this.#pool = previous === undefined ? new ScryptPool(checksAtOnce, maxWaitingChecks) : previous.#pool
    // With another key unknown names would take another time than before, and real ones would not.
    this.#decoyKey = previous === undefined ? randomBytes(32) : previous.#decoyKey
    for (const principal of config.principals) this.#add(principal, previous)
    this.#anonymous =
      config.anonymous === null
        ? null
        : sameOr(previous, principalOf(ANONYMOUS, 'anonymous', config.anonymous.permissions))
    const decoys = [...this.#accounts.values()].map(account => account.password)
    this.#decoys = decoys.length > 0 ? decoys : [new PlainPassword(randomBytes(32))]
  }

  /**
   * Throws `ERR_AUTH_BAD_HASH`, `ERR_AUTH_BAD_PERMIT` or `ERR_AUTH_DUPLICATE_PRINCIPAL`, naming the principal.
   */
  static create(config: AuthenticatorConfig, options: AuthenticatorOptions = {}): Authenticator {
    return new Authenticator(config, options)
  }

  /** Everybody by name; the anonymous principal too, where no other has its name. */
  get principals(): ReadonlyMap<string, Principal> {
    return new Map(this.#everybody().map(each => [each.name, each]))
  }

  /** Has the very principals of another one: whatever was found out about them still holds. */
  hasThoseOf(other: Authenticator): boolean {
    const [own, others] = [this.#everybody(), other.#everybody()]
    return own.length === others.length && own.every(each => other.current(each) === each)
  }

  #everybody(): Principal[] {
    const accounts = [...this.#accounts.values()].map(account => account.principal)
    return [...(this.#anonymous === null ? [] : [this.#anonymous]), ...accounts, ...this.#certified.values()]
  }

  /** All who may be meant by a name alone: an account and the anonymous principal may have the same. */
  named(name: string): Principal[] {
    const known = this.#accounts.get(name)?.principal ?? this.#certified.get(name)
    const found = known === undefined ? [] : [known]
    return name === ANONYMOUS && this.#anonymous !== null ? [...found, this.#anonymous] : found
  }

  /** The same principal as it is here; null when there is none that is known in the same way. */
  current(principal: Principal): Principal | null {
    const { name, source } = principal
    if (source === 'embedder') return principal
    if (source === 'password') return this.#accounts.get(name)?.principal ?? null
    if (source === 'certificate') return this.#certified.get(name) ?? null
    return this.#anonymous
  }

  /**
   * Who somebody who came in earlier is here; null when the same name would not be let in any more in the same way. The
   * password is not asked for again: who came in with one is a stranger when another text is configured for it, be it
   * another hash of the same password.
   */
  recognize({ principal, username = '', certificate }: Connected): Principal | null {
    if (principal.source === 'password') {
      const now = this.current(principal)
      return now?.hasPasswordOf(principal) === true ? now : null
    }
    if (principal.source !== 'certificate') return this.current(principal)
    const found = certificate === null ? undefined : this.#byCertificate(username, certificate)
    return found?.name === principal.name ? found : null
  }

  /**
   * The answer is a promise only when a hashed password has to be computed. Never throws or rejects.
   *
   * A password decides alone: with one, a certificate does not count. Without one it is the certificate, by way of the
   * username (`identity: username`), or by its own names (`cn`, `san`), with which a username, if sent, must agree.
   * Whoever names nobody is the anonymous principal if there is one. An empty username or password is none.
   */
  authenticate(credentials: Credentials): Verdict | Promise<Verdict> {
    const username = credentials.username ?? ''
    if (credentials.password !== undefined && credentials.password.length > 0) {
      return username === '' ? refused(username) : this.#byPassword(username, credentials.password)
    }
    const principal =
      (credentials.certificate === null ? undefined : this.#byCertificate(username, credentials.certificate)) ??
      (username === '' ? this.#anonymous : null)
    return principal === null ? refused(username) : { principal }
  }

  #byPassword(username: string, password: Uint8Array): Verdict | Promise<Verdict> {
    const account = this.#accounts.get(username)
    const matches = (account?.password ?? this.#decoyFor(username)).matches(password)
    const verdict = (isRight: boolean): Verdict =>
      isRight && account !== undefined ? { principal: account.principal } : refused(username)
    if (typeof matches === 'boolean') return verdict(matches)
    return matches.then(verdict, (failure: unknown) => ({
      returnCode: 3,
      reason: failure instanceof TooManyWaiting ? failure.message : `password check failed: ${messageOf(failure)}`,
    }))
  }

  #byCertificate(username: string, certificate: PeerIdentity): Principal | undefined {
    if (this.#identity === 'username') return this.#certified.get(username)
    const names = this.#identity === 'cn' ? [certificate.commonName] : certificate.alternativeNames
    const name = names.find(each => (username === '' || each === username) && this.#certified.has(each))
    return name === undefined ? undefined : this.#certified.get(name)
  }

  /**
   * The check that an unknown username gets: that of one of the accounts, always the same for the same name. So a guessed
   * name takes as long as a real one, also where some passwords are plain and some are hashed.
   */
  #decoyFor(username: string): PasswordCheck {
    const draw = createHmac('sha256', this.#decoyKey).update(username).digest().readUInt32BE(0)
    const decoy = this.#decoys[draw % this.#decoys.length]
    if (decoy === undefined) throw new GatewayError('ERR_INTERNAL_NO_DECOY', 'there is always a decoy')
    return decoy
  }

  #add(config: PrincipalConfig, previous: Authenticator | undefined): void {
    const name = config.username
    if (this.#accounts.has(name) || this.#certified.has(name)) {
      throw new GatewayError('ERR_AUTH_DUPLICATE_PRINCIPAL', `principal ${shown(name)} is configured twice; remove one`)
    }
    if (config.password === '') {
      // An empty name could be claimed by not sending one.
      const principal = principalOf(name, 'certificate', config.permissions)
      if (name !== '') this.#certified.set(name, sameOr(previous, principal))
      return
    }
    const principal = sameOr(previous, principalOf(name, 'password', config.permissions, config.password))
    this.#accounts.set(name, { principal, password: passwordOf(config, this.#pool) })
  }
}

/** The object that is there already, when nothing about it has changed. */
function sameOr(previous: Authenticator | undefined, principal: Principal): Principal {
  const before = previous?.current(principal) ?? null
  return before?.isLike(principal) === true ? before : principal
}

function principalOf(
  name: string,
  source: 'password' | 'certificate' | 'anonymous',
  permissions: PrincipalConfig['permissions'],
  password = '',
): Principal {
  try {
    return Principal.create(name, source, permissions, password)
  } catch (cause) {
    throw new GatewayError('ERR_AUTH_BAD_PERMIT', `principal ${shown(name)}: ${messageOf(cause)}`, { cause })
  }
}

function passwordOf({ username, password }: PrincipalConfig, pool: ScryptPool): PasswordCheck {
  if (!isHash(password)) return new PlainPassword(password)
  try {
    return new HashedPassword(password, pool)
  } catch (cause) {
    throw new GatewayError(
      'ERR_AUTH_BAD_HASH',
      `the password hash of principal ${shown(username)} ${messageOf(cause)}; make a new one with: openedge passwd`,
      { cause },
    )
  }
}

function refused(username: string): Verdict {
  return {
    returnCode: 4,
    reason: username === '' ? 'username is empty' : `username (${shown(username)}) or password not permitted`,
  }
}

/** A name as it may appear in a line of a log: cut, and without anything that could start a new line. */
function shown(name: string): string {
  const cut = name.length > 128 ? `${name.slice(0, 128)}...` : name
  return JSON.stringify(cut).slice(1, -1)
}
