/** Promises under way for each client. */
class Crowd {
  readonly #members = new Map<string, Set<Promise<void>>>()

  of(id: string): Iterable<Promise<void>> {
    return this.#members.get(id) ?? []
  }

  /** Joins for these clients; call the result to leave. */
  join(ids: Iterable<string>): () => void {
    let resolve = (): void => {}
    const member = new Promise<void>(settle => {
      resolve = settle
    })
    const joined = [...ids]
    for (const id of joined) {
      const members = this.#members.get(id)
      if (members === undefined) this.#members.set(id, new Set([member]))
      else members.add(member)
    }
    return () => {
      for (const id of joined) {
        const members = this.#members.get(id)
        members?.delete(member)
        if (members?.size === 0) this.#members.delete(id)
      }
      resolve()
    }
  }
}

/**
 * Keeps a message from being stored for a session while that session is read, and the other way round: it would be
 * missed by the one and the other, or be found by both.
 */
export class SessionGate {
  readonly #readers = new Crowd()
  readonly #writers = new Crowd()

  /** Reads the session of one client. */
  async read<T>(id: string, work: () => Promise<T>): Promise<T> {
    const writers = [...this.#writers.of(id)]
    const leave = this.#readers.join([id])
    try {
      await Promise.all(writers)
      return await work()
    } finally {
      leave()
    }
  }

  /** Stores something for the sessions of these clients, and delivers it. */
  async write(ids: readonly string[], work: () => Promise<void>): Promise<void> {
    for (let readers = this.#readersOf(ids); readers.length > 0; readers = this.#readersOf(ids))
      await Promise.all(readers)
    const leave = this.#writers.join(ids)
    try {
      await work()
    } finally {
      leave()
    }
  }

  #readersOf(ids: readonly string[]): Promise<void>[] {
    return ids.flatMap(id => [...this.#readers.of(id)])
  }
}
