import { HubService, type ReloadAnswer } from '../../broker/index.ts'
import type { Service } from '../../common/index.ts'
import { configuredBanner, openBanner } from '../banner.ts'
import { type Arguments, EXIT, type Shell } from '../command.ts'
import { createLog } from '../log/logger.ts'
import { ProcessEvents } from '../process-events.ts'
import { reportWarnings } from '../report.ts'
import { packageVersion } from '../version.ts'
import { readConfiguration } from './configuration.ts'
import { startControl } from './control.ts'
import { hubPlace } from './place.ts'
import { Reloader } from './reloader.ts'

/** Runs a hub until the process is told to stop. */
export async function runHub(args: Arguments, shell: Shell): Promise<number> {
  const place = hubPlace(args)
  const { baseDir, file } = place
  const load = (): ReturnType<typeof readConfiguration> => readConfiguration(place, args, shell.env)
  const { config, warnings, store } = load()
  reportWarnings(warnings, shell)
  const version = packageVersion()
  const log = await createLog({
    config: config.logger,
    baseDir,
    base: { service: 'hub' },
    console: line => process.stderr.write(line),
  })
  const events = new ProcessEvents()
  try {
    const service = new HubService(config, log, baseDir, { version })
    const reloader = new Reloader({
      started: config,
      baseDir,
      load: file === null ? null : load,
      apply: next => service.reload(next),
      log,
      warn: found => reportWarnings(found, shell),
    })
    let control: Service | null = null
    const start = service.start(events.stopping).then(async () => {
      const reload = (): Promise<ReloadAnswer> => reloader.reload()
      control = await startControl(service.hub, { setting: config.control.socket, place, version, log, reload })
      events.onHangup(() => void reload())
    })
    start.catch(() => {}) // a signal that comes first leaves nobody to hear of it
    await Promise.race([start, events.stopped])
    if (!events.stopping.aborted) {
      const started = { version, urls: service.urls, program: shell.program, store }
      shell.out(file === null ? openBanner(started) : configuredBanner(started, file))
      const from = { config: file ?? 'none', storage: 'dir' in store ? store.dir : 'none' }
      log.info({ version, node: process.version, pid: process.pid, ...from }, 'hub.started')
    }
    const signal = await events.stopped
    log.info({ signal, timeoutMs: config.shutdownTimeoutMs }, 'hub.stopping')
    const stop = async (): Promise<boolean> => {
      // A reload that is under way is given up, and told so to who asked for it.
      await Promise.all([service.stop(), reloader.close().then(() => control?.stop())])
      return true
    }
    const isGraceful = await Promise.race([start.then(stop, () => true), events.hurried.then(() => false)])
    log.info({ graceful: isGraceful }, 'hub.stopped')
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
