import type { ListenAddress } from '../../config/index.ts'
import { HttpUpgradeStage } from './http-upgrade.ts'
import type { Deliver, Listener, ListenerOptions, Report, Stage } from './listener.ts'
import { ListenerGroup } from './listener-group.ts'
import { type JudgeOrigin, originProblem } from './origin.ts'
import { requireMaterial, SocketListener } from './socket-listener.ts'
import { TlsStage } from './tls.ts'
import { WebSocketUpgrade } from './websocket.ts'

export type { Listener, ListenerOptions, TlsMaterial } from './listener.ts'
export type { ListenerChange, ListenerGroup } from './listener-group.ts'
export { readTlsMaterial } from './tls-material.ts'

/**
 * Makes a listener; `start` opens it. Throws ERR_LISTEN_CERTIFICATE_MISSING when the scheme needs TLS and there is no
 * material for it.
 */
export function createListener(address: ListenAddress, options: ListenerOptions): Listener {
  switch (address.scheme) {
    case 'tcp':
    case 'unix':
      return new SocketListener(address, options, null)
    case 'tls': {
      const material = requireMaterial(address, options.tls)
      return new SocketListener(
        address,
        options,
        (deliver, report) => new TlsStage(material, report, socket => deliver(socket, socket)),
      )
    }
    case 'ws':
      return new SocketListener(address, options, (deliver, report) => webSocketStage(deliver, report, options))
    case 'wss': {
      const material = requireMaterial(address, options.tls)
      return new SocketListener(address, options, (deliver, report) => {
        const upgrade = webSocketStage(deliver, report, options)
        const tls = new TlsStage(material, report, socket => upgrade.open(socket))
        return {
          open: socket => tls.open(socket),
          close: () => upgrade.close?.(),
          setMaterial: other => tls.setMaterial(other),
        }
      })
    }
  }
}

/** Makes listeners that start as a whole or not at all. */
export function createListeners(addresses: readonly ListenAddress[], options: ListenerOptions): ListenerGroup {
  return new ListenerGroup(addresses, options, createListener)
}

function webSocketStage(deliver: Deliver, report: Report, options: ListenerOptions): Stage {
  const upgrade = new WebSocketUpgrade(deliver, options.maxFrameBytes)
  const { checkOrigin = () => false } = options
  const judge: JudgeOrigin = source => (checkOrigin() ? originProblem(source) : null)
  const http = new HttpUpgradeStage(report, judge, (request, socket, head) => upgrade.handle(request, socket, head))
  return { open: socket => http.open(socket), close: () => upgrade.close() }
}
