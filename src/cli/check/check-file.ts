import { Authenticator } from '../../auth/index.ts'
import { GatewayError } from '../../common/index.ts'
import {
  type BridgeConfig,
  ConfigError,
  checkBridgeConfig,
  checkBridgeFiles,
  checkFiles,
  checkHubConfig,
  type FileKindName,
  type FileProblems,
  fileKindOf,
  type HubConfig,
  type Problem,
} from '../../config/index.ts'
import type { Shell } from '../command.ts'
import { reportErrors } from '../report.ts'

/** A configuration that can be used. */
export type Usable = { readonly file: string /** What messages call it. */; readonly name: string } & (
  | { readonly kind: 'hub'; readonly config: HubConfig }
  | { readonly kind: 'bridge'; readonly config: BridgeConfig }
)

/** Where certificates, keys and password files are looked for. */
export interface Base {
  readonly dir: string
  /** Whether they have to be there: what is wrong with them is an error then, and not only a warning. */
  readonly isKnown: boolean
}

/** Checks a file and prints what is wrong with it; null when it can't be used. `kind`: null: as its keys tell, or a hub. */
export function checkFile(file: string, kind: FileKindName | null, base: Base, shell: Shell): Usable | null {
  const { env } = shell
  const own = { file, name: file }
  try {
    if ((kind ?? fileKindOf(file) ?? 'hub') === 'hub') {
      const { config, warnings } = checkHubConfig(file, { env })
      return checkMore({ kind: 'hub', config, ...own }, warnings, base, shell)
    }
    const { config, warnings } = checkBridgeConfig(file, { env })
    return checkMore({ kind: 'bridge', config, ...own }, warnings, base, shell)
  } catch (thrown) {
    if (!(thrown instanceof ConfigError)) throw thrown
    reportErrors(thrown, shell)
    return null
  }
}

/**
 * Checks what is beyond the file itself and prints what comes of it; null when that keeps it from being used. `base`: null:
 * not known.
 */
export function checkMore<Kind extends Usable>(
  usable: Kind,
  warnings: readonly Problem[],
  base: Base | null,
  shell: Shell,
): Kind | null {
  const files = base === null ? NO_PROBLEMS : fileProblems(usable, base.dir)
  const isKnown = base?.isKnown === true
  const problems = [...(usable.kind === 'hub' ? accountProblems(usable) : []), ...(isKnown ? files.errors : [])]
  reportErrors({ problems, warnings: [...warnings, ...files.warnings, ...(isKnown ? [] : files.errors)] }, shell)
  if (problems.length > 0) return null
  shell.out(`${usable.file}: ok`)
  return usable
}

const NO_PROBLEMS: FileProblems = { errors: [], warnings: [] }

function fileProblems({ kind, config }: Usable, baseDir: string): FileProblems {
  return kind === 'hub' ? checkFiles(config, baseDir) : checkBridgeFiles(config, baseDir)
}

/** What only those who read passwords can tell: a hash that is none. */
function accountProblems({ file, config }: { readonly file: string; readonly config: HubConfig }): Problem[] {
  try {
    Authenticator.create(config)
    return []
  } catch (thrown) {
    if (!(thrown instanceof GatewayError)) throw thrown
    return [{ file, line: 0, column: 0, path: 'principals', message: thrown.message }]
  }
}
