import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { messageOf } from '../../common/index.ts'
import { firstLog, walFiles } from './database-check.ts'
import { BadManifest, type Manifest, readManifest } from './database-manifest.ts'
import { checkTable, type TableReport } from './verify-table.ts'
import { checkWal, type LogReport } from './wal-check.ts'

/** Something about a file. */
export interface FileFinding {
  readonly file: string
  /** Byte in it; null: the file as a whole. */
  readonly offset: number | null
  readonly what: string
  /** False: an unfinished write, which had not been acknowledged to anybody. */
  readonly isProblem: boolean
}

/** A table that LevelDB can't read as it is. */
export interface BadTable {
  readonly file: string
  /** As MANIFEST has it; without MANIFEST, as it is. */
  readonly size: number
  readonly isMissing: boolean
  readonly report: Pick<TableReport, 'usable'>
}

export interface FileReport {
  readonly files: number
  /** Tables in which something is wrong; a repair has them written anew. */
  readonly damaged: readonly string[]
  readonly badTables: readonly BadTable[]
}

const TABLE = /^(\d+)\.(?:ldb|sst)$/

/**
 * Looks at every file of a database that nobody has open, as a whole and block by block, and tells of all that is wrong.
 * Changes nothing.
 */
export async function checkFiles(dir: string, tell: (finding: FileFinding) => void): Promise<FileReport> {
  const names = await readdir(dir)
  const manifest = await findManifest(dir, names, tell)
  const tables = await checkTables(dir, names, manifest, tell)
  const logs = await checkLogs(dir, names, manifest, tell)
  return { files: logs + names.filter(name => TABLE.test(name) || name === manifest?.report.file).length, ...tables }
}

async function findManifest(
  dir: string,
  names: readonly string[],
  tell: (finding: FileFinding) => void,
): Promise<Manifest | null> {
  const bad = (file: string, what: string): null => {
    tell({ file, offset: null, what, isProblem: true })
    return null
  }
  if (!names.includes('CURRENT')) return bad('CURRENT', 'is missing')
  const text = await readFile(join(dir, 'CURRENT'), 'latin1')
  const name = text.slice(0, -1)
  if (!text.endsWith('\n') || !/^MANIFEST-\d+$/.test(name)) {
    return bad('CURRENT', `should name a MANIFEST and has ${JSON.stringify(text.slice(0, 40))}`)
  }
  if (!names.includes(name)) return bad(name, 'is missing, and CURRENT names it')
  try {
    const manifest = await readManifest(dir, name)
    tellLog(manifest.report, tell)
    if (manifest.report.records === 0) return bad(name, 'is empty or damaged from its beginning')
    return manifest.report.damage === null || manifest.report.damage.isTail ? manifest : null
  } catch (error) {
    if (error instanceof BadManifest) return bad(name, messageOf(error))
    throw error
  }
}

async function checkTables(
  dir: string,
  names: readonly string[],
  manifest: Manifest | null,
  tell: (finding: FileFinding) => void,
): Promise<Omit<FileReport, 'files'>> {
  const present = new Map(names.filter(name => TABLE.test(name)).map(name => [Number.parseInt(name, 10), name]))
  const bad: BadTable[] = []
  const damaged: string[] = []
  for (const [number, size] of manifest?.tables ?? (await sizesOf(dir, present))) {
    const file = present.get(number) ?? `${String(number).padStart(6, '0')}.ldb`
    if (!present.has(number)) {
      tell({ file, offset: null, what: 'is missing', isProblem: true })
      bad.push({ file, size, isMissing: true, report: { usable: [] } })
      continue
    }
    const table = await readFile(join(dir, file))
    const hasSize = table.length === size
    if (!hasSize)
      tell({ file, offset: null, what: `has ${table.length} bytes and should have ${size}`, isProblem: true })
    const report = checkTable(table)
    for (const problem of report.problems) tell({ file, ...problem, isProblem: true })
    if (!hasSize || report.problems.length > 0) damaged.push(file)
    if (report.needsCut || !hasSize) bad.push({ file, size, isMissing: false, report })
  }
  return { damaged, badTables: bad }
}

async function sizesOf(dir: string, present: ReadonlyMap<number, string>): Promise<Map<number, number>> {
  const sizes = new Map<number, number>()
  for (const [number, name] of present) sizes.set(number, (await stat(join(dir, name))).size)
  return sizes
}

/** Returns how many logs there are. */
async function checkLogs(
  dir: string,
  names: readonly string[],
  manifest: Manifest | null,
  tell: (finding: FileFinding) => void,
): Promise<number> {
  const logs = walFiles(names, manifest?.logNumber ?? 0)
  const first = manifest === null ? null : firstLog(manifest)
  if (first !== null && logs[0] !== first) {
    tell({ file: first, offset: null, what: 'is missing, the log of what was written last', isProblem: true })
  }
  for (const report of await checkWal(dir, logs, manifest?.firstAtMost)) tellLog(report, tell)
  return logs.length
}

function tellLog({ file, bytes, wholeBytes, damage }: LogReport, tell: (finding: FileFinding) => void): void {
  if (damage === null) return
  const { offset, reason, isTail } = damage
  const what = isTail ? `${reason}: the last write, of ${bytes - wholeBytes} bytes, was not finished` : reason
  tell({ file, offset, what, isProblem: !isTail })
}
