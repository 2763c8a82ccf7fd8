import type { Readable, Writable } from 'node:stream'
import type { Environment } from '../config/index.ts'

/** An option of a command. */
export interface OptionSpec {
  /** Without the two dashes. */
  readonly name: string
  readonly short?: string
  /** What stands for the value in the help; an option without is a flag. */
  readonly value?: string
  /** One or more lines. */
  readonly help: string
}

export interface Command {
  readonly name: string
  /** What follows `openedge` in the usage line. */
  readonly usage: string
  readonly description: string
  readonly options: readonly OptionSpec[]
  /** Command lines, each with what it does. */
  readonly examples: readonly (readonly [command: string, meaning: string])[]
  /** Returns the exit code, {@link EXIT}. */
  run(args: Arguments, shell: Shell): Promise<number>
}

/** What was typed behind the name of the command. */
export interface Arguments {
  has(name: string): boolean
  /** The last one when the option is repeated. */
  value(name: string): string | undefined
  values(name: string): readonly string[]
  readonly positionals: readonly string[]
}

/** Standard input, which may be a terminal. */
export interface Keys extends Readable {
  readonly isTTY?: boolean
  setRawMode?(isRaw: boolean): unknown
}

/** Standard output, which may be a terminal. */
export interface Display extends Writable {
  readonly isTTY?: boolean
  readonly columns?: number
  readonly rows?: number
}

/** The world around a command. */
export interface Shell {
  readonly env: Environment
  readonly stdin: Keys
  /** For who draws; lines go by out(). */
  readonly stdout: Display
  /** How this program was called, to be repeated in examples: `openedge`, or `node dist/cli/main.js`. */
  readonly program: string
  out(line: string): void
  err(line: string): void
}

export const EXIT = {
  ok: 0,
  /** Something failed while running. */
  runtime: 1,
  /** The command line or a configuration is wrong; nothing was done. */
  usage: 2,
} as const
