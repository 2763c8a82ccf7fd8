import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { makeCertificates, type SubjectRequest } from '../../src/certs/index.ts'

export interface KeyPair {
  readonly key: Buffer
  readonly cert: Buffer
}

/** A folder with an authority, a server certificate for loopback and whatever clients are asked for. */
export interface TestCertificates {
  readonly dir: string
  readonly ca: Buffer
  readonly server: KeyPair
  client(commonName: string): KeyPair
  /** Paths as the configuration has them, relative to `dir`. */
  readonly files: { readonly ca: string; readonly key: string; readonly cert: string }
  remove(): void
}

/** Who calls removes them when done. */
export async function makeTestCertificates(clients: readonly SubjectRequest[] = []): Promise<TestCertificates> {
  const dir = mkdtempSync(join(tmpdir(), 'openedge-certs-'))
  const remove = (): void => rmSync(dir, { recursive: true, force: true })
  const pair = (name: string): KeyPair => ({
    key: readFileSync(join(dir, `${name}.key`)),
    cert: readFileSync(join(dir, `${name}.pem`)),
  })
  try {
    const server = { commonName: 'localhost', alternativeNames: ['127.0.0.1', '::1'] }
    await makeCertificates({ dir, server, clients })
    return {
      dir,
      ca: readFileSync(join(dir, 'ca.pem')),
      server: pair('server'),
      client: pair,
      files: { ca: 'ca.pem', key: 'server.key', cert: 'server.pem' },
      remove,
    }
  } catch (failure) {
    remove()
    throw failure
  }
}
