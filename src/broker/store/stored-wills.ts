import type { Message } from '../message.ts'
import type { GroupCommit } from './group-commit.ts'
import { willKey } from './keys.ts'
import { encodeWill, type WillOwner } from './records.ts'

/** Wills of clients that are connected, or were when the hub died. */
export class StoredWills {
  readonly #commit: GroupCommit
  readonly #clientIds = new Set<string>()

  constructor(commit: GroupCommit) {
    this.#commit = commit
  }

  save(clientId: string, will: Message, whose: WillOwner): void {
    this.#clientIds.add(clientId)
    const key = willKey(clientId)
    this.#commit.put(key, encodeWill(key, will, whose))
  }

  /** There is one of an earlier life of the hub. */
  found(clientId: string): void {
    this.#clientIds.add(clientId)
  }

  drop(clientId: string): void {
    if (this.#clientIds.delete(clientId)) this.#commit.del(willKey(clientId))
  }
}
