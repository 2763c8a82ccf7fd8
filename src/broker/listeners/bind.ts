import { once } from 'node:events'
import { chmodSync, lstatSync, statSync, unlinkSync } from 'node:fs'
import { type AddressInfo, connect, isIPv6, type ListenOptions, type Server } from 'node:net'
import { dirname } from 'node:path'
import { systemCodeOf } from '../../common/index.ts'
import type { ListenAddress } from '../../config/index.ts'
import { addressInUse, badAddress, bindError } from './bind-error.ts'

/** How many connections the kernel keeps for us between two turns of the event loop. */
const BACKLOG = 1024
/** Bytes of a unix socket's path that the kernel has room for, less the null character behind it. */
const MAX_UNIX_PATH = process.platform === 'linux' ? 107 : 103
/** The owner and its group may connect. */
const UNIX_MODE = 0o660

/**
 * Binds a server to an address and returns the address as bound. On failure the server is closed and the GatewayError
 * says what to do.
 */
export async function bind(server: Server, address: ListenAddress): Promise<string> {
  try {
    if (address.scheme === 'unix') return await bindPath(server, address)
    const host = plainHost(address.host)
    await listen(server, { port: address.port, backlog: BACKLOG, ...(host === '' ? {} : { host }) })
    return boundUrl(address, server.address() as AddressInfo)
  } catch (cause) {
    if (server.listening) server.close()
    throw bindError(address, cause)
  }
}

async function bindPath(server: Server, address: ListenAddress): Promise<string> {
  const { path } = address
  if (path === '' || path.includes('\0')) throw badAddress(address, 'a unix socket needs the path of a file')
  if (Buffer.byteLength(path) > MAX_UNIX_PATH) {
    throw badAddress(address, `the path of a unix socket has ${MAX_UNIX_PATH} bytes at most: choose a shorter one`)
  }
  // Binding itself would call this a lack of permission.
  if (statSync(dirname(path), { throwIfNoEntry: false })?.isDirectory() !== true) {
    throw badAddress(address, `the folder ${dirname(path)} does not exist: make it first`)
  }
  try {
    await listen(server, { path, backlog: BACKLOG })
  } catch (cause) {
    if (systemCodeOf(cause) !== 'EADDRINUSE') throw cause
    await removeStaleSocket(address)
    await listen(server, { path, backlog: BACKLOG })
  }
  chmodSync(path, UNIX_MODE)
  return address.url
}

/** Removes the file that a process left behind which did not end in good order. Throws when it is anything else. */
async function removeStaleSocket(address: ListenAddress): Promise<void> {
  const found = lstatSync(address.path, { throwIfNoEntry: false })
  if (found === undefined) return
  if (!found.isSocket()) throw badAddress(address, 'there is a file of that name that is not a socket: move it away')
  if (await isAnswered(address.path)) throw addressInUse(address)
  unlinkSync(address.path)
}

/** False only when the kernel says that nobody listens: a listener that is merely busy keeps its socket. */
async function isAnswered(path: string): Promise<boolean> {
  const socket = connect({ path })
  try {
    await once(socket, 'connect')
    return true
  } catch (failure) {
    const code = systemCodeOf(failure)
    return code !== 'ECONNREFUSED' && code !== 'ENOENT'
  } finally {
    socket.destroy()
  }
}

function listen(server: Server, options: ListenOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    const onListening = (): void => {
      server.off('error', onError)
      resolve()
    }
    const onError = (failure: Error): void => {
      server.off('listening', onListening)
      reject(failure)
    }
    server.once('listening', onListening)
    server.once('error', onError)
    try {
      server.listen(options)
    } catch (failure) {
      server.off('error', onError)
      onError(failure as Error)
    }
  })
}

function boundUrl(address: ListenAddress, bound: AddressInfo): string {
  const host = address.host === '' ? bound.address : plainHost(address.host)
  const path = address.path === '/' ? '' : address.path
  return `${address.scheme}://${isIPv6(host) ? `[${host}]` : host}:${bound.port}${path}`
}

/** The host without the brackets that a URL puts around an IPv6 address. */
function plainHost(host: string): string {
  return host.startsWith('[') && host.endsWith(']') ? host.slice(1, -1) : host
}
