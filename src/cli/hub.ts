import { statSync } from 'node:fs'
import { isAbsolute, join, resolve } from 'node:path'
import { HubService } from '../broker/index.ts'
import { GatewayError } from '../common/index.ts'
import { ConfigError, checkFiles, defaultHubConfig, type HubConfig, loadHubConfig } from '../config/index.ts'
import { configuredBanner, openBanner, type StoreNote } from './banner.ts'
import { type Arguments, type Command, EXIT, type Shell } from './command.ts'
import { createLog } from './log/logger.ts'
import { ProcessEvents } from './process-events.ts'
import { reportWarnings } from './report.ts'
import { packageVersion } from './version.ts'

const DEFAULT_FILE = 'etc/openedge/service.yml'
const EVERYTHING = ['#']

export const hubCommand: Command = {
  name: 'hub',
  usage: 'hub [-c FILE] [-w DIR] [--memory]',
  description: `Runs the MQTT broker until it gets SIGTERM or SIGINT (Ctrl+C). The first one stops it gracefully within
shutdown.timeout, a second one at once.

Without a configuration file the hub listens on tcp://127.0.0.1:1883 and ws://127.0.0.1:8083, and every
program on this machine may publish and subscribe to every topic.

Sessions, the messages that wait for them and retained messages are kept on disk, in storage.dir, so that
they outlive a stop: with a configuration file, or with a work directory. Without both, or with --memory,
nothing is kept.`,
  options: [
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
    { name: 'memory', help: 'keep nothing on disk, whatever the configuration says' },
  ],
  examples: [
    ['openedge hub', 'to try it: open, on loopback only, in memory'],
    ['openedge hub -c service.yml', 'as service.yml says'],
    ['openedge hub -w /opt/edge', `as /opt/edge/${DEFAULT_FILE} says`],
    ['openedge hub -w .', 'keeps what it stores below the current directory'],
  ],
  run: runHub,
}

async function runHub(args: Arguments, shell: Shell): Promise<number> {
  const stray = args.positionals[0]
  if (stray !== undefined) {
    throw new GatewayError('ERR_USAGE_ARGUMENT', `hub takes no argument ${stray}; a configuration is given with -c`)
  }
  const { config, file, baseDir, store } = configure(args, shell)
  const log = await createLog({
    config: config.logger,
    baseDir,
    base: { service: 'hub' },
    console: line => process.stderr.write(line),
  })
  const events = new ProcessEvents()
  try {
    const service = new HubService(config, log, baseDir)
    const start = service.start(events.stopping)
    start.catch(() => {}) // a signal that comes first leaves nobody to hear of it
    await Promise.race([start, events.stopped])
    if (!events.stopping.aborted) {
      const started = { version: packageVersion(), urls: service.urls, program: shell.program, store }
      shell.out(file === null ? openBanner(started) : configuredBanner(started, file))
      const { version } = started
      const from = { config: file ?? 'none', storage: 'dir' in store ? store.dir : 'none' }
      log.info({ version, node: process.version, pid: process.pid, ...from }, 'hub.started')
    }
    const signal = await events.stopped
    log.info({ signal, timeoutMs: config.shutdownTimeoutMs }, 'hub.stopping')
    const isGraceful = await Promise.race([
      start.then(
        () => service.stop().then(() => true),
        () => true,
      ),
      events.hurried.then(() => false),
    ])
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

interface Configured {
  readonly config: HubConfig
  /** Null: there is none. */
  readonly file: string | null
  readonly baseDir: string
  readonly store: StoreNote
}

/** What the hub is to be like. Throws a GatewayError when the configuration, or what it names, can't be used. */
function configure(args: Arguments, shell: Shell): Configured {
  const workdir = args.value('workdir') ?? ''
  const baseDir = resolve(workdir)
  if (!statSync(baseDir, { throwIfNoEntry: false })?.isDirectory()) {
    throw new GatewayError('ERR_USAGE_WORKDIR', `the work directory ${baseDir} does not exist`)
  }
  const asked = args.value('config')
  const file = asked !== undefined && isAbsolute(asked) ? asked : join(workdir, asked ?? DEFAULT_FILE)
  if (asked === undefined && statSync(file, { throwIfNoEntry: false }) === undefined) {
    return { ...decideStore(openConfig(), args, args.has('workdir')), file: null, baseDir }
  }
  const { config, warnings } = loadHubConfig(file, { env: shell.env })
  const files = checkFiles(config, baseDir)
  if (files.errors.length > 0) throw new ConfigError(files.errors, [...warnings, ...files.warnings])
  reportWarnings([...warnings, ...files.warnings, ...unexecuted(config, file)], shell)
  return { ...decideStore(config, args, true), file, baseDir }
}

/** Whether and where the hub stores. An empty `storage.dir` tells it to keep all in memory. */
function decideStore(config: HubConfig, args: Arguments, hasPlace: boolean): Pick<Configured, 'config' | 'store'> {
  const { storage } = config
  if (args.has('memory') || !hasPlace) {
    const because = args.has('memory') ? 'flag' : 'nowhere'
    return { config: { ...config, storage: { ...storage, dir: '' } }, store: { because } }
  }
  if (storage.dir === '') return { config, store: { because: 'config' } }
  const dir = isAbsolute(storage.dir) ? storage.dir : join(args.value('workdir') ?? '', storage.dir)
  return { config, store: { dir, sync: storage.sync, intervalMs: storage.intervalMs } }
}

/** Loopback only, where everybody may do everything. */
function openConfig(): HubConfig {
  return {
    ...defaultHubConfig(),
    listen: ['tcp://127.0.0.1:1883', 'ws://127.0.0.1:8083'],
    anonymous: {
      permissions: [
        { action: 'pub', permit: EVERYTHING },
        { action: 'sub', permit: EVERYTHING },
      ],
    },
  }
}

function unexecuted({ subscriptions }: HubConfig, file: string): ConfigError['warnings'] {
  const count = subscriptions.length
  if (count === 0) return []
  const message = `this version does not forward messages by rules yet; ${count === 1 ? 'the rule is' : `the ${count} rules are`} checked and ignored`
  return [{ file, line: 0, column: 0, path: 'subscriptions', message }]
}
