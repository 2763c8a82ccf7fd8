import { readClientUrl } from './client-url.ts'
import { FileCheck } from './file-check.ts'
import type { Problem } from './problem.ts'
import type { BridgeConfig } from './schema/bridge.ts'
import type { ClientConfig } from './schema/client.ts'
import type { HubConfig } from './schema/hub.ts'

export interface FileProblems {
  /** With these the service does not start. */
  readonly errors: readonly Problem[]
  /** Certificates that have ended or soon will, keys and passwords that anyone may read. */
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
  check.certificatesAndKey('certificate', config.certificate)
  return { errors: check.errors, warnings: check.warnings }
}

/**
 * As `checkFiles`, for a bridge: certificates and keys of the connections that have TLS, and password files.
 *
 * @param baseDir what relative paths start from: the working directory of the bridge
 * @param now milliseconds since 1970
 */
export function checkBridgeFiles(
  config: Pick<BridgeConfig, 'hub' | 'remotes'>,
  baseDir: string,
  now = Date.now(),
): FileProblems {
  const check = new FileCheck(baseDir, now)
  checkClientFiles(check, 'hub', config.hub)
  for (const [i, remote] of config.remotes.entries()) checkClientFiles(check, `remotes[${i}]`, remote)
  return { errors: check.errors, warnings: check.warnings }
}

function checkClientFiles(check: FileCheck, path: string, client: ClientConfig): void {
  const address = readClientUrl(client.address)
  const isEncrypted = typeof address !== 'string' && (address.scheme === 'tls' || address.scheme === 'wss')
  // Without TLS they have no effect, as the loader warns.
  if (isEncrypted) check.certificatesAndKey(path, client)
  if (client.passwordFile !== '') check.password(`${path}.passwordfile`, client.passwordFile)
}
