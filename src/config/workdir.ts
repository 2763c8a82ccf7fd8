import { readdirSync, statSync } from 'node:fs'
import { basename, extname, join, posix } from 'node:path'
import { systemCodeOf } from '../common/index.ts'
import { type Application, loadApplication, type ServiceEntry } from './application.ts'
import { checkBridgeConfig } from './bridge.ts'
import type { Environment } from './environment.ts'
import { type FileKindName, fileKindOf } from './file-kind.ts'
import { checkHubConfig } from './hub.ts'
import type { Loaded } from './load.ts'
import { ConfigError, type Problem } from './problem.ts'
import type { BridgeConfig } from './schema/bridge.ts'
import type { HubConfig } from './schema/hub.ts'

/** A service of a work directory, with its configuration. */
export interface WorkdirService<Config> {
  /** Of the service; without an application, of its file. */
  readonly name: string
  readonly file: string
  readonly config: Config
}

/** The hubs and bridges of a work directory. */
export interface Workdir {
  readonly hubs: readonly WorkdirService<HubConfig>[]
  readonly bridges: readonly WorkdirService<BridgeConfig>[]
  /** What is wrong; services with problems are not among the others. */
  readonly problems: readonly Problem[]
  readonly warnings: readonly Problem[]
}

const APPLICATION = 'var/db/openedge/application.yml'
const FOLDER = 'etc/openedge'
/** Where every service looks for its configuration. */
const SERVICE_FILE = 'etc/openedge/service.yml'
/** The configuration of the master, and its name in later versions. */
const OTHERS: ReadonlySet<string> = new Set(['openedge.yml', 'openedge.yaml', 'conf.yml'])
const IMAGES: readonly (readonly [string, FileKindName])[] = [
  ['openedge-hub', 'hub'],
  ['openedge-remote-mqtt', 'bridge'],
]

/**
 * Finds the hubs and bridges of a work directory of OpenEdge. Where there is a `var/db/openedge/application.yml` they are
 * those of its services whose image is a hub or a bridge, each with the `service.yml` of the volume that is mounted at its
 * `etc/openedge`; services with `replica: 0` are not started and left out. Otherwise they are the YAML files in `etc/openedge`,
 * told apart by their keys. Keys that are not known are errors, as in `checkHubConfig`. Never throws because of what is there
 * or not there.
 *
 * @param dir the work directory; files are named by it
 * @param env the environment that the services see, besides what the application sets for them
 */
export function readWorkdir(dir: string, env: Environment): Workdir {
  const reader = new Reader(env)
  if (exists(join(dir, APPLICATION))) reader.readApplication(dir)
  else reader.readFolder(dir)
  return reader
}

class Reader implements Workdir {
  readonly hubs: WorkdirService<HubConfig>[] = []
  readonly bridges: WorkdirService<BridgeConfig>[] = []
  readonly problems: Problem[] = []
  readonly warnings: Problem[] = []
  readonly #env: Environment

  constructor(env: Environment) {
    this.#env = env
  }

  readApplication(dir: string): void {
    const file = join(dir, APPLICATION)
    const application = this.#attempt(() => ({ config: loadApplication(file, this.#env), warnings: [] }))
    if (application === null) return
    const names = new Set<string>()
    for (const service of application.services) {
      const kind = kindOfImage(service.image)
      // Of two services with one name the second is never started.
      if (kind === null || service.replica === 0 || names.has(service.name)) continue
      names.add(service.name)
      const own = serviceFile(dir, service, application)
      if (own !== null) this.#read(kind, service.name, own, { ...this.#env, ...service.env })
      else
        this.#wrong(file, `service ${service.name} has no volume mounted at ${FOLDER}, where its service.yml would be`)
    }
    if (names.size === 0) this.#wrong(file, 'starts no service whose image is openedge-hub or openedge-remote-mqtt')
  }

  readFolder(dir: string): void {
    const folder = join(dir, FOLDER)
    const names = namesIn(folder).filter(name => /\.ya?ml$/.test(name) && !OTHERS.has(name))
    if (names.length === 0) {
      this.#wrong(dir, `has neither ${APPLICATION} nor a configuration of a hub or a bridge in ${FOLDER}`)
    }
    for (const name of names.toSorted()) {
      const file = join(folder, name)
      this.#read(fileKindOf(file) ?? 'hub', basename(name, extname(name)), file, this.#env)
    }
  }

  #read(kind: FileKindName, name: string, file: string, env: Environment): void {
    if (kind === 'hub') {
      const config = this.#attempt(() => checkHubConfig(file, { env }))
      if (config !== null) this.hubs.push({ name, file, config })
    } else {
      const config = this.#attempt(() => checkBridgeConfig(file, { env }))
      if (config !== null) this.bridges.push({ name, file, config })
    }
  }

  #attempt<Config>(load: () => Loaded<Config>): Config | null {
    try {
      const { config, warnings } = load()
      this.warnings.push(...warnings)
      return config
    } catch (thrown) {
      if (!(thrown instanceof ConfigError)) throw thrown
      this.problems.push(...thrown.problems)
      this.warnings.push(...thrown.warnings)
      return null
    }
  }

  #wrong(file: string, message: string): void {
    this.problems.push({ file, line: 0, column: 0, path: '', message })
  }
}

/** By the name of the image, whatever its registry, tag or digest. */
function kindOfImage(image: string): FileKindName | null {
  const [name = ''] = (image.split('/').at(-1) ?? '').split(/[:@]/, 1)
  return IMAGES.find(([end]) => name.endsWith(end))?.[1] ?? null
}

/** Where the `service.yml` of a service is; null: no volume is mounted there. */
function serviceFile(dir: string, { mounts }: ServiceEntry, { volumes }: Application): string | null {
  let best: { readonly path: string; readonly volume: string } | null = null
  for (const mount of mounts) {
    const path = inside(mount.path)
    const isAbove = path === '' || path === SERVICE_FILE || SERVICE_FILE.startsWith(`${path}/`)
    const volume = volumes.findLast(({ name }) => name === mount.name)?.path
    // The innermost one hides what others have there.
    if (isAbove && volume !== undefined && (best === null || path.length >= best.path.length)) best = { path, volume }
  }
  return best === null ? null : join(dir, inside(best.volume), SERVICE_FILE.slice(best.path.length))
}

/** A path of an application: from the root that it is in, which nothing leads out of. */
function inside(path: string): string {
  return posix.normalize(`/${path}`).replace(/^\/+|\/+$/g, '')
}

function exists(file: string): boolean {
  try {
    statSync(file)
    return true
  } catch (error) {
    // There is something that can't be read: to be told of when it is read.
    const code = systemCodeOf(error)
    return code !== 'ENOENT' && code !== 'ENOTDIR'
  }
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}
