import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { GatewayError, messageOf, systemCodeOf } from '../../common/index.ts'
import { corrupt, foreign, ioError } from './database-errors.ts'
import { BadManifest, type Manifest, readManifest } from './database-manifest.ts'
import { checkWal, type LogReport } from './wal-check.ts'

const MANIFEST_NAME = /^MANIFEST-\d+$/
const WAL = /^(\d+)\.log$/
/** The order of keys that a database of ours has. */
const COMPARATOR = 'leveldb.BytewiseComparator'

/** A file whose last write was not finished. What was to be written had not been acknowledged to anybody. */
export interface TornTail {
  readonly file: string
  /** Bytes of it that are good. */
  readonly offset: number
  /** Bytes behind them, that count as not written. */
  readonly dropped: number
  readonly reason: string
}

/**
 * Looks for what LevelDB would lose without a word: records of a damaged log, a log that is missing, tables that are
 * shorter than they were. Changes nothing: the lock is not held yet, and somebody may be writing.
 *
 * Unfinished ends of logs are fine; LevelDB drops them as well. `mayLack`: as for checkWal.
 *
 * Throws ERR_STORE_CORRUPT naming the file and, within it, the place; ERR_STORE_FOREIGN for a database with another
 * order of keys.
 */
export async function checkDatabase(dir: string, mayLack = false): Promise<TornTail[]> {
  try {
    const names = await readdir(dir)
    const manifest = await checkTables(dir, names)
    const first = firstLog(manifest)
    const logs = walFiles(names, manifest.logNumber)
    if (first !== null && logs[0] !== first) {
      throw corrupt(dir, `${first} is missing, the log of what was written last (${manifest.report.file} names it)`)
    }
    const reports = await checkWal(dir, logs, manifest.firstAtMost, mayLack)
    refuseDamage(dir, reports)
    return [manifest.report, ...reports].flatMap(tailOf)
  } catch (cause) {
    if (cause instanceof GatewayError) throw cause
    throw ioError(`the database in ${dir} can not be read`, cause)
  }
}

/** Looks at everything but the write-ahead logs. */
export async function checkTables(dir: string, names: readonly string[]): Promise<Manifest> {
  const manifest = await currentManifest(dir, names)
  if (manifest.comparator !== '' && manifest.comparator !== COMPARATOR) {
    throw foreign(`${dir} holds a database of something else: its keys are in the order '${manifest.comparator}'`)
  }
  refuseDamage(dir, [manifest.report])
  await checkSizes(dir, manifest, names)
  return manifest
}

function refuseDamage(dir: string, reports: readonly LogReport[]): void {
  for (const { file, damage } of reports) {
    if (damage !== null && !damage.isTail) throw corrupt(dir, `${file} at byte ${damage.offset}: ${damage.reason}`)
  }
}

/** Names of the write-ahead logs from a number on, in the order they were written. */
export function walFiles(names: readonly string[], from: number): string[] {
  return names
    .filter(name => Number(WAL.exec(name)?.[1] ?? -1) >= from)
    .sort((one, other) => Number.parseInt(one, 10) - Number.parseInt(other, 10))
}

/** The write-ahead log that must be there; null when none must. */
export function firstLog({ logNumber }: Manifest): string | null {
  return logNumber > 0 ? numbered(logNumber, 'log') : null
}

/** Reads CURRENT, and MANIFEST that it names. */
async function currentManifest(dir: string, names: readonly string[]): Promise<Manifest> {
  const text = await readFile(join(dir, 'CURRENT'), 'latin1').catch(cause => {
    if (systemCodeOf(cause) === 'ENOENT') throw corrupt(dir, 'CURRENT is missing', cause)
    throw cause
  })
  const name = text.slice(0, -1)
  if (!text.endsWith('\n') || !MANIFEST_NAME.test(name)) {
    throw corrupt(dir, `CURRENT should name a MANIFEST and has ${JSON.stringify(text.slice(0, 40))}`)
  }
  if (!names.includes(name)) {
    const others = names.filter(each => MANIFEST_NAME.test(each))
    throw corrupt(
      dir,
      `CURRENT names ${name}, which is missing${others.length > 0 ? ` (there is ${others.join(', ')})` : ''}`,
    )
  }
  try {
    const manifest = await readManifest(dir, name)
    if (manifest.report.records === 0) throw corrupt(dir, `${name} is empty or damaged from its beginning`)
    return manifest
  } catch (cause) {
    if (cause instanceof BadManifest) throw corrupt(dir, `${name}: ${messageOf(cause)}`, cause)
    throw cause
  }
}

/** Tables are never changed once they are written, so their sizes tell whether they are whole. */
async function checkSizes(dir: string, { tables }: Manifest, names: readonly string[]): Promise<void> {
  const present = new Set(names)
  const absent: string[] = []
  for (const [number, size] of tables) {
    const name = [numbered(number, 'ldb'), numbered(number, 'sst')].find(each => present.has(each))
    if (name === undefined) {
      absent.push(numbered(number, 'ldb'))
      continue
    }
    const found = await stat(join(dir, name))
    if (found.size !== size) throw corrupt(dir, `${name} has ${found.size} bytes and should have ${size}`)
  }
  if (absent.length === 0) return
  const more = absent.length > 1 ? ` and ${absent.length - 1} more tables are` : ' is'
  throw corrupt(dir, `${absent[0]}${more} missing`)
}

function tailOf({ file, bytes, wholeBytes, damage }: LogReport): TornTail[] {
  return damage === null ? [] : [{ file, offset: wholeBytes, dropped: bytes - wholeBytes, reason: damage.reason }]
}

/** A file name as LevelDB writes it. */
function numbered(number: number, suffix: string): string {
  return `${String(number).padStart(6, '0')}.${suffix}`
}
