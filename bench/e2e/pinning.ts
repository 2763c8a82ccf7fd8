import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { availableParallelism } from 'node:os'

const TASKSET = '/usr/bin/taskset'
const CORES = { broker: '0', generator: '1' } as const

/** Whether brokers and generator each get a core of their own. Without it figures are far noisier. */
export function canPin(): boolean {
  return existsSync(TASKSET) && availableParallelism() >= 2
}

/** The command line that runs this command on the core of its part. */
export function pinned(part: keyof typeof CORES, command: readonly string[]): string[] {
  return canPin() ? [TASKSET, '-c', CORES[part], ...command] : [...command]
}

/** Moves this process, all its threads, to the core of its part. */
export function pinSelf(part: keyof typeof CORES): void {
  if (canPin()) spawnSync(TASKSET, ['-acp', CORES[part], String(process.pid)], { stdio: 'ignore' })
}
