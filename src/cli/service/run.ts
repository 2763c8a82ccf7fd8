import type { Service } from '../../common/index.ts'
import type { Change, LoggerConfig, Problem } from '../../config/index.ts'
import type { ReloadAnswer } from '../../control/index.ts'
import { EXIT, type Shell } from '../command.ts'
import { createLog, type Log } from '../log/logger.ts'
import { ProcessEvents } from '../process-events.ts'
import { reportWarnings } from '../report.ts'
import { packageVersion } from '../version.ts'
import { type ControlSpot, startControl } from './control.ts'
import type { ServicePlace } from './place.ts'
import { Reloader } from './reloader.ts'

/** What hub and bridge have in their configuration. */
export interface RunConfig {
  readonly logger: LoggerConfig
  readonly control: { readonly socket: string }
  readonly shutdownTimeoutMs: number
}

export interface Configured<Config> {
  readonly config: Config
  readonly warnings: readonly Problem[]
}

/** What is run until the process is told to stop. */
export interface RunParts<Config extends RunConfig, Read extends Configured<Config>> {
  readonly place: ServicePlace
  readonly shell: Shell
  /** Reads the configuration. Throws a ConfigError. */
  readonly load: () => Read
  readonly changes: (before: Config, after: Config) => readonly Change[]
  /** As in the parts of a Reloader. */
  readonly mark?: (config: Config) => string
  readonly make: (read: Read, log: Log, version: string) => Runnable<Config>
}

export interface Runnable<Config> {
  readonly service: Service & { reload(next: Config): Promise<void> }
  /** What answers commands; the service is started by then. */
  control(spot: ControlSpot, reload: () => Promise<ReloadAnswer>): Service
  /** Printed when the service has started. */
  banner(): string
  /** Logged when it has started. */
  readonly about: Readonly<Record<string, unknown>>
}

/** Runs a hub or a bridge until the process is told to stop; returns the exit code. */
export async function runService<Config extends RunConfig, Read extends Configured<Config>>(
  parts: RunParts<Config, Read>,
): Promise<number> {
  const { place, shell, load, changes, mark } = parts
  const { baseDir, file } = place
  const { name } = place.kind
  const read = load()
  const { config } = read
  reportWarnings(read.warnings, shell)
  const version = packageVersion()
  const log = await createLog({
    config: config.logger,
    baseDir,
    base: { service: name },
    console: line => process.stderr.write(line),
  })
  const events = new ProcessEvents()
  try {
    const running = parts.make(read, log, version)
    const { service } = running
    const reloader = new Reloader<Config>({
      name,
      started: config,
      load: file === null ? null : load,
      changes,
      ...(mark !== undefined && { mark }),
      apply: next => service.reload(next),
      log,
      warn: found => reportWarnings(found, shell),
    })
    let control: Service | null = null
    const start = service.start(events.stopping).then(async () => {
      const reload = (): Promise<ReloadAnswer> => reloader.reload()
      const make = (spot: ControlSpot): Service => running.control(spot, reload)
      control = await startControl({ setting: config.control.socket, place, log, make })
      events.onHangup(() => void reload())
    })
    start.catch(() => {}) // a signal that comes first leaves nobody to hear of it
    await Promise.race([start, events.stopped])
    if (!events.stopping.aborted) {
      shell.out(running.banner())
      const about = { version, node: process.version, pid: process.pid, config: file ?? 'none', ...running.about }
      log.info(about, `${name}.started`)
    }
    const signal = await events.stopped
    log.info({ signal, timeoutMs: config.shutdownTimeoutMs }, `${name}.stopping`)
    const stop = async (): Promise<boolean> => {
      // A reload that is under way is given up, and told so to who asked for it.
      await Promise.all([service.stop(), reloader.close().then(() => control?.stop())])
      return true
    }
    const isGraceful = await Promise.race([start.then(stop, () => true), events.hurried.then(() => false)])
    log.info({ graceful: isGraceful }, `${name}.stopped`)
    return isGraceful ? EXIT.ok : EXIT.runtime
  } catch (thrown) {
    if (!events.isCrash(thrown)) throw thrown
    log.fatal({ error: thrown.cause, origin: thrown.origin }, 'process.crashed')
    if (config.logger.path !== '') shell.err(`openedge: ${thrown.message}`)
    return EXIT.runtime
  } finally {
    events.close()
    await log.close()
  }
}
