import { realpathSync, statSync } from 'node:fs'
import { basename, dirname, isAbsolute, join, resolve } from 'node:path'
import { GatewayError } from '../../common/index.ts'
import type { Arguments, OptionSpec } from '../command.ts'

export const DEFAULT_FILE = 'etc/openedge/service.yml'

/** What -c and -w say: which hub is meant. */
export const PLACE_OPTIONS: readonly OptionSpec[] = [
  {
    name: 'config',
    short: 'c',
    value: 'FILE',
    help: `the configuration, relative to the work directory\n(default: ${DEFAULT_FILE}, when it exists)`,
  },
  {
    name: 'workdir',
    short: 'w',
    value: 'DIR',
    help: 'what paths in the configuration are relative to\n(default: the current directory)',
  },
]

export interface HubPlace {
  /** The work directory, absolute. */
  readonly baseDir: string
  /** The configuration as it was typed; null: there is none. */
  readonly file: string | null
}

/** Throws `ERR_USAGE_WORKDIR` when there is no such work directory. */
export function hubPlace(args: Arguments): HubPlace {
  const workdir = args.value('workdir') ?? ''
  const baseDir = resolve(workdir)
  if (!statSync(baseDir, { throwIfNoEntry: false })?.isDirectory()) {
    throw new GatewayError('ERR_USAGE_WORKDIR', `the work directory ${baseDir} does not exist`)
  }
  const asked = args.value('config')
  const file = asked !== undefined && isAbsolute(asked) ? asked : join(workdir, asked ?? DEFAULT_FILE)
  if (asked === undefined && statSync(file, { throwIfNoEntry: false }) === undefined) return { baseDir, file: null }
  return { baseDir, file }
}

/** By what a hub is found: its configuration, or else its work directory; the same however the path was typed. */
export function identityOf({ baseDir, file }: HubPlace): string {
  return realPath(file === null ? baseDir : resolve(file))
}

/** Without symbolic links, even when the file itself is gone. */
export function realPath(path: string): string {
  try {
    return realpathSync(path)
  } catch {
    return dirname(path) === path ? path : join(realPath(dirname(path)), basename(path))
  }
}
