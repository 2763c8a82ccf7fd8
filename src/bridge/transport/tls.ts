import { isIP, type Socket } from 'node:net'
import { checkServerIdentity, connect, type SecureContext, type TLSSocket } from 'node:tls'
import type { ClientConfig } from '../../config/index.ts'
import type { Attempt } from './attempt.ts'

/**
 * TLS over a connection that stands. The name that is asked for and verified is `servername`, else the host; an IP
 * address is verified but not asked for (RFC 6066, 3).
 */
export async function openTls(
  attempt: Attempt,
  socket: Socket,
  host: string,
  config: Pick<ClientConfig, 'servername' | 'alpn' | 'insecure'>,
  secureContext: SecureContext,
): Promise<TLSSocket> {
  attempt.enter('tls')
  const name = (config.servername === '' ? host : config.servername).replace(/\.$/, '')
  const stream = attempt.own(
    connect({
      socket,
      secureContext,
      servername: isIP(name) === 0 ? name : '',
      rejectUnauthorized: !config.insecure,
      checkServerIdentity: (_, certificate) => checkServerIdentity(name, certificate),
      ...(config.alpn.length > 0 ? { ALPNProtocols: config.alpn } : {}),
    }),
  )
  await attempt.ready(stream, 'secureConnect')
  return stream
}
