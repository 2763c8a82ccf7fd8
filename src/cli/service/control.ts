import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { GatewayError, type Logger, type Service } from '../../common/index.ts'
import { type ControlOptions, controlSocketPath } from '../../control/index.ts'
import { identityOf, realPath, type ServicePlace } from './place.ts'

/**
 * Where the control socket is, for what a user runs and for the commands that look for it; null: nowhere. Throws as
 * controlSocketPath does.
 */
export function controlSocketOf(
  setting: string,
  place: ServicePlace,
  userId: number | null = process.getuid?.() ?? null,
): string | null {
  const baseDir = realPath(place.baseDir)
  const identity = identityOf(place)
  const path = controlSocketPath({ kind: place.kind.name, setting, identity, baseDir, tempDir: tmpdir(), userId })
  if (path === null || setting === 'auto') return path
  // Who wrote the path may mean a link, such as /var/run; where it leads is what has to be trusted.
  return join(realPath(dirname(path)), basename(path))
}

export interface ControlStart {
  /** `control.socket`. */
  readonly setting: string
  readonly place: ServicePlace
  readonly log: Logger
  /** Makes what answers there. */
  readonly make: (options: ControlSpot) => Service
}

/** Where to answer, and what to know of it. */
export type ControlSpot = Pick<ControlOptions, 'path' | 'isAutomatic' | 'pointer' | 'log'>

/** Opens the way in for commands. Without it all else is done: null, and a line in the log. */
export async function startControl({ setting, place, log, make }: ControlStart): Promise<Service | null> {
  try {
    const path = controlSocketOf(setting, place)
    if (path === null) return null
    // The file may name another path by the time that somebody looks.
    const pointer = setting === 'auto' ? null : pointerOf(place)
    const server = make({ path, isAutomatic: setting === 'auto', log, ...(pointer !== null && { pointer }) })
    await server.start(new AbortController().signal)
    log.debug({ socket: path }, 'control.started')
    return server
  } catch (error) {
    log.warn({ error, ...(error instanceof GatewayError && { code: error.code }) }, 'control.unavailable')
    return null
  }
}

/** Where commands look whatever the file says; null when there is no such place. */
function pointerOf(place: ServicePlace): string | null {
  try {
    return controlSocketOf('auto', place)
  } catch {
    return null
  }
}
