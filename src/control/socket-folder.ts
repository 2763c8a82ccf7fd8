import { chmodSync, lstatSync, mkdirSync, type Stats } from 'node:fs'
import { GatewayError, messageOf } from '../common/index.ts'

/** Only the owner has a way in. */
const PRIVATE = 0o700
const OTHERS_MAY_WRITE = 0o022

/**
 * Why the folder of a control socket is not to be trusted; null when it is, or when it does not exist. In a folder that
 * others may write to, or that is reached by somebody's link, anybody can put a socket of their own. `userId`: whose it
 * has to be; null: anybody's.
 */
export function folderProblem(folder: string, userId: number | null): string | null {
  let found: Stats | undefined
  try {
    found = lstatSync(folder, { throwIfNoEntry: false })
  } catch (failure) {
    return `can't be looked at (${messageOf(failure)})`
  }
  if (found === undefined) return null
  if (found.isSymbolicLink()) return 'is a symbolic link'
  if (!found.isDirectory()) return 'is not a folder'
  if (userId !== null && found.uid !== userId) return 'belongs to another user'
  if ((found.mode & OTHERS_MAY_WRITE) !== 0) return 'may be written to by other users'
  return null
}

/**
 * Makes the folder when it is missing, for the owner only. `isOwn`: the program chose it, so one that lets others in is set
 * right. Throws `ERR_LISTEN_PERMISSION` for one that can't be trusted.
 */
export function prepareFolder(folder: string, userId: number, isOwn: boolean): void {
  try {
    mkdirSync(folder, { recursive: true, mode: PRIVATE })
    const found = lstatSync(folder)
    if (isOwn && found.isDirectory() && found.uid === userId && (found.mode & 0o777) !== PRIVATE) {
      chmodSync(folder, PRIVATE)
    }
  } catch (cause) {
    const problem = folderProblem(folder, userId) ?? messageOf(cause)
    throw new GatewayError('ERR_LISTEN_PERMISSION', `the folder of the control socket, ${folder}: ${problem}`, {
      cause,
    })
  }
  const problem = folderProblem(folder, userId)
  if (problem === null) return
  throw new GatewayError(
    'ERR_LISTEN_PERMISSION',
    `the folder of the control socket, ${folder}, ${problem}: remove it, make it yours alone (chmod 700), or set control.socket`,
  )
}
