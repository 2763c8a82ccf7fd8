import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { ControlServer, controlSocketPath, type Hub, type ReloadAnswer } from '../../broker/index.ts'
import { GatewayError, type Logger, type Service } from '../../common/index.ts'
import { type HubPlace, identityOf, realPath } from './place.ts'

/**
 * Where the control socket is, for the hub of a user and for the commands that look for it; null: nowhere. Throws as
 * controlSocketPath does.
 */
export function controlSocketOf(
  setting: string,
  place: HubPlace,
  userId: number | null = process.getuid?.() ?? null,
): string | null {
  const baseDir = realPath(place.baseDir)
  const path = controlSocketPath({ setting, identity: identityOf(place), baseDir, tempDir: tmpdir(), userId })
  if (path === null || setting === 'auto') return path
  // Who wrote the path may mean a link, such as /var/run; where it leads is what has to be trusted.
  return join(realPath(dirname(path)), basename(path))
}

export interface ControlStart {
  /** `control.socket`. */
  readonly setting: string
  readonly place: HubPlace
  readonly version: string
  readonly log: Logger
  readonly reload: () => Promise<ReloadAnswer>
}

/** Opens the way in for commands. Without it the hub does all else: null, and a line in the log. */
export async function startControl(hub: Hub, start: ControlStart): Promise<Service | null> {
  const { setting, place, version, log, reload } = start
  try {
    const path = controlSocketOf(setting, place)
    if (path === null) return null
    // The file may name another path by the time that somebody looks.
    const pointer = setting === 'auto' ? null : pointerOf(place)
    const options = { path, isAutomatic: setting === 'auto', version, log, reload }
    const server = new ControlServer(hub, { ...options, ...(pointer !== null && { pointer }) })
    await server.start(new AbortController().signal)
    log.debug({ socket: path }, 'control.started')
    return server
  } catch (error) {
    log.warn({ error, ...(error instanceof GatewayError && { code: error.code }) }, 'control.unavailable')
    return null
  }
}

/** Where commands look whatever the file says; null when there is no such place. */
function pointerOf(place: HubPlace): string | null {
  try {
    return controlSocketOf('auto', place)
  } catch {
    return null
  }
}
