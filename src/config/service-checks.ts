import type { Collect } from './findings.ts'
import { isLoopback, type ListenAddress, MAX_SOCKET_PATH, readHttpUrl } from './listen-url.ts'

// Keys that every service has.

/** Hosts that stand for every address of the machine. */
const EVERY_HOST: ReadonlySet<string> = new Set(['', '0.0.0.0', '::'])

/** `metrics.listen`, beside the addresses of `listen` by their position there. */
export function checkMetricsListen(
  url: string,
  addresses: ReadonlyMap<number, ListenAddress>,
  wrong: Collect,
  warn: Collect,
): void {
  if (url === '') return
  const path = ['metrics', 'listen']
  const own = readHttpUrl(url)
  if (typeof own === 'string') {
    wrong({ path, message: own })
    return
  }
  for (const [i, { scheme, host, port }] of addresses) {
    if (scheme === 'unix' || port === 0 || port !== own.port) continue
    const isSame = host.toLowerCase() === own.host.toLowerCase() || EVERY_HOST.has(host) || EVERY_HOST.has(own.host)
    if (isSame) wrong({ path, message: `is the same address as listen[${i}]` })
  }
  if (isLoopback(own.host)) return
  const message = 'is open to the network, and nobody is asked for a password'
  warn({ path, message, suggestion: 'write 127.0.0.1, or let a firewall keep others away' })
}

/** `control.socket`, beside the addresses of `listen` by their position there. */
export function checkControlSocket(
  socket: string,
  addresses: ReadonlyMap<number, ListenAddress>,
  wrong: Collect,
): void {
  if (socket === 'auto' || socket === 'none') return
  const path = ['control', 'socket']
  if (socket.endsWith('/')) wrong({ path, message: 'is a folder; name the socket in it' })
  else if (/\p{Cc}/u.test(socket)) wrong({ path, message: 'has a control character in it' })
  else if (Buffer.byteLength(socket) > MAX_SOCKET_PATH) {
    wrong({ path, message: `has ${Buffer.byteLength(socket)} bytes; a unix socket takes ${MAX_SOCKET_PATH}` })
  }
  for (const [i, address] of addresses) {
    if (address.scheme === 'unix' && address.path === socket) {
      wrong({ path, message: `is the same socket as listen[${i}]` })
    }
  }
}
