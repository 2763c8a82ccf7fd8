import { GatewayError } from '../common/index.ts'

/** Something wrong with a configuration file, or worth a warning, and where. */
export interface Problem {
  /** As the file was named by whoever loaded it. */
  readonly file: string
  /** From 1; 0 when the problem is of the file as a whole. */
  readonly line: number
  /** From 1, in UTF-16 units; 0 when the problem is of the file as a whole. */
  readonly column: number
  /** Such as `principals[0].password`; empty when the problem has no key. */
  readonly path: string
  /** What is wrong. Never has the value of a password in it. */
  readonly message: string
  /** What to do, when that is known: a clause such as `did you mean listen?`. */
  readonly suggestion?: string
}

/** Keys and list positions that lead to a value. */
export type Path = readonly (string | number)[]

/** A problem found in the values, before its place in the file is looked up. */
export interface Finding {
  readonly path: Path
  readonly message: string
  readonly suggestion?: string
}

/** One line: `file:line:column: path: message; suggestion`. */
export function formatProblem(problem: Problem): string {
  const place = problem.line > 0 ? `${problem.file}:${problem.line}:${problem.column}` : problem.file
  const path = problem.path === '' ? '' : `${problem.path}: `
  const suggestion = problem.suggestion === undefined ? '' : `; ${problem.suggestion}`
  return oneLine(`${place}: ${path}${problem.message}${suggestion}`)
}

export function formatPath(path: Path): string {
  let text = ''
  for (const step of path) {
    if (typeof step === 'number') text += `[${step}]`
    else text += text === '' ? step : `.${step}`
  }
  return text
}

/** The configuration can't be used. Has every problem that was found, not only the first. */
export class ConfigError extends GatewayError {
  readonly problems: readonly Problem[]
  /** What would have been warned of without them; not in the message. */
  readonly warnings: readonly Problem[]

  constructor(problems: readonly Problem[], warnings: readonly Problem[] = []) {
    super('ERR_CONFIG_INVALID', problems.map(formatProblem).join('\n'))
    this.problems = problems
    this.warnings = warnings
  }
}

// A key or a value from the file may hold anything, and each problem is one line of a terminal or a log.
function oneLine(text: string): string {
  return text.replace(/[\p{Cc}\u2028\u2029]/gu, char => {
    const code = char.charCodeAt(0).toString(16).padStart(4, '0')
    return char === '\n' ? '\\n' : `\\u${code}`
  })
}
