import type { Output } from '../output.ts'

/** A connection whose acknowledgements may have to wait. */
export interface Acknowledging {
  readonly closed: boolean
  readonly output: Output
  /** What it was promised last and is not stored yet; later acknowledgements wait behind it [MQTT-4.6.0-2]. */
  held: Hold | null
  markDirty(): void
}

const FIRST_BYTES = 64

/** Acknowledgements of one connection that wait until what they promise is stored. At most four bytes each. */
export class Hold {
  /** More may be added that is stored with it: its batch is not sealed. */
  isOpen = true
  readonly #owner: Acknowledging
  #bytes = Buffer.allocUnsafe(FIRST_BYTES)
  #used = 0

  constructor(owner: Acknowledging) {
    this.#owner = owner
  }

  add(firstByte: number, packetId: number): void {
    this.#reserve()
    const at = this.#used
    this.#bytes[at] = firstByte
    this.#bytes[at + 1] = 2
    this.#bytes[at + 2] = packetId >> 8
    this.#bytes[at + 3] = packetId & 0xff
    this.#used = at + 4
  }

  /** Adds another answer of a few bytes, which is not to overtake them. */
  append(bytes: Uint8Array): void {
    this.#reserve()
    this.#bytes.set(bytes, this.#used)
    this.#used += bytes.length
  }

  #reserve(): void {
    if (this.#used + 4 <= this.#bytes.length) return
    const larger = Buffer.allocUnsafe(this.#bytes.length * 4)
    this.#bytes.copy(larger, 0, 0, this.#used)
    this.#bytes = larger
  }

  /** They may go. */
  release(): void {
    const owner = this.#owner
    if (owner.held === this) owner.held = null
    if (owner.closed) return
    owner.output.append(this.#bytes, 0, this.#used, true)
    owner.markDirty()
  }
}
