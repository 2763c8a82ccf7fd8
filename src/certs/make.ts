import { createPrivateKey, generateKeyPair, type KeyObject, X509Certificate } from 'node:crypto'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { GatewayError, messageOf } from '../common/index.ts'
import { listFiles, type NewFile, readText, writeFiles } from './files.ts'
import { type AuthorityPlan, type CertificatesRequest, filesOf, planCertificates } from './plan.ts'
import { canSign, type Issuer, issuerOf, selfSign, signLeaf } from './x509.ts'

export interface MadeCertificates {
  /** Paths of the files that were written, certificates and keys. */
  readonly files: string[]
}

/**
 * Makes certificates for development and for small installations of one's own: an authority (`ca.pem`, `ca.key`), a
 * server (`server.pem`, `server.key`) and clients (`<common name>.pem`, `<common name>.key`), all with EC P-256 keys. The
 * authority of an earlier call is used again. Keys are PKCS#8 in PEM, not encrypted, readable by their owner only.
 *
 * Throws `ERR_CERTS_EXISTS` before anything is written when a file is there already and `force` is not set;
 * `ERR_CERTS_BAD_NAME` and `ERR_CERTS_BAD_VALIDITY` for a request that can't be met; `ERR_CERTS_BAD_CA` when the
 * authority of the folder can't be used; `ERR_CERTS_UNREADABLE` and `ERR_CERTS_UNWRITABLE` for trouble with the disk.
 */
export async function makeCertificates(request: CertificatesRequest): Promise<MadeCertificates> {
  const plan = planCertificates(request, await listFiles(request.dir))
  const files: NewFile[] = []
  const add = (name: string, certificate: X509Certificate, key: KeyObject): void => {
    const [certificateFile, keyFile] = filesOf(name)
    files.push({ name: certificateFile, content: certificate.toString(), isSecret: false })
    files.push({ name: keyFile, content: key.export({ type: 'pkcs8', format: 'pem' }).toString(), isSecret: true })
  }
  const issuer =
    plan.authority === null ? await readAuthority(request.dir, plan.now) : await makeAuthority(plan.authority, add)
  for (const leaf of plan.leaves) {
    const key = await makeKey()
    add(leaf.name, signLeaf(leaf, key, issuer), key)
  }
  return { files: await writeFiles(request.dir, files, request.force ?? false) }
}

async function makeAuthority(
  plan: AuthorityPlan,
  add: (name: string, certificate: X509Certificate, key: KeyObject) => void,
): Promise<Issuer> {
  const key = await makeKey()
  const certificate = selfSign(plan, key)
  add('ca', certificate, key)
  return issuerOf(certificate, key)
}

async function readAuthority(dir: string, now: Date): Promise<Issuer> {
  const [certificateFile, keyFile] = filesOf('ca')
  const certificatePath = join(dir, certificateFile)
  const keyPath = join(dir, keyFile)
  const certificate = parsed(certificatePath, await readText(certificatePath), pem => new X509Certificate(pem))
  const key = parsed(keyPath, await readText(keyPath), pem => createPrivateKey(pem))
  if (!certificate.ca) throw badAuthority(`${certificatePath} is not the certificate of an authority`)
  if (!certificate.checkPrivateKey(key)) throw badAuthority(`${keyPath} is not the key of ${certificatePath}`)
  if (!canSign(key)) throw badAuthority(`${keyPath} is neither an EC nor an RSA key`)
  if (new Date(certificate.validTo) <= now) {
    throw badAuthority(`${certificatePath} is no longer valid since ${certificate.validTo}; make a new authority`)
  }
  return issuerOf(certificate, key)
}

function parsed<T>(path: string, pem: string, parse: (pem: string) => T): T {
  try {
    return parse(pem)
  } catch (cause) {
    throw badAuthority(`${path} can't be used: ${messageOf(cause)}`, cause)
  }
}

function badAuthority(message: string, cause?: unknown): GatewayError {
  return new GatewayError('ERR_CERTS_BAD_CA', message, { cause })
}

async function makeKey(): Promise<KeyObject> {
  return (await promisify(generateKeyPair)('ec', { namedCurve: 'P-256' })).privateKey
}
