import { once } from 'node:events'
import { lstatSync, readdirSync, type Stats, unlinkSync } from 'node:fs'
import { connect, type Server } from 'node:net'
import { join } from 'node:path'
import { GatewayError, messageOf, systemCodeOf } from '../common/index.ts'
import type { Kind } from './socket-path.ts'

const BACKLOG = 128
/** Only the owner may connect. */
const UMASK = 0o177

/** Younger sockets may be about to be listened on. */
const ABANDONED_AFTER_MS = 60_000
/** Bounds what one start does. */
const MOST_REMOVED = 1000

/**
 * Binds a server to the path, in place of a socket that nobody answers. `owner`: who chooses this path, so that a link
 * that another of them left there gives way too; null: the user did. Rejects with a GatewayError that says what to do.
 */
export async function bindSocket(server: Server, path: string, owner: Kind | null): Promise<void> {
  try {
    await listen(server, path)
  } catch (cause) {
    if (systemCodeOf(cause) !== 'EADDRINUSE') throw failure(path, messageOf(cause), cause)
    await removeStale(path, owner)
    try {
      await listen(server, path)
    } catch (again) {
      throw failure(path, messageOf(again), again)
    }
  }
}

/**
 * Removes the sockets of programs that were killed and did not come back, and links to them, so that they do not become ever
 * more. What can't be removed stays.
 */
export async function removeAbandoned(folder: string): Promise<void> {
  const before = Date.now() - ABANDONED_AFTER_MS
  for (const name of namesIn(folder).slice(0, MOST_REMOVED)) {
    const path = join(folder, name)
    try {
      const found = lstatSync(path)
      const isOurs = found.isSocket() || found.isSymbolicLink()
      if (isOurs && found.mtimeMs <= before && !(await isAnswered(path))) unlinkSync(path)
    } catch {
      // Somebody else was quicker, or the file is not ours to remove: a start goes on all the same.
    }
  }
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}

function listen(server: Server, path: string): Promise<void> {
  const listening = once(server, 'listening')
  // The file is made before listen() returns: nobody else ever may open it.
  const before = process.umask(UMASK)
  try {
    server.listen({ path, backlog: BACKLOG })
  } finally {
    process.umask(before)
  }
  return listening.then(() => {})
}

/** Removes the file of a program that did not end in good order. Throws when it is anything else. */
async function removeStale(path: string, owner: Kind | null): Promise<void> {
  const found = lookAt(path)
  if (found === null) return
  if (!found.isSocket() && !(owner !== null && found.isSymbolicLink()))
    throw failure(path, 'there is a file of that name that is not a socket: move it away')
  if (await isAnswered(path)) {
    const who = owner ?? 'hub or bridge'
    throw new GatewayError(
      'ERR_LISTEN_ADDRESS_IN_USE',
      `the control socket ${path} belongs to a ${who} that is running`,
    )
  }
  try {
    unlinkSync(path)
  } catch (cause) {
    if (systemCodeOf(cause) === 'ENOENT') return // somebody else was quicker
    throw failure(path, `one that nobody answers can't be removed (${messageOf(cause)}): remove it`, cause)
  }
}

/** Null: there is nothing. */
function lookAt(path: string): Stats | null {
  try {
    return lstatSync(path, { throwIfNoEntry: false }) ?? null
  } catch (cause) {
    throw failure(path, messageOf(cause), cause)
  }
}

/** False only when the kernel says that nobody listens: who is merely busy keeps its socket. */
export async function isAnswered(path: string): Promise<boolean> {
  const socket = connect({ path })
  try {
    await once(socket, 'connect')
    return true
  } catch (refusal) {
    const code = systemCodeOf(refusal)
    return code !== 'ECONNREFUSED' && code !== 'ENOENT'
  } finally {
    socket.destroy()
  }
}

function failure(path: string, problem: string, cause?: unknown): GatewayError {
  return new GatewayError('ERR_LISTEN_FAILED', `the control socket ${path} can't be used: ${problem}`, { cause })
}
