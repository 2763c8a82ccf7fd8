import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type tls from 'node:tls'
import { makeCertificates } from '../../src/certs/index.ts'
import type { Cleanup } from './raw-client.ts'

/** Paths of PEM files. */
interface Pair {
  readonly cert: string
  readonly key: string
}

/** Certificates for loopback, good ones and some that are past. Paths of PEM files. */
export interface BridgeCertificates {
  readonly ca: string
  /** An authority that signed none of these. */
  readonly otherCa: string
  readonly server: Pair
  readonly expiredServer: Pair
  /** Common name `bridge`. */
  readonly client: Pair
  readonly expiredClient: Pair
}

const YEAR_MS = 365 * 24 * 3600 * 1000

export async function makeBridgeCertificates(t: Cleanup): Promise<BridgeCertificates> {
  const dir = mkdtempSync(join(tmpdir(), 'openedge-bridge-certs-'))
  t.after(() => rmSync(dir, { recursive: true, force: true }))
  const [good, past, other] = ['good', 'past', 'other'].map(name => join(dir, name)) as [string, string, string]
  const server = { commonName: 'localhost', alternativeNames: ['127.0.0.1', '::1'] }
  await makeCertificates({ dir: good, server, clients: [{ commonName: 'bridge' }] })
  await makeCertificates({ dir: other, server })
  mkdirSync(past)
  for (const file of ['ca.pem', 'ca.key']) copyFileSync(join(good, file), join(past, file))
  const now = new Date(Date.now() - YEAR_MS)
  await makeCertificates({ dir: past, server, clients: [{ commonName: 'bridge' }], days: 1, now })
  const pair = (folder: string, name: string): Pair => ({
    cert: join(folder, `${name}.pem`),
    key: join(folder, `${name}.key`),
  })
  return {
    ca: join(good, 'ca.pem'),
    otherCa: join(other, 'ca.pem'),
    server: pair(good, 'server'),
    expiredServer: pair(past, 'server'),
    client: pair(good, 'bridge'),
    expiredClient: pair(past, 'bridge'),
  }
}

/** For a fake broker. It asks for a client certificate when it gets an authority to verify it with. */
export function tlsOf(pair: Pair, ca?: string): tls.TlsOptions {
  const own = { cert: readFileSync(pair.cert), key: readFileSync(pair.key) }
  return ca === undefined ? own : { ...own, ca: readFileSync(ca), requestCert: true, rejectUnauthorized: true }
}
