import { GatewayError } from '../common/index.ts'
import {
  type AlternativeName,
  alternativeNamesOf,
  badName,
  checkClientName,
  checkCommonName,
  isHostName,
  quoted,
} from './names.ts'

/** Whose certificate it is. */
export interface SubjectRequest {
  /** 1 to 64 characters. A client's is also the name of its files: letters, digits, `_`, `-` and `.` only. */
  readonly commonName: string
  /** DNS names, IP addresses, e-mail addresses, URIs, without their type. Default none. */
  readonly alternativeNames?: readonly string[]
}

export interface CertificatesRequest {
  /** Folder of the files; made when it is not there. */
  readonly dir: string
  /**
   * A new authority. Left out, the one in the folder is used, or a first one is made. Days of validity: default 3650.
   */
  readonly ca?: { readonly commonName?: string; readonly days?: number }
  /** Its common name is added to the alternative names when it is a DNS name or an IP address. Default: none is made. */
  readonly server?: SubjectRequest
  /** Default none. */
  readonly clients?: readonly SubjectRequest[]
  /**
   * Days until the server and client certificates expire, also fractions, up to 36500. No certificate outlives its
   * authority. Default 825.
   */
  readonly days?: number
  /** Files that are there already are replaced; an authority only when `ca` asks for a new one. Default false. */
  readonly force?: boolean
  /** The moment that validity counts from (less five minutes, for clocks that are late). Default: now. */
  readonly now?: Date
}

/** From the first to the last moment a certificate is good. */
export interface Validity {
  readonly notBefore: Date
  readonly notAfter: Date
}

export interface AuthorityPlan {
  readonly commonName: string
  readonly validity: Validity
}

export interface LeafPlan {
  readonly purpose: 'server' | 'client'
  /** `<name>.pem` and `<name>.key`. */
  readonly name: string
  readonly commonName: string
  readonly alternativeNames: readonly AlternativeName[]
  readonly validity: Validity
}

export interface CertificatesPlan {
  readonly now: Date
  /** Null: use the one in the folder. */
  readonly authority: AuthorityPlan | null
  readonly leaves: readonly LeafPlan[]
}

const DAY_MS = 24 * 3600 * 1000
const LATE_CLOCKS_MS = 5 * 60 * 1000
const MAX_DAYS = 36_500

/**
 * What is to be made, given the files that are in the folder. Throws `ERR_CERTS_BAD_NAME`, `ERR_CERTS_BAD_VALIDITY`,
 * `ERR_CERTS_EXISTS`, or `ERR_CERTS_BAD_CA` when the folder has half an authority.
 */
export function planCertificates(request: CertificatesRequest, present: ReadonlySet<string>): CertificatesPlan {
  const now = request.now ?? new Date()
  const authority = planAuthority(request, present, now)
  const validity = validityOf(now, request.days ?? 825)
  const leaves: LeafPlan[] = []
  if (request.server !== undefined) leaves.push(planServer(request.server, validity))
  for (const client of request.clients ?? []) leaves.push(planClient(client, validity))
  checkDistinct(leaves)
  if (request.force !== true) {
    const names = [...(authority === null ? [] : ['ca']), ...leaves.map(leaf => leaf.name)]
    const taken = names.flatMap(filesOf).filter(file => present.has(file))
    if (taken.length > 0) throw exists(request.dir, taken)
  }
  return { now, authority, leaves }
}

/** The two files of a subject: certificate and key. */
export function filesOf(name: string): [certificate: string, key: string] {
  return [`${name}.pem`, `${name}.key`]
}

export function exists(dir: string, files: readonly string[]): GatewayError {
  return new GatewayError(
    'ERR_CERTS_EXISTS',
    `${dir} already has ${files.join(', ')}; choose another folder, or force replacing`,
  )
}

function planAuthority(request: CertificatesRequest, present: ReadonlySet<string>, now: Date): AuthorityPlan | null {
  const there = filesOf('ca').filter(file => present.has(file))
  if (request.ca === undefined) {
    if (there.length === 2) return null
    if (there.length === 1) {
      throw new GatewayError(
        'ERR_CERTS_BAD_CA',
        `${request.dir} has ${there.join()} only; an authority needs ca.pem and ca.key. Add the other or choose another folder`,
      )
    }
  }
  const commonName = request.ca?.commonName ?? 'OpenEdge development CA'
  checkCommonName(commonName)
  return { commonName, validity: validityOf(now, request.ca?.days ?? 3650) }
}

function planServer({ commonName, alternativeNames = [] }: SubjectRequest, validity: Validity): LeafPlan {
  checkCommonName(commonName)
  const names = alternativeNamesOf(isHostName(commonName) ? [commonName, ...alternativeNames] : alternativeNames)
  if (names.length === 0) {
    // Clients look at the alternative names only, RFC 6125.
    throw badName(`server ${quoted(commonName)} needs a DNS name or an IP address among its alternative names`)
  }
  return { purpose: 'server', name: 'server', commonName, alternativeNames: names, validity }
}

function planClient({ commonName, alternativeNames = [] }: SubjectRequest, validity: Validity): LeafPlan {
  checkClientName(commonName)
  const names = alternativeNamesOf(alternativeNames)
  return { purpose: 'client', name: commonName, commonName, alternativeNames: names, validity }
}

/** Names that differ in case only would share files on some disks. */
function checkDistinct(leaves: readonly LeafPlan[]): void {
  const seen = new Set<string>()
  for (const { name } of leaves) {
    const folded = name.toLowerCase()
    if (seen.has(folded)) throw badName(`client name ${quoted(name)} is given twice, which would be the same files`)
    seen.add(folded)
  }
}

function validityOf(now: Date, days: number): Validity {
  const notAfter = new Date(now.getTime() + days * DAY_MS)
  if (!(days > 0 && days <= MAX_DAYS) || Number.isNaN(notAfter.getTime())) {
    throw new GatewayError(
      'ERR_CERTS_BAD_VALIDITY',
      `${days} days of validity: use more than 0 and at most ${MAX_DAYS}`,
    )
  }
  return { notBefore: new Date(now.getTime() - LATE_CLOCKS_MS), notAfter }
}
