import { type ParseArgsConfig, parseArgs } from 'node:util'

type Options = NonNullable<ParseArgsConfig['options']>
type Values<T extends Options> = ReturnType<typeof parseArgs<{ args: string[]; options: T }>>['values']

/** A command line that cannot be understood. */
export class UsageError extends Error {}

/** parseArgs of Node.js, without positional arguments; throws a UsageError. */
export function parseOptionValues<const T extends Options>(args: readonly string[], options: T): Values<T> {
  try {
    return parseArgs({ args: [...args], options }).values
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error), { cause: error })
  }
}

/** The words of a comma-separated option, all known ones when it is absent. */
export function listOption<T extends string>(
  option: string,
  value: string | undefined,
  known: readonly T[],
): readonly T[] {
  if (value === undefined) return known
  const words = value.split(',')
  const unknown = words.find(word => !known.some(name => name === word))
  if (unknown !== undefined) throw new UsageError(`${option}: '${unknown}' is none of ${known.join(', ')}`)
  // In the order of the table, so that reports of different runs line up.
  return known.filter(name => words.includes(name))
}

export function numberOption(
  option: string,
  value: string,
  { min, whole = false }: { min: number; whole?: boolean },
): number {
  const result = Number(value)
  if (value.trim() === '' || !(result >= min) || (whole && !Number.isInteger(result))) {
    throw new UsageError(`${option} takes a ${whole ? 'whole ' : ''}number of at least ${min}, not '${value}'`)
  }
  return result
}

/** Runs a program by its command line: 2 when that can't be understood, else what `main` says. */
export async function runProgram<T>(
  usage: string,
  parse: (args: readonly string[]) => T | null,
  main: (options: T) => Promise<number>,
): Promise<void> {
  process.once('SIGINT', () => process.exit(130))
  process.once('SIGTERM', () => process.exit(143))
  try {
    const options = parse(process.argv.slice(2))
    if (options === null) console.log(usage)
    else process.exitCode = await main(options)
  } catch (error) {
    if (!(error instanceof UsageError)) throw error
    console.error(`${error.message}\n\n${usage}`)
    process.exitCode = 2
  }
}
