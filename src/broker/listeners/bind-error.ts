import { type ErrorCode, GatewayError, messageOf, systemCodeOf } from '../../common/index.ts'
import type { ListenAddress } from '../../config/index.ts'

type Explanation = readonly [code: ErrorCode, explanation: string]

const IN_USE: Explanation = [
  'ERR_LISTEN_ADDRESS_IN_USE',
  'something listens there already: stop it or choose another address',
]
const NO_SUCH_HOST: Explanation = [
  'ERR_LISTEN_BAD_ADDRESS',
  'the host name is not known: give an IP address of this machine or leave the host out for all of them',
]
const EXPLANATIONS = new Map<string, Explanation>([
  ['EADDRINUSE', IN_USE],
  ['EADDRNOTAVAIL', ['ERR_LISTEN_BAD_ADDRESS', 'no network interface of this machine has that address']],
  ['EAFNOSUPPORT', ['ERR_LISTEN_BAD_ADDRESS', 'this machine does not have that kind of address (IPv6 may be off)']],
  ['ENOTFOUND', NO_SUCH_HOST],
  ['EAI_AGAIN', NO_SUCH_HOST],
  ['ERR_SOCKET_BAD_PORT', ['ERR_LISTEN_BAD_ADDRESS', 'a port is a number from 0 to 65535']],
  ['EMFILE', ['ERR_LISTEN_FAILED', 'too many files are open: raise the limit (ulimit -n)']],
])
const UNIX_EXPLANATIONS = new Map<string, Explanation>([
  ['EACCES', ['ERR_LISTEN_PERMISSION', 'the folder must be writable for the user of this program']],
  ['EROFS', ['ERR_LISTEN_PERMISSION', 'the file system is read-only']],
])
const PORT_EXPLANATIONS = new Map<string, Explanation>([
  [
    'EACCES',
    ['ERR_LISTEN_PERMISSION', 'ports below 1024 need CAP_NET_BIND_SERVICE (or root): choose a higher port or grant it'],
  ],
])

/** What to tell the user when an address can't be bound. */
export function bindError(address: ListenAddress, cause: unknown): GatewayError {
  if (cause instanceof GatewayError) return cause
  const systemCode = systemCodeOf(cause) ?? ''
  const special = address.scheme === 'unix' ? UNIX_EXPLANATIONS : PORT_EXPLANATIONS
  const explanation = special.get(systemCode) ?? EXPLANATIONS.get(systemCode)
  const [code, text] = explanation ?? (['ERR_LISTEN_FAILED', messageOf(cause)] as const)
  return new GatewayError(code, `can't listen on ${address.url}: ${text}`, { cause })
}

export function badAddress(address: ListenAddress, problem: string): GatewayError {
  return new GatewayError('ERR_LISTEN_BAD_ADDRESS', `can't listen on ${address.url}: ${problem}`)
}

export function addressInUse(address: ListenAddress): GatewayError {
  const [code, text] = IN_USE
  return new GatewayError(code, `can't listen on ${address.url}: ${text}`)
}
