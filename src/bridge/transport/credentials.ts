import { resolve } from 'node:path'
import type { ClientConfig } from '../../config/index.ts'
import { readStart, unusable } from './files.ts'

/** What the length in front of a password can say [MQTT-3.1.3]. */
const MAX_PASSWORD_BYTES = 65_535
const BYTE_ORDER_MARK = Buffer.from([0xef, 0xbb, 0xbf])

/**
 * What CONNECT is to carry; empty for none. A password file is read at each call, so that tokens can be renewed there:
 * its first line, without its end. Paths are relative to `baseDir`.
 *
 * @throws GatewayError `ERR_BRIDGE_CREDENTIALS_FILE` that names the file, which is unreadable or has no password
 */
export async function readCredentials(
  { username, password, passwordFile }: Pick<ClientConfig, 'username' | 'password' | 'passwordFile'>,
  baseDir: string,
): Promise<{ username: string; password: string }> {
  return { username, password: passwordFile === '' ? password : readPasswordFile(resolve(baseDir, passwordFile)) }
}

function readPasswordFile(path: string): string {
  const all = readStart('passwordfile', path, MAX_PASSWORD_BYTES + BYTE_ORDER_MARK.length + '\r\n'.length)
  const bytes = all.subarray(0, 3).equals(BYTE_ORDER_MARK) ? all.subarray(3) : all
  const newline = bytes.indexOf('\n')
  const line = newline < 0 ? bytes : bytes.subarray(0, newline)
  const password = line.at(-1) === 0x0d ? line.subarray(0, -1) : line
  if (password.length === 0) throw unusable(`passwordfile ${path} has no password in its first line`)
  if (password.length > MAX_PASSWORD_BYTES) {
    throw unusable(`passwordfile ${path} has a first line of more than ${MAX_PASSWORD_BYTES} bytes`)
  }
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(password)
  } catch (cause) {
    throw unusable(`passwordfile ${path} has a first line that is not UTF-8`, cause)
  }
}
