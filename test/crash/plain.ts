import type { BrokerOptions } from './broker.ts'
import type { Random } from './random.ts'
import { type Outcome, Stage } from './stage.ts'

export interface TrialOptions {
  readonly rounds: number
  readonly random: Random
  /** Messages per second. */
  readonly rate: number
  readonly broker: Pick<BrokerOptions, 'kind' | 'program'>
  /** A folder of its own. */
  readonly dir: string
  /** At the end: what is missing when nothing has come for so long is lost. Milliseconds, default 8000. */
  readonly stillMs?: number
  readonly log: (line: string) => void
}

/** How long a round lasts before the kill. */
const MIN_MS = 200
const MAX_MS = 1500

/** Kill and start again. */
export function runPlain({ rounds, broker, dir, ...options }: TrialOptions): Promise<Outcome> {
  const name = broker.kind === 'hub' ? 'kill' : `kill, ${broker.kind}`
  const stage = new Stage({ name, broker: { ...broker, dir }, ...options })
  return stage.run(rounds, async () => {
    await stage.pause(MIN_MS, MAX_MS)
    await stage.kill()
    await stage.resume()
  })
}
