import { type TopicLimits, topicFilterProblem } from '../common/index.ts'
import type { Circumstances, Collect, Findings } from './findings.ts'
import { isLoopback, type ListenAddress, readListenUrl } from './listen-url.ts'
import { isRecord, items, shorten, valid, validItems } from './loose.ts'
import type { Finding } from './problem.ts'
import { checkRules } from './rule-checks.ts'
import { type PermissionConfig, type PrincipalConfig, permissionSchema, principalSchema } from './schema/access.ts'
import { hubEntries } from './schema/hub.ts'
import { MAX_TOPIC_BYTES, MAX_TOPIC_LEVELS } from './schema/limits.ts'
import { checkControlSocket, checkMetricsListen } from './service-checks.ts'

/**
 * The rules that concern several keys, or that a schema can't say. They judge what is well formed, however wrong the rest
 * of the file is, so that people see all problems at once.
 *
 * @param value what {@link hubEntries} reads, before validation
 */
export function checkHubRules(value: unknown, circumstances: Circumstances): Findings {
  const errors: Finding[] = []
  const warnings: Finding[] = []
  const wrong: Collect = finding => errors.push(finding)
  const warn: Collect = finding => warnings.push(finding)
  const file = isRecord(value) ? value : {}
  const limits = valid(hubEntries.limits, file['limits'])
  const topicLimits: TopicLimits = {
    maxBytes: limits?.topicLength ?? MAX_TOPIC_BYTES,
    maxLevels: limits?.topicLevels ?? MAX_TOPIC_LEVELS,
  }
  const principals = validItems(principalSchema, file['principals'])
  const anonymous = valid(hubEntries.anonymous, file['anonymous']) ?? null
  const addresses = checkListen(file['listen'], wrong)
  checkCertificate(file['certificate'], addresses, wrong)
  checkUsernames(file['principals'], wrong)
  checkPermits(file, topicLimits, wrong)
  checkRules(file, { ...topicLimits, kind: 'hub', isDollarAllowed: limits?.topicDollar === 'allow' }, wrong)
  if (isRecord(file['storage'])) warnOfStorage(file['storage'], circumstances, warn)
  checkMetricsListen(valid(hubEntries.metrics, file['metrics'])?.listen ?? '', addresses, wrong, warn)
  checkControlSocket(valid(hubEntries.control, file['control'])?.socket ?? 'auto', addresses, wrong)
  warnOfAccess({ file, addresses, principals, anonymous, circumstances }, warn)
  return { errors, warnings }
}

function checkListen(listen: unknown, wrong: Collect): Map<number, ListenAddress> {
  const addresses = new Map<number, ListenAddress>()
  const taken = new Map<string, number>()
  for (const [i, url] of items(listen).entries()) {
    if (url !== null && typeof url !== 'string') continue
    const path = ['listen', i]
    const address = readListenUrl(url ?? '')
    if (typeof address === 'string') {
      wrong({ path, message: address })
      continue
    }
    addresses.set(i, address)
    if (address.scheme !== 'unix' && address.port === 0) continue
    const place = address.scheme === 'unix' ? address.path : `${address.host.toLowerCase()} ${address.port}`
    const first = taken.get(place)
    if (first === undefined) taken.set(place, i)
    else wrong({ path, message: `is the same address as listen[${first}]` })
  }
  return addresses
}

function checkCertificate(value: unknown, addresses: ReadonlyMap<number, ListenAddress>, wrong: Collect): void {
  const certificate = valid(hubEntries.certificate, value)
  if (certificate === undefined) return
  const { ca, cert, key, identity } = certificate
  if (key !== '' && cert === '') wrong({ path: ['certificate', 'key'], message: 'is a key without certificate.cert' })
  if (cert !== '' && key === '') wrong({ path: ['certificate', 'cert'], message: 'has no certificate.key to it' })
  if (identity !== 'username' && ca === '') {
    const message = `is ${identity}, which needs certificate.ca: only a verified certificate says who a client is`
    wrong({ path: ['certificate', 'identity'], message })
  }
  if (cert !== '' || key !== '') return
  for (const [i, { scheme }] of addresses) {
    if (scheme !== 'tls' && scheme !== 'wss') continue
    wrong({ path: ['listen', i], message: 'needs certificate.cert and certificate.key' })
  }
}

