import { connect, isIP, type LookupFunction, type Socket } from 'node:net'
import type { ClientConfig } from '../../config/index.ts'
import type { Attempt } from './attempt.ts'

/** What one address of several gets before the next is tried. The 250 ms of Node.js are too short for mobile networks. */
const LEAST_PER_ADDRESS_MS = 250
const MOST_PER_ADDRESS_MS = 3000
/**
 * Idle time before the system asks whether the peer is there; it gives up after ten seconds without an answer. So this
 * is for connections without a keep alive of MQTT, which is more patient.
 */
const LEAST_IDLE_MS = 60_000

/** A connection over TCP. Names are looked up anew each time, and all their addresses are tried, of IPv6 and IPv4. */
export async function openTcp(
  attempt: Attempt,
  { host, port }: { host: string; port: number },
  { timeoutMs, keepaliveMs }: Pick<ClientConfig, 'timeoutMs' | 'keepaliveMs'>,
): Promise<Socket> {
  attempt.enter(isIP(host) === 0 ? 'lookup' : 'tcp')
  const socket = attempt.own(
    connect({
      host,
      port,
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: Math.max(LEAST_IDLE_MS, 2 * keepaliveMs),
      autoSelectFamilyAttemptTimeout: Math.round(
        Math.min(MOST_PER_ADDRESS_MS, Math.max(LEAST_PER_ADDRESS_MS, timeoutMs / 10)),
      ),
      ...(host === 'localhost' ? { lookup: lookUpLoopback } : {}),
    }),
  )
  socket.once('lookup', failure => {
    if (!failure) attempt.enter('tcp')
  })
  await attempt.ready(socket, 'connect')
  return socket
}

/** Few look-ups run at a time: behind those of names whose server is silent, that of this machine would have to wait. */
const lookUpLoopback: LookupFunction = (_host, { all }, callback) => {
  const addresses = [
    { address: '127.0.0.1', family: 4 },
    { address: '::1', family: 6 },
  ]
  process.nextTick(() => {
    if (all) callback(null, addresses)
    else callback(null, '127.0.0.1', 4)
  })
}
