import assert from 'node:assert/strict'
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import type { BridgeLines } from './bridge-stage.ts'
import type { Cleanup } from './raw-client.ts'

/** A bridge in a process of its own, that can be killed. */
export interface BridgeProcess {
  /** Ends it without a word, or by another signal. */
  end(signal?: 'SIGKILL' | 'SIGTERM'): Promise<void>
}

export async function startBridgeProcess(t: Cleanup, lines: BridgeLines): Promise<BridgeProcess> {
  const child = fork(join(import.meta.dirname, 'bridge-child.ts'), {
    execArgv: ['--import', 'tsx'],
    env: { ...process.env, BRIDGE_YAML: JSON.stringify(lines) },
  })
  const exited = once(child, 'exit')
  const end: BridgeProcess['end'] = async (signal = 'SIGKILL') => {
    child.kill(signal)
    await exited
  }
  t.after(() => end())
  const [first] = (await Promise.race([once(child, 'message'), exited])) as unknown[]
  assert.equal(first, 'ready', 'the bridge does not start')
  return { end }
}
