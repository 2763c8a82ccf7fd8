import { type BridgeConfig, checkBridgeFiles, type Environment, type Loaded } from '../../config/index.ts'
import type { ServicePlace } from '../service/place.ts'
import { loadBridge } from './kind.ts'

/**
 * What the bridge is to be like. Throws a ConfigError when the configuration can't be used. What is wrong with a file that
 * it names is a warning: files are read when they are needed, and other rules may need others.
 */
export function readConfiguration({ file, baseDir }: ServicePlace, env: Environment): Loaded<BridgeConfig> {
  if (file === null) throw new Error('a bridge is never without a file')
  const { config, warnings } = loadBridge(file, env)
  const files = checkBridgeFiles(config, baseDir)
  return { config, warnings: [...warnings, ...files.errors, ...files.warnings] }
}
