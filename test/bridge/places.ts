import { join } from 'node:path'
import { fixedPort, TcpProxy } from '../support/proxy.ts'
import type { Fault, FaultKind } from './plan.ts'
import type { ProcessOptions } from './process.ts'
import { Bridge, type BridgeKind, Broker, type BrokerKind, type Rule } from './programs.ts'

export interface PlacesOptions {
  /** Where all processes work and log. */
  readonly dir: string
  /** What `openedge` is. */
  readonly program: string
  readonly bridge: BridgeKind
  readonly remote: BrokerKind
  /** How the bridge is ended. */
  readonly bridgeSignal: 'SIGKILL' | 'SIGTERM'
  /** Milliseconds that the way to the remote takes. */
  readonly delayMs: number
}

/** Both brokers, the bridge between them and the network on the way to the remote: all that can fail. */
export class Places {
  readonly hub: Broker
  readonly remote: Broker
  readonly bridge: Bridge
  readonly #network: TcpProxy
  readonly #bridgeSignal: 'SIGKILL' | 'SIGTERM'

  private constructor(hub: Broker, remote: Broker, bridge: Bridge, network: TcpProxy, signal: 'SIGKILL' | 'SIGTERM') {
    this.hub = hub
    this.remote = remote
    this.bridge = bridge
    this.#network = network
    this.#bridgeSignal = signal
  }

  /** Nothing runs yet. Who calls closes it. `onEnded`: a process ended that nobody had ended. */
  static async make(options: PlacesOptions, rules: readonly Rule[], onEnded: (how: string) => void): Promise<Places> {
    const { dir, program, delayMs } = options
    const place = (name: string): ProcessOptions & { program: string } => {
      return { name, program, dir: join(dir, name), onEnded }
    }
    const hubPort = await fixedPort()
    const hub = new Broker({ ...place('hub'), kind: 'hub', port: hubPort })
    const remote = new Broker({ ...place('remote'), kind: options.remote, port: await fixedPort() })
    const network = await TcpProxy.listen({ target: () => remote.port, port: await fixedPort(), delayMs })
    const ports = { hubPort, remotePort: network.port, ownPort: await fixedPort() }
    const bridge = new Bridge({ ...place('bridge'), ...ports, kind: options.bridge, rules })
    return new Places(hub, remote, bridge, network, options.bridgeSignal)
  }

  async begin(kind: FaultKind): Promise<void> {
    if (kind === 'hub killed') await this.hub.end('SIGKILL')
    // Mosquitto forgets what it has acknowledged when it is killed.
    else if (kind === 'remote killed') await this.remote.end(this.remote.kind === 'hub' ? 'SIGKILL' : 'SIGTERM')
    else if (kind === 'bridge killed') await this.bridge.end(this.#bridgeSignal)
    else await this.#network.setMode(kind === 'network cut' ? 'cut' : 'half-open')
  }

  async finish({ kind, isReset }: Pick<Fault, 'kind' | 'isReset'>): Promise<void> {
    if (kind === 'hub killed') await this.hub.start()
    else if (kind === 'remote killed') await this.remote.start()
    else if (kind === 'bridge killed') this.bridge.start()
    else {
      if (isReset) this.#network.resetAll()
      await this.#network.setMode('pass')
    }
  }

  async close(): Promise<void> {
    await Promise.all([this.bridge.close(), this.hub.close(), this.remote.close(), this.#network.close()])
  }
}
