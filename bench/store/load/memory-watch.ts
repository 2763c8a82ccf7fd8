import { type Memory, memoryOf, resetPeak } from '../../e2e/load/proc.ts'

export interface MemoryPeak {
  /** The most that was resident, as the kernel saw it (VmHWM), and the most of its anonymous part as sampled, in KiB. */
  peakKb: number
  anonPeakKb: number
}

const INTERVAL_MS = 100

/** Looks at the memory of a process all the time. */
export class MemoryWatch {
  readonly #pid: number
  readonly #timer: NodeJS.Timeout
  #anonPeakKb = 0

  constructor(pid: number) {
    this.#pid = pid
    this.#timer = setInterval(() => this.#sample(), INTERVAL_MS)
  }

  /** The peak since the last call, or since the start of the process. */
  take(): MemoryPeak {
    const memory = this.#sample()
    const peak = { peakKb: memory?.peakKb ?? 0, anonPeakKb: this.#anonPeakKb }
    resetPeak(this.#pid)
    this.#anonPeakKb = memory?.anonKb ?? 0
    return peak
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  #sample(): Memory | null {
    try {
      const memory = memoryOf(this.#pid)
      this.#anonPeakKb = Math.max(this.#anonPeakKb, memory.anonKb)
      return memory
    } catch {
      return null // It has ended, which its connections will tell.
    }
  }
}
