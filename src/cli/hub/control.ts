import { realpathSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { type ControlPlace, ControlServer, controlSocketPath, type Hub, type ReloadAnswer } from '../../broker/index.ts'
import { GatewayError, type Logger, type Service } from '../../common/index.ts'
import { type HubPlace, identityOf } from './place.ts'

/** What the place of the control socket follows from, for the hub and for the commands that look for it. */
export function controlPlace(setting: string, identity: string, baseDir: string): ControlPlace {
  return { setting, identity, baseDir, tempDir: tmpdir(), userId: process.getuid?.() ?? null }
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
    const path = controlSocketPath(controlPlace(setting, identityOf(place), realpathSync(place.baseDir)))
    if (path === null) return null
    const server = new ControlServer(hub, { path, isAutomatic: setting === 'auto', version, log, reload })
    await server.start(new AbortController().signal)
    log.debug({ socket: path }, 'control.started')
    return server
  } catch (error) {
    if (!(error instanceof GatewayError)) throw error
    log.warn({ error, code: error.code }, 'control.unavailable')
    return null
  }
}
