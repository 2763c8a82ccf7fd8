import type { Arguments, Shell } from '../command.ts'
import { askReload } from '../control/reload.ts'
import { bridgeKind } from './kind.ts'

/** Has a bridge read its configuration again. */
export function reloadBridge(args: Arguments, shell: Shell): Promise<number> {
  return askReload(bridgeKind, args, shell)
}
