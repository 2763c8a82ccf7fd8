import { realpathSync, statSync } from 'node:fs'
import { basename, dirname, isAbsolute, join, resolve } from 'node:path'
import { GatewayError } from '../../common/index.ts'
import type { Arguments, OptionSpec } from '../command.ts'
import type { ServiceKind } from './kind.ts'

export const DEFAULT_FILE = 'etc/openedge/service.yml'

/** What -c and -w say: which hub or bridge is meant. */
export const PLACE_OPTIONS: readonly OptionSpec[] = [
  {
    name: 'config',
    short: 'c',
    value: 'FILE',
    help: `the configuration, relative to the work directory\n(default: ${DEFAULT_FILE}, where it exists)`,
  },
  {
    name: 'workdir',
    short: 'w',
    value: 'DIR',
    help: 'what paths in the configuration are relative to\n(default: the current directory)',
  },
]

/** What a hub or bridge is started with, and found by. */
export interface ServicePlace {
  readonly kind: ServiceKind
  /** The work directory, absolute. */
  readonly baseDir: string
  /** The configuration as it was typed; null: there is none. */
  readonly file: string | null
}

/** Throws `ERR_USAGE_WORKDIR` when there is no such work directory. */
export function servicePlace(kind: ServiceKind, args: Arguments): ServicePlace {
  const workdir = args.value('workdir') ?? ''
  const baseDir = resolve(workdir)
  if (!statSync(baseDir, { throwIfNoEntry: false })?.isDirectory()) {
    throw new GatewayError('ERR_USAGE_WORKDIR', `the work directory ${baseDir} does not exist`)
  }
  const asked = args.value('config')
  const file = asked !== undefined && isAbsolute(asked) ? asked : join(workdir, asked ?? DEFAULT_FILE)
  const mayBeAbsent = asked === undefined && !kind.needsFile
  if (mayBeAbsent && statSync(file, { throwIfNoEntry: false }) === undefined) return { kind, baseDir, file: null }
  return { kind, baseDir, file }
}

/** By what it is found: the configuration, or else the work directory; the same however the path was typed. */
export function identityOf({ baseDir, file }: ServicePlace): string {
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
