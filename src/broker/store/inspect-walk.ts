import type { Level } from './database.ts'
import { levelErrorOf } from './database-errors.ts'

export type Pair = [key: Buffer, value: Buffer]

const STEP = 1000
const READ_AHEAD_BYTES = 1 << 20

/**
 * Reads records in the order of their keys, as many as LevelDB can read: it leaves out a block that it can't, and says so
 * at the end only. Returns what it said; null: it read all of them.
 */
export async function walk(
  level: Level,
  range: { gte?: Buffer; lt?: Buffer },
  visit: (pairs: readonly Pair[]) => Promise<void> | void,
): Promise<string | null> {
  let last: Buffer | null = null
  let step = STEP
  for (;;) {
    const from = last === null ? range : { ...(range.lt !== undefined && { lt: range.lt }), gt: last }
    const iterator = level.iterator({ ...from, fillCache: false, highWaterMarkBytes: READ_AHEAD_BYTES })
    try {
      for (;;) {
        let pairs: Pair[]
        try {
          pairs = await iterator.nextv(step)
        } catch (failure) {
          const { code, words } = levelErrorOf(failure)
          if (code !== 'LEVEL_CORRUPTION') throw failure
          if (step === 1) return words
          // What it read before it said so is lost with the call: once more, one by one.
          step = 1
          break
        }
        if (pairs.length === 0) return null
        last = (pairs.at(-1) as Pair)[0]
        await visit(pairs)
      }
    } finally {
      await iterator.close()
    }
  }
}
