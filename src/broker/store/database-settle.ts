import { readdir, readFile, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { checkTables, firstLog, walFiles } from './database-check.ts'
import { syncDirectory, writeSynced } from './directory-files.ts'
import { keepLost, makeLost, syncLost } from './directory-lost.ts'
import { checkWal, type LogReport } from './wal-check.ts'
import { salvageLog } from './wal-salvage.ts'

/** What was given up so that a database opens after a loss of power. */
export interface Settlement {
  /** The write-ahead logs that were cut off or emptied, in the order they were written. */
  readonly files: readonly string[]
  /** Of these files, that no longer count. */
  readonly bytes: number
  /** Batches among them that could have been read. */
  readonly batches: number
  /** Why they ended up behind a gap. */
  readonly reason: string
  /** Where the files are as they were; null when there is none of them. */
  readonly originals: string | null
}

/** What is to be done about the logs. */
interface SettlePlan {
  readonly reason: string
  /** How many bytes of each log stay, for the logs that change. */
  readonly cuts: readonly Cut[]
}

interface Cut {
  readonly file: string
  readonly keepBytes: number
  /** Batches in them. */
  readonly keepBatches: number
  /** It is missing, and made. */
  readonly isMissing: boolean
}

/**
 * Decides how far the logs are good: up to the first place where something is missing. All behind it goes, whole or
 * not, for a later batch may build on an earlier one: a cursor must not come back without the messages it counts.
 *
 * `first` is the log that MANIFEST names; null: none. Returns null when nothing is missing.
 */
function planSettlement(reports: readonly LogReport[], first: string | null): SettlePlan | null {
  const gone = { keepBytes: 0, keepBatches: 0 }
  if (first !== null && reports[0]?.file !== first) {
    const later = reports.filter(report => report.bytes > 0)
    const cuts = later.map(({ file }) => ({ file, ...gone, isMissing: false }))
    return { reason: `${first} is missing`, cuts: [{ file: first, ...gone, isMissing: true }, ...cuts] }
  }
  const index = reports.findIndex(report => report.damage !== null)
  const damaged = reports[index]
  if (damaged === undefined || damaged.damage === null) return null
  const { file, damage, wholeBytes, records } = damaged
  const cuts: Cut[] = [{ file, keepBytes: wholeBytes, keepBatches: records, isMissing: false }]
  for (const later of reports.slice(index + 1))
    if (later.bytes > 0) cuts.push({ file: later.file, ...gone, isMissing: false })
  return { reason: `${file} at byte ${damage.offset}: ${damage.reason}`, cuts }
}

/**
 * Cuts the write-ahead logs where the first thing is missing, so that the database opens. For a run that did not wait for
 * the disk: the power took what the system had not written yet, in any order.
 *
 * Nobody may have the database open; `refuseOthers` throws when somebody has, and is asked last. LevelDB's lock is not
 * held, yet whoever does the same at the same time comes to the same result, and may be broken off anywhere: each file
 * is replaced in one step, and a later one first. Logs are emptied and not removed, for LevelDB would use a name again.
 *
 * Returns null when it is not the logs that are damaged; throws like checkTables.
 */
export async function settleLogs(dir: string, refuseOthers: () => Promise<void>): Promise<Settlement | null> {
  const names = await readdir(dir)
  const manifest = await checkTables(dir, names)
  const reports = await checkWal(dir, walFiles(names, manifest.logNumber), manifest.firstAtMost, true)
  const plan = planSettlement(reports, firstLog(manifest))
  if (plan === null) return null
  await refuseOthers()
  const originals = await keepOriginals(dir, plan)
  let bytes = 0
  let batches = 0
  for (const { file, keepBytes, keepBatches, isMissing } of [...plan.cuts].reverse()) {
    const whole = isMissing ? Buffer.alloc(0) : await readFile(join(dir, file))
    bytes += whole.length - keepBytes
    batches += Math.max(0, salvageLog(whole).kept - keepBatches)
    await replace(dir, file, whole.subarray(0, keepBytes))
  }
  return { files: plan.cuts.map(({ file }) => file), bytes, batches, reason: plan.reason, originals }
}

async function keepOriginals(dir: string, { cuts }: SettlePlan): Promise<string | null> {
  const files = cuts.filter(({ isMissing }) => !isMissing)
  if (files.length === 0) return null
  const originals = await makeLost(dir)
  for (const { file } of files) await keepLost(dir, file, originals)
  await syncLost(dir, originals)
  return originals
}

async function replace(dir: string, file: string, content: Buffer): Promise<void> {
  const draft = join(dir, `${file}.tmp`)
  await writeSynced(draft, content)
  await rename(draft, join(dir, file))
  // A later file must not come back once an earlier one is cut.
  await syncDirectory(dir)
}
