import { readlinkSync, statSync } from 'node:fs'
import { dirname, relative, resolve } from 'node:path'
import { GatewayError } from '../../common/index.ts'
import { ConfigError, type Environment } from '../../config/index.ts'
import { folderProblem } from '../../control/index.ts'
import { controlSocketOf } from '../service/control.ts'
import { DEFAULT_FILE, type ServicePlace } from '../service/place.ts'
import { type Answer, ControlClient } from './client.ts'

const ROOT = 0

/** Where it may be. */
interface Lead {
  readonly path: string
  /** Whose the folder has to be; null: anybody's. */
  readonly userId: number | null
}

/** Finds the hub or bridge that -c and -w mean, and asks it. */
export class ServiceFinder {
  readonly #place: ServicePlace
  readonly #env: Environment
  readonly #program: string
  #client: ControlClient | null = null
  /** What is wrong with the configuration file; who runs with it is looked for nevertheless, and can say so too. */
  configError: ConfigError | null = null
  /** `storage.dir` of the configuration of a hub. */
  #storageDir: string | null = null

  constructor(place: ServicePlace, env: Environment, program: string) {
    this.#place = place
    this.#env = env
    this.#program = program
  }

  /** Rejects with `ERR_LIFECYCLE_NOT_RUNNING`, saying where it looked, when there is nobody. */
  async ask(method: 'GET' | 'POST', url: string, timeoutMs: number): Promise<Answer> {
    if (this.#client !== null) {
      try {
        return await this.#client.ask(method, url, timeoutMs)
      } catch (thrown) {
        this.close()
        if (!isNotRunning(thrown)) throw thrown
      }
    }
    const setting = this.#setting()
    const leads = this.#leads(setting)
    for (const { path, userId } of leads) {
      checkFolder(dirname(path), userId)
      const target = pointedAt(path)
      if (target !== null) checkFolder(dirname(target), userId)
      const client = new ControlClient(target ?? path, this.#place.kind.name)
      try {
        const answer = await client.ask(method, url, timeoutMs)
        this.#client = client
        return answer
      } catch (thrown) {
        client.close()
        if (!isNotRunning(thrown)) throw thrown
      }
    }
    throw new GatewayError('ERR_LIFECYCLE_NOT_RUNNING', this.#notFound(setting, leads))
  }

  close(): void {
    this.#client?.close()
    this.#client = null
  }

  #setting(): string {
    const { kind, file } = this.#place
    this.configError = null
    this.#storageDir = null
    if (file === null) return 'auto'
    try {
      const { socket, storageDir } = kind.locate(file, this.#env)
      this.#storageDir = storageDir === '' ? null : storageDir
      return socket
    } catch (thrown) {
      if (!(thrown instanceof ConfigError)) throw thrown
      this.configError = thrown
      return 'auto'
    }
  }

  /** The likeliest first: the file may have been changed, made or removed since the start. */
  #leads(setting: string): Lead[] {
    const ownId = process.getuid?.() ?? null
    const own = this.#paths(setting, ownId).map(path => ({ path, userId: ownId }))
    if (ownId !== ROOT) return own
    // Root may ask the hub of anybody: where the file says, and below the folders of those who are likely to run it.
    const named = setting === 'auto' ? null : controlSocketOf(setting, this.#place, ownId)
    const ofOthers = this.#owners().flatMap(userId => this.#paths('auto', userId).map(path => ({ path, userId })))
    return [...own.map(lead => (lead.path === named ? { ...lead, userId: null } : lead)), ...ofOthers]
  }

  /** Who has the configuration file, the work directory, and what is stored; without root. */
  #owners(): number[] {
    const { file, baseDir } = this.#place
    const paths = [file, baseDir, this.#storageDir === null ? null : resolve(baseDir, this.#storageDir)]
    const owners = paths.map(path => (path === null ? null : statSync(path, { throwIfNoEntry: false })?.uid) ?? ROOT)
    return [...new Set(owners)].filter(uid => uid !== ROOT)
  }

  #paths(setting: string, userId: number | null): string[] {
    const { kind, baseDir, file } = this.#place
    const other: ServicePlace = { kind, baseDir, file: file === null ? resolve(baseDir, DEFAULT_FILE) : null }
    const isDefault = file === null || resolve(file) === resolve(baseDir, DEFAULT_FILE)
    const paths = [
      controlSocketOf(setting, this.#place, userId),
      controlSocketOf('auto', this.#place, userId),
      isDefault ? controlSocketOf('auto', other, userId) : null,
    ]
    return [...new Set(paths.filter(path => path !== null))]
  }

  #notFound(setting: string, leads: readonly Lead[]): string {
    const { kind, baseDir, file } = this.#place
    const { name } = kind
    const paths = leads.map(({ path }) => path)
    if (paths.length === 0) return 'there are no unix sockets on this system, by which a running program is asked'
    if (setting === 'none') {
      return `control.socket is none in ${file}: that ${name} can't be asked; kill -HUP has it read its configuration again`
    }
    const which = file === null ? `without a configuration file, in ${baseDir}` : `with the configuration ${file}`
    const workdir = relative('', baseDir) === '' ? '' : ` -w ${relative('', baseDir)}`
    const start = file === null ? workdir : ` -c ${workdir === '' ? file : resolve(file)}${workdir}`
    return `no ${name} runs ${which}: nobody answers at ${paths.join(' or ')}.
Start it: ${this.#program} ${name}${start}
Or give the -c and -w that it was started with; it has to be the same user, or root, and the same TMPDIR`
  }
}

/** Where a link leads that was left in place of a socket. */
function pointedAt(path: string): string | null {
  try {
    return resolve(dirname(path), readlinkSync(path))
  } catch {
    return null
  }
}

function checkFolder(folder: string, userId: number | null): void {
  const problem = folderProblem(folder, userId)
  if (problem === null) return
  throw new GatewayError(
    'ERR_LIFECYCLE_UNTRUSTED',
    `the folder of the control socket, ${folder}, ${problem}: whoever answers there may be anybody`,
  )
}

export function isNotRunning(thrown: unknown): boolean {
  return thrown instanceof GatewayError && thrown.code === 'ERR_LIFECYCLE_NOT_RUNNING'
}
