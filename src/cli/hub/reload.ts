import type { Arguments, Shell } from '../command.ts'
import { askReload } from '../control/reload.ts'
import { hubKind } from './kind.ts'

/** Has a hub read its configuration again. */
export function reloadHub(args: Arguments, shell: Shell): Promise<number> {
  return askReload(hubKind, args, shell)
}