function checkUsernames(principals: unknown, wrong: Collect): void {
  const seen = new Set<string>()
  for (const [i, principal] of items(principals).entries()) {
    const username = isRecord(principal) ? principal['username'] : undefined
    if (typeof username !== 'string' || username === '') continue
    if (seen.has(username)) {
      wrong({ path: ['principals', i, 'username'], message: `username (${username}) duplicate` })
    }
    seen.add(username)
  }
}

function checkPermits(file: Readonly<Record<string, unknown>>, limits: TopicLimits, wrong: Collect): void {
  const owners = items(file['principals']).map((owner, i) => ({ owner, path: ['principals', i] }))
  for (const { owner, path } of [...owners, { owner: file['anonymous'], path: ['anonymous'] }]) {
    const permissions = isRecord(owner) ? validItems(permissionSchema, owner['permissions']) : []
    for (const [i, permission] of permissions.entries()) {
      for (const [j, permit] of (permission?.permit ?? []).entries()) {
        const problem = topicFilterProblem(permit, limits)
        if (problem === null) continue
        const message = `${permission?.action} topic(${shorten(permit)}) invalid: it ${problem}`
        wrong({ path: [...path, 'permissions', i, 'permit', j], message })
      }
    }
  }
}

interface Access {
  readonly file: Readonly<Record<string, unknown>>
  readonly addresses: ReadonlyMap<number, ListenAddress>
  readonly principals: readonly (PrincipalConfig | undefined)[]
  readonly anonymous: { permissions: PermissionConfig[] } | null
  readonly circumstances: Circumstances
}

function warnOfAccess({ file, addresses, principals, anonymous, circumstances }: Access, warn: Collect): void {
  const hasCa = valid(hubEntries.certificate, file['certificate'])?.ca !== ''
  if (items(file['listen']).length === 0) {
    warn({ path: ['listen'], message: 'is empty: nobody can reach the hub' })
  } else if (items(file['principals']).length === 0 && (file['anonymous'] ?? null) === null) {
    warn({ path: ['principals'], message: 'is empty, and there is no anonymous block: nobody can connect' })
  }
  for (const [i, principal] of principals.entries()) {
    if (principal === undefined) continue
    const path = ['principals', i]
    const passwordPath = [...path, 'password']
    if (principal.username === '') {
      warn({ path, message: 'has no username: nobody can be this principal' })
    } else if (principal.password === '' && !hasCa) {
      const message = 'has no password, and without certificate.ca no certificate is verified: it can never connect'
      warn({ path, message })
    } else if (
      circumstances.isPublicFile &&
      principal.password !== '' &&
      !principal.password.startsWith('$scrypt$') &&
      !circumstances.isFromEnvironment(passwordPath)
    ) {
      const message = 'is plain text in a file that others than its owner may read'
      const suggestion = 'chmod 600 the file, or replace the password by what openedge passwd prints'
      warn({ path: passwordPath, message, suggestion })
    }
  }
  if (anonymous === null || anonymous.permissions.every(({ permit }) => permit.length === 0)) return
  for (const [i, address] of addresses) {
    if (isLocal(address)) continue
    const message = `is open to the network, and anyone may connect to it: anonymous has permissions`
    warn({ path: ['listen', i], message, suggestion: 'listen on 127.0.0.1, or remove the anonymous block' })
  }
}

/** Who writes an empty text means it. A variable may be empty because somebody forgot it. */
function warnOfStorage({ dir }: Readonly<Record<string, unknown>>, circumstances: Circumstances, warn: Collect): void {
  const path = ['storage', 'dir']
  if (dir !== '' || !circumstances.isFromEnvironment(path)) return
  const message = 'is empty in the environment: nothing will be kept on disk'
  warn({ path, message, suggestion: 'name a folder, or write "" when that is meant' })
}

function isLocal({ scheme, host }: ListenAddress): boolean {
  return scheme === 'unix' || isLoopback(host)
}
