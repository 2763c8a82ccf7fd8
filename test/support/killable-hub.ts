/** A hub in a process of its own, on a directory of the test's, that can be killed. */
import assert from 'node:assert/strict'
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { OPEN_TO_ALL } from './hub.ts'
import type { HubFigures } from './hub-process.ts'
import { type Cleanup, type Endpoint, openRawClient, type RawClient } from './raw-client.ts'

export class KillableHub {
  readonly #child: ChildProcess
  readonly #exited: Promise<unknown>
  readonly #endpoint: Endpoint

  private constructor(child: ChildProcess, exited: Promise<unknown>, port: number) {
    this.#child = child
    this.#exited = exited
    this.#endpoint = { transport: 'tcp', host: '127.0.0.1', port }
  }

  /** Starts a hub that everybody may use, with these lines of YAML on top. */
  static async start(t: Cleanup, dir: string, yaml: string): Promise<KillableHub> {
    const lines = [OPEN_TO_ALL, 'listen: [tcp://127.0.0.1:0]', `storage: { dir: ${dir} }`, yaml]
    const child = fork(join(import.meta.dirname, 'hub-child.ts'), {
      execArgv: ['--import', 'tsx'],
      env: { ...process.env, HUB_YAML: lines.join('\n') },
    })
    const exited = once(child, 'exit')
    t.after(async () => {
      child.kill('SIGKILL')
      await exited
    })
    const [first] = (await Promise.race([once(child, 'message'), exited])) as unknown[]
    assert.equal(first, 'ready', 'the hub does not start')
    const answer = once(child, 'message')
    child.send('figures')
    const [{ urls }] = (await answer) as [HubFigures]
    return new KillableHub(child, exited, Number(new URL(urls[0] as string).port))
  }

  /** Opens a connection and sends nothing. It may end when it likes. */
  open(): Promise<RawClient> {
    return openRawClient({ after: () => {} }, this.#endpoint)
  }

  /** Ends it without a word. */
  async kill(): Promise<void> {
    this.#child.kill('SIGKILL')
    await this.#exited
  }
}
