import { ConfigError, fileKindOf, type Loaded } from '../../config/index.ts'
import type { Kind } from '../../control/index.ts'

/**
 * Loads a file unless it is the configuration of something else, which a ConfigError says then. A file that is read without
 * a warning is what it is taken for, and not looked at twice.
 */
export function expectKind<Config>(kind: Kind, file: string, load: () => Loaded<Config>): Loaded<Config> {
  let loaded: Loaded<Config>
  try {
    loaded = load()
  } catch (thrown) {
    if (thrown instanceof ConfigError) refuseOther(kind, file)
    throw thrown
  }
  if (loaded.warnings.length > 0) refuseOther(kind, file)
  return loaded
}

function refuseOther(kind: Kind, file: string): void {
  const other = fileKindOf(file)
  if (other === null || other === kind) return
  const message = `is the configuration of a ${other}, not of a ${kind}: openedge ${other} -c ${file}`
  throw new ConfigError([{ file, line: 0, column: 0, path: '', message }])
}
