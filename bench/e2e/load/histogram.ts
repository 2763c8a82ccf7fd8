/** How fine the buckets are: 64 for each doubling, so that a percentile is at most 1.6 % off. */
const STEPS_LOG2 = 6
const UNITS_PER_MS = 10_000

/** Counts times in buckets that grow with the value. One unit is 0.1 microseconds; seven minutes fit. */
export class Histogram {
  readonly #counts = new Uint32Array((32 - STEPS_LOG2 + 1) << STEPS_LOG2)
  #count = 0
  #recording = true

  get count(): number {
    return this.#count
  }

  add(milliseconds: number): void {
    if (!this.#recording) return
    const value = (milliseconds * UNITS_PER_MS) >>> 0
    const shift = Math.max(0, 31 - Math.clz32(value) - STEPS_LOG2)
    const bucket = (shift << STEPS_LOG2) + (value >>> shift)
    this.#counts[bucket] = (this.#counts[bucket] as number) + 1
    this.#count++
  }

  /** Forgets what was counted and counts from now on. */
  restart(): void {
    this.#counts.fill(0)
    this.#count = 0
    this.#recording = true
  }

  /** Keeps what was counted and takes no more. */
  freeze(): void {
    this.#recording = false
  }

  /** The time in microseconds that this share (0 to 1) of the times does not exceed; 0 when nothing was counted. */
  percentile(share: number): number {
    const wanted = Math.max(1, Math.ceil(this.#count * share))
    let seen = 0
    for (let bucket = 0; bucket < this.#counts.length; bucket++) {
      seen += this.#counts[bucket] as number
      if (this.#count > 0 && seen >= wanted) return (middleOf(bucket) / UNITS_PER_MS) * 1000
    }
    return 0
  }
}

function middleOf(bucket: number): number {
  if (bucket < 2 << STEPS_LOG2) return bucket
  const shift = (bucket >>> STEPS_LOG2) - 1
  const low = (bucket - (shift << STEPS_LOG2)) * 2 ** shift
  return low + (2 ** shift - 1) / 2
}
