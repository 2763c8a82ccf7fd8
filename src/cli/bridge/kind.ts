import { type BridgeConfig, type Environment, type Loaded, loadBridgeConfig } from '../../config/index.ts'
import { expectKind } from '../service/expect-kind.ts'
import type { ServiceKind } from '../service/kind.ts'

export const bridgeKind: ServiceKind = {
  name: 'bridge',
  needsFile: true,
  locate(file, env) {
    return { socket: loadBridge(file, env).config.control.socket, storageDir: '' }
  },
}

/** Throws a ConfigError for a file that can't be used, that of a hub among them. */
export function loadBridge(file: string, env: Environment): Loaded<BridgeConfig> {
  return expectKind('bridge', file, () => loadBridgeConfig(file, { env }))
}
