import { type ConfigError, formatProblem, type Problem } from '../config/index.ts'
import type { Shell } from './command.ts'

/** One line a problem, `file:line:column: path: message`, and one a warning. */
export function reportErrors({ problems, warnings }: Pick<ConfigError, 'problems' | 'warnings'>, shell: Shell): void {
  for (const problem of problems) shell.err(formatProblem(problem))
  reportWarnings(warnings, shell)
}

/** As compilers do: `file:line:column: warning: path: message`. */
export function reportWarnings(warnings: readonly Problem[], shell: Shell): void {
  for (const warning of warnings) {
    shell.err(formatProblem({ ...warning, path: warning.path === '' ? 'warning' : `warning: ${warning.path}` }))
  }
}
