import { isAbsolute, join } from 'node:path'
import type { Environment, HubConfig, Problem } from '../../config/index.ts'
import { ConfigError, checkFiles, defaultHubConfig } from '../../config/index.ts'
import type { StoreNote } from '../banner.ts'
import type { Arguments } from '../command.ts'
import type { ServicePlace } from '../service/place.ts'
import { loadHub } from './kind.ts'

const EVERYTHING = ['#']
/** A leading wildcard does not cover what the hub tells of itself. */
const SYSTEM = '$SYS/#'
/** What bridges may tell of themselves. */
const BRIDGE_STATES = '$SYS/bridge/#'

/** A configuration as read, and what becomes of storing. */
export interface HubRead {
  readonly config: HubConfig
  readonly warnings: readonly Problem[]
  readonly store: StoreNote
}

/** What the hub is to be like. Throws a ConfigError when the configuration, or what it names, can't be used. */
export function readConfiguration({ file, baseDir }: ServicePlace, args: Arguments, env: Environment): HubRead {
  if (file === null) return { ...decideStore(openConfig(), args, args.has('workdir')), warnings: [] }
  const { config, warnings } = loadHub(file, env)
  const files = checkFiles(config, baseDir)
  const all = [...warnings, ...files.warnings]
  if (files.errors.length > 0) throw new ConfigError(files.errors, all)
  return { ...decideStore(config, args, true), warnings: all }
}

/** Whether and where the hub stores. An empty `storage.dir` tells it to keep all in memory. */
function decideStore(config: HubConfig, args: Arguments, hasPlace: boolean): Pick<HubRead, 'config' | 'store'> {
  const { storage } = config
  if (args.has('memory') || !hasPlace) {
    const because = args.has('memory') ? 'flag' : 'nowhere'
    return { config: { ...config, storage: { ...storage, dir: '' } }, store: { because } }
  }
  if (storage.dir === '') return { config, store: { because: 'config' } }
  const dir = isAbsolute(storage.dir) ? storage.dir : join(args.value('workdir') ?? '', storage.dir)
  return { config, store: { dir, sync: storage.sync, intervalMs: storage.intervalMs } }
}

/** Loopback only, where everybody may do everything. */
function openConfig(): HubConfig {
  return {
    ...defaultHubConfig(),
    listen: ['tcp://127.0.0.1:1883', 'ws://127.0.0.1:8083'],
    anonymous: {
      permissions: [
        { action: 'pub', permit: [...EVERYTHING, BRIDGE_STATES] },
        { action: 'sub', permit: [...EVERYTHING, SYSTEM] },
      ],
    },
  }
}
