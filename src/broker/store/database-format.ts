import { readFile } from 'node:fs/promises'
import type { ClassicLevel } from 'classic-level'
import { GatewayError } from '../../common/index.ts'
import { corrupt, foreign } from './database-errors.ts'

export type Level = ClassicLevel<Buffer, Buffer>

/** Changes a database of one format into one of the next. */
export type Migration = (level: Level) => Promise<void>

/** What this version of the program can do with the formats there are. */
export interface Formats {
  /** The one it writes. */
  readonly current: number
  /** By the format they start from. */
  readonly migrations: ReadonlyMap<number, Migration>
}

const PRODUCT = 'openedge-hub'
const FORMAT_KEY = Buffer.from('Mformat')
const FORMATS: Formats = { current: 1, migrations: new Map() }

/**
 * Makes sure that a database is one of ours in the current format: marks a new one, changes an older one.
 *
 * Throws ERR_STORE_FOREIGN for a database of something else, ERR_STORE_VERSION for a format that this version can't
 * read, ERR_STORE_CORRUPT for a mark that can't be understood.
 */
export async function settleFormat(dir: string, level: Level, formats: Formats = FORMATS): Promise<void> {
  const value = await level.get(FORMAT_KEY)
  if (value === undefined) {
    if (!(await isEmpty(level))) {
      throw foreign(`${dir} holds a LevelDB database of something else. Set storage.dir to a directory of its own`)
    }
    await writeFormat(level, formats.current)
    return
  }
  let format = formatOf(dir, value)
  if (format > formats.current) {
    throw new GatewayError(
      'ERR_STORE_VERSION',
      `the database in ${dir} has format ${format}, and this version of openedge reads formats up to ${formats.current}: ` +
        'a newer openedge is needed',
    )
  }
  while (format < formats.current) {
    const migrate = formats.migrations.get(format)
    if (migrate === undefined) {
      throw new GatewayError(
        'ERR_STORE_VERSION',
        `the database in ${dir} has format ${format}, which this version of openedge no longer reads: it reads format ` +
          `${formats.current}. Open it once with an older openedge`,
      )
    }
    await migrate(level)
    await writeFormat(level, ++format)
  }
}

/** Marks a database whose mark a repair could not save; for one that holds something. */
export async function restoreFormat(level: Level): Promise<void> {
  if ((await level.get(FORMAT_KEY)) === undefined && !(await isEmpty(level))) await writeFormat(level, FORMATS.current)
}

async function writeFormat(level: Level, format: number): Promise<void> {
  const mark = { product: PRODUCT, format, by: await packageVersion() }
  await level.put(FORMAT_KEY, Buffer.from(JSON.stringify(mark)), { sync: true })
}

function formatOf(dir: string, value: Buffer): number {
  let mark: unknown
  try {
    mark = JSON.parse(value.toString('utf8'))
  } catch (cause) {
    throw corrupt(dir, `the record of its format is ${JSON.stringify(value.toString('latin1', 0, 40))}`, cause)
  }
  if (typeof mark !== 'object' || mark === null || !('product' in mark) || mark.product !== PRODUCT) {
    throw foreign(`${dir} holds a database of another program. Set storage.dir to a directory of its own`)
  }
  const format = 'format' in mark ? mark.format : undefined
  if (typeof format === 'number' && Number.isSafeInteger(format) && format > 0) return format
  throw corrupt(dir, 'the record of its format has no number')
}

async function isEmpty(level: Level): Promise<boolean> {
  const keys = level.keys({ limit: 1 })
  try {
    return (await keys.next()) === undefined
  } finally {
    await keys.close()
  }
}

/** For people who look at a database later; '' where there is no package around. */
async function packageVersion(): Promise<string> {
  try {
    const manifest: unknown = JSON.parse(await readFile(new URL('../../../package.json', import.meta.url), 'utf8'))
    const isNamed = typeof manifest === 'object' && manifest !== null && 'version' in manifest
    return isNamed && typeof manifest.version === 'string' ? manifest.version : ''
  } catch {
    return ''
  }
}
