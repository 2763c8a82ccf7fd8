import { readlinkSync, symlinkSync, unlinkSync } from 'node:fs'
import { dirname } from 'node:path'
import { isAnswered, removeAbandoned } from './bind-socket.ts'
import { prepareFolder } from './socket-folder.ts'

/**
 * Leaves a link to a socket where commands look that do not know of it. A link by which another program is reached stays.
 * Throws or rejects when that can't be done.
 */
export async function leavePointer(pointer: string, socket: string, userId: number): Promise<void> {
  prepareFolder(dirname(pointer), userId, true)
  await removeAbandoned(dirname(pointer))
  if (await isAnswered(pointer)) return
  try {
    symlinkSync(socket, pointer)
  } catch {
    unlinkSync(pointer)
    symlinkSync(socket, pointer)
  }
}

/** Removes the link, unless it is another program's. Never throws. */
export function removePointer(pointer: string, socket: string): void {
  if (pointedAt(pointer) !== socket) return
  try {
    unlinkSync(pointer)
  } catch {
    // It leads nowhere now, and a later start removes it.
  }
}

/** Where a link leads; null when there is none. */
function pointedAt(path: string): string | null {
  try {
    return readlinkSync(path)
  } catch {
    return null
  }
}
