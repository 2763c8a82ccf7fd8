import { type Environment, type HubConfig, type Loaded, loadHubConfig } from '../../config/index.ts'
import { expectKind } from '../service/expect-kind.ts'
import type { ServiceKind } from '../service/kind.ts'

export const hubKind: ServiceKind = {
  name: 'hub',
  needsFile: false,
  locate(file, env) {
    const { control, storage } = loadHub(file, env).config
    return { socket: control.socket, storageDir: storage.dir }
  },
}

/** Throws a ConfigError for a file that can't be used, that of a bridge among them. */
export function loadHub(file: string, env: Environment): Loaded<HubConfig> {
  return expectKind('hub', file, () => loadHubConfig(file, { env }))
}
