/** QoS 2 packet identifiers of a client whose PUBREL has not come. */
export class Receipts {
  #ids: Set<number> | null = null

  get size(): number {
    return this.#ids?.size ?? 0
  }

  has(packetId: number): boolean {
    return this.#ids?.has(packetId) ?? false
  }

  /** False when it was there already: a copy that must not be delivered [MQTT-4.3.3-2]. */
  add(packetId: number): boolean {
    this.#ids ??= new Set()
    if (this.#ids.has(packetId)) return false
    this.#ids.add(packetId)
    return true
  }

  /** PUBREL came: the identifier is free again. False when it was free. */
  release(packetId: number): boolean {
    const had = this.#ids?.delete(packetId) ?? false
    if (this.#ids?.size === 0) this.#ids = null
    return had
  }

  /** All identifiers. */
  list(): number[] {
    return this.#ids === null ? [] : [...this.#ids]
  }
}
