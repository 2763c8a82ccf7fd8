import { dirname, relative, resolve } from 'node:path'
import { controlSocketPath, folderProblem } from '../../broker/index.ts'
import { GatewayError } from '../../common/index.ts'
import { ConfigError, type Environment, loadHubConfig } from '../../config/index.ts'
import { controlPlace } from '../hub/control.ts'
import { DEFAULT_FILE, type HubPlace, identityOf } from '../hub/place.ts'
import { type Answer, ControlClient } from './client.ts'

/** Finds the hub that -c and -w mean, and asks it. */
export class HubFinder {
  readonly #place: HubPlace
  readonly #env: Environment
  readonly #program: string
  #client: ControlClient | null = null
  /** What is wrong with the configuration file; the hub is looked for nevertheless, so that it can say so. */
  configError: ConfigError | null = null

  constructor(place: HubPlace, env: Environment, program: string) {
    this.#place = place
    this.#env = env
    this.#program = program
  }

  /** Rejects with `ERR_LIFECYCLE_NOT_RUNNING`, saying where it looked, when there is no such hub. */
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
    const paths = this.#paths(setting)
    for (const path of paths) {
      checkFolder(dirname(path))
      const client = new ControlClient(path)
      try {
        const answer = await client.ask(method, url, timeoutMs)
        this.#client = client
        return answer
      } catch (thrown) {
        client.close()
        if (!isNotRunning(thrown)) throw thrown
      }
    }
    throw new GatewayError('ERR_LIFECYCLE_NOT_RUNNING', this.#notFound(setting, paths))
  }

  close(): void {
    this.#client?.close()
    this.#client = null
  }

  #setting(): string {
    const { file } = this.#place
    this.configError = null
    if (file === null) return 'auto'
    try {
      return loadHubConfig(file, { env: this.#env }).config.control.socket
    } catch (thrown) {
      if (!(thrown instanceof ConfigError)) throw thrown
      this.configError = thrown
      return 'auto'
    }
  }

  /** The likeliest first: the file may have been changed, made or removed since the hub was started. */
  #paths(setting: string): string[] {
    const { baseDir, file } = this.#place
    const other: HubPlace = { baseDir, file: file === null ? resolve(baseDir, DEFAULT_FILE) : null }
    const isDefault = file === null || resolve(file) === resolve(baseDir, DEFAULT_FILE)
    const paths = [
      this.#path(setting, this.#place),
      this.#path('auto', this.#place),
      isDefault ? this.#path('auto', other) : null,
    ]
    return [...new Set(paths.filter(path => path !== null))]
  }

  #path(setting: string, place: HubPlace): string | null {
    return controlSocketPath(controlPlace(setting, identityOf(place), place.baseDir))
  }

  #notFound(setting: string, paths: readonly string[]): string {
    const { baseDir, file } = this.#place
    if (paths.length === 0) return 'there are no unix sockets on this system, by which a hub is asked'
    if (setting === 'none') {
      return `control.socket is none in ${file}: that hub can't be asked; kill -HUP has it read its configuration again`
    }
    const which = file === null ? `without a configuration file, in ${baseDir}` : `with the configuration ${file}`
    const workdir = relative('', baseDir) === '' ? '' : ` -w ${relative('', baseDir)}`
    const start = file === null ? workdir : ` -c ${workdir === '' ? file : resolve(file)}${workdir}`
    return `no hub runs ${which}: nobody answers at ${paths.join(' or ')}.
Start it: ${this.#program} hub${start}
Or give the -c and -w that it was started with; it has to be the same user, and the same TMPDIR`
  }
}

function checkFolder(folder: string): void {
  const problem = folderProblem(folder, process.getuid?.() ?? -1)
  if (problem === null) return
  throw new GatewayError(
    'ERR_LIFECYCLE_UNTRUSTED',
    `the folder of the control socket, ${folder}, ${problem}: whoever answers there may be no hub`,
  )
}

export function isNotRunning(thrown: unknown): boolean {
  return thrown instanceof GatewayError && thrown.code === 'ERR_LIFECYCLE_NOT_RUNNING'
}
