/** First chunk of a turn: enough for a handful of packets, cheap when a thousand connections answer at once. */
export const SMALL_CHUNK = 4096
/** What busy connections write into. */
export const LARGE_CHUNK = 65_536

const KEPT_SMALL = 256 // 1 MiB
const KEPT_LARGE = 32 // 2 MiB

/** Output memory shared by all connections of a hub: borrowed for a turn, given back when the kernel has taken it. */
export class ChunkPool {
  readonly #small: Buffer[] = []
  readonly #large: Buffer[] = []

  takeSmall(): Buffer {
    return this.#small.pop() ?? Buffer.allocUnsafeSlow(SMALL_CHUNK)
  }

  takeLarge(atLeast: number): Buffer {
    if (atLeast > LARGE_CHUNK) return Buffer.allocUnsafeSlow(atLeast)
    return this.#large.pop() ?? Buffer.allocUnsafeSlow(LARGE_CHUNK)
  }

  /** Only for chunks that nothing else refers to any more. */
  give(chunk: Buffer): void {
    if (chunk.length === SMALL_CHUNK) {
      if (this.#small.length < KEPT_SMALL) this.#small.push(chunk)
    } else if (chunk.length === LARGE_CHUNK) {
      if (this.#large.length < KEPT_LARGE) this.#large.push(chunk)
    }
  }
}
