import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Hub, startHub } from '../../src/broker/index.ts'
import { parseHubConfig } from '../../src/config/index.ts'
import { makeTestCertificates } from './certs.ts'
import type { Cleanup, Transport } from './raw-client.ts'

export type Identity = 'username' | 'cn' | 'san'

/** The client certificate that tests show, and the principal without password that it stands for. */
const CERTIFICATE = {
  commonName: 'line-1',
  alternativeNames: ['unit7.example', 'urn:device:7'],
} as const

/** The name of the principal for each way to tell it. */
export const PRINCIPAL: Readonly<Record<Identity, string>> = {
  username: 'by-name',
  cn: CERTIFICATE.commonName,
  san: CERTIFICATE.alternativeNames[1],
}

export const ACCOUNT = { username: 'device', password: 'correct horse' } as const

export interface ClientHub {
  readonly hub: Hub
  port(transport: Transport): number
  /** `mqtt:`, `mqtts:`, `ws:` or `wss:`, as clients write it. */
  url(transport: Transport): string
  /** Paths of PEM files. */
  readonly files: { readonly ca: string; readonly cert: string; readonly key: string }
  /** PEM texts. */
  readonly pem: { readonly ca: Buffer; readonly cert: Buffer; readonly key: Buffer }
  close(): Promise<void>
}

const SCHEMES: Readonly<Record<Transport, string>> = { tcp: 'mqtt', tls: 'mqtts', ws: 'ws', wss: 'wss' }
const TRANSPORTS: readonly Transport[] = ['tcp', 'tls', 'ws', 'wss']

/**
 * A hub on all four transports with one principal for each way to be known, all of them permitted
 * `t/#` only. Client certificates are verified when clients show one.
 */
export async function startClientHub(
  identity: Identity = 'username',
  more: readonly string[] = [],
): Promise<ClientHub> {
  const certificates = await makeTestCertificates([CERTIFICATE])
  const directory = mkdtempSync(join(tmpdir(), 'openedge-clients-'))
  const remove = (): void => {
    certificates.remove()
    rmSync(directory, { recursive: true, force: true })
  }
  const inDir = (name: string): string => join(certificates.dir, name)
  const permissions = `permissions: [{ action: pub, permit: ['t/#'] }, { action: sub, permit: ['t/#'] }]`
  const yaml = [
    'listen:',
    ...TRANSPORTS.map(transport => `  - ${transport}://127.0.0.1:0`),
    `certificate: { ca: ${inDir('ca.pem')}, key: ${inDir('server.key')}, cert: ${inDir('server.pem')}, identity: ${identity} }`,
    'principals:',
    `  - { username: ${ACCOUNT.username}, password: ${ACCOUNT.password}, ${permissions} }`,
    ...Object.values(PRINCIPAL).map(username => `  - { username: '${username}', ${permissions} }`),
    `storage: { dir: ${join(directory, 'data')} }`,
    ...more,
  ].join('\n')
  try {
    const { config } = parseHubConfig(yaml, { file: 'service.yml', env: {} })
    const { hub, urls, close } = await startHub({ config })
    const port = (transport: Transport): number => Number(new URL(urls[TRANSPORTS.indexOf(transport)] as string).port)
    const files = {
      ca: inDir('ca.pem'),
      cert: inDir(`${CERTIFICATE.commonName}.pem`),
      key: inDir(`${CERTIFICATE.commonName}.key`),
    }
    return {
      hub,
      port,
      url: transport => `${SCHEMES[transport]}://127.0.0.1:${port(transport)}`,
      files,
      pem: { ca: readFileSync(files.ca), cert: readFileSync(files.cert), key: readFileSync(files.key) },
      async close() {
        await close()
        remove()
      },
    }
  } catch (failure) {
    remove()
    throw failure
  }
}

/** As startClientHub, closed when the test is over. */
export async function useClientHub(t: Cleanup, identity?: Identity, more?: readonly string[]): Promise<ClientHub> {
  const hub = await startClientHub(identity, more)
  t.after(() => hub.close())
  return hub
}
