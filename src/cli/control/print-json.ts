import type { Shell } from '../command.ts'
import { escaped } from '../text.ts'

/** For people as for programs. JSON escapes control characters, but not those that turn the direction of writing. */
export function printJson(value: unknown, shell: Shell): void {
  const lines = JSON.stringify(value, null, 2).split('\n')
  shell.out(lines.map(line => escaped(line)).join('\n'))
}
