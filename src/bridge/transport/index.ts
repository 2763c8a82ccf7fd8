import type { Duplex } from 'node:stream'
import { type ClientConfig, parseClientUrl } from '../../config/index.ts'
import { Attempt } from './attempt.ts'
import { openTcp } from './tcp.ts'
import { openTls } from './tls.ts'
import { readSecureContext } from './tls-files.ts'
import { openWebSocket } from './websocket.ts'

export { readCredentials } from './credentials.ts'
export { OpenFailed, OpenTimeout, type Stage, UpgradeRefused, WebSocketClosed } from './problems.ts'
export { certificateEnded } from './tls-files.ts'

/** The longest packet of MQTT and some; who reads the bytes is stricter. */
const MAX_FRAME_BYTES = 257 * 1024 * 1024

export interface OpenOptions {
  readonly baseDir: string
  readonly signal: AbortSignal
  /** Longest WebSocket message that is taken. Default: what the longest packet of MQTT needs. */
  readonly maxFrameBytes?: number
}

/**
 * Connects to a broker, up to the point where MQTT begins: over TCP, TLS, WebSocket or WebSocket over TLS, as the scheme
 * of the address says. Files are read anew each time, their paths are relative to `baseDir`. All of it has `timeoutMs`.
 * TCP gives the plain `net.Socket`. The stream has a listener for errors already: one that comes before the caller has
 * its own is in `errored`.
 *
 * @throws OpenFailed (which has the stage and what Node.js said), OpenTimeout, UpgradeRefused, GatewayError
 * `ERR_BRIDGE_CREDENTIALS_FILE`, or the reason of the signal; no socket is left open
 */
export async function openTransport(
  config: ClientConfig,
  { baseDir, signal, maxFrameBytes = MAX_FRAME_BYTES }: OpenOptions,
): Promise<Duplex> {
  const { scheme, host, port, url } = parseClientUrl(config.address)
  const attempt = new Attempt(config.timeoutMs, signal)
  return attempt.run(async () => {
    const isSecure = scheme === 'tls' || scheme === 'wss'
    const secureContext = isSecure ? readSecureContext(config, baseDir) : undefined
    const socket = await openTcp(attempt, { host, port }, config)
    const stream = secureContext === undefined ? socket : await openTls(attempt, socket, host, config, secureContext)
    if (scheme === 'tcp' || scheme === 'tls') return stream
    return openWebSocket(attempt, stream, url, maxFrameBytes)
  })
}
