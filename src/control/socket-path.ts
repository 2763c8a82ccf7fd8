import { createHash } from 'node:crypto'
import { join, resolve } from 'node:path'
import { GatewayError } from '../common/index.ts'

/** Bytes of a unix socket's path that the kernel has room for, less the null character behind it. */
const MAX_UNIX_PATH = process.platform === 'linux' ? 107 : 103

/** Who is asked by a control socket. */
export type Kind = 'hub' | 'bridge'

/** What the place of a control socket follows from. */
export interface ControlPlace {
  readonly kind: Kind
  /** `control.socket` of the configuration: `auto`, `none` or a path. */
  readonly setting: string
  /** What a path is relative to: the work directory, absolute. */
  readonly baseDir: string
  /** The configuration file, or the work directory when there is none: absolute, without symbolic links. */
  readonly identity: string
  /** The folder for temporary files. */
  readonly tempDir: string
  /** Who it runs as; null where users have no numbers and there is no control socket, as on Windows. */
  readonly userId: number | null
}

/**
 * Where a hub or a bridge is reached by commands: the same for it and for a command with the same configuration. Null:
 * nowhere. Throws `ERR_LISTEN_BAD_ADDRESS` for a path that is too long for a unix socket.
 */
export function controlSocketPath(place: ControlPlace): string | null {
  const { kind, setting, baseDir, identity, tempDir, userId } = place
  if (setting === 'none' || userId === null) return null
  const path =
    setting === 'auto' ? join(tempDir, `openedge-${userId}`, autoName(kind, identity)) : resolve(baseDir, setting)
  const bytes = Buffer.byteLength(path)
  if (bytes <= MAX_UNIX_PATH && !path.includes('\0')) return path
  const advice = setting === 'auto' ? 'set control.socket, or TMPDIR, to a shorter one' : 'choose a shorter one'
  const problem = path.includes('\0') ? 'has a null character' : `has ${bytes} bytes, ${MAX_UNIX_PATH} is the most`
  throw new GatewayError('ERR_LISTEN_BAD_ADDRESS', `the path of the control socket, ${path}, ${problem}: ${advice}`)
}

function autoName(kind: Kind, identity: string): string {
  return `${kind}-${createHash('sha256').update(identity).digest('hex').slice(0, 16)}.sock`
}
