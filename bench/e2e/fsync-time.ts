import { closeSync, fdatasyncSync, openSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'

export interface FsyncTime {
  /** Median and 90th percentile in ms. */
  medianMs: number
  p90Ms: number
  writes: number
}

const WRITE_BYTES = 4096
const WRITES = 300
/** For a disk so slow that all writes would take too long. */
const LIMIT_MS = 3000

/**
 * How long the disk under this directory takes to make an appended 4 KiB durable, with fdatasync as a write-ahead log
 * does. Blocks this process meanwhile.
 */
export function measureFsync(directory: string): FsyncTime {
  const file = join(directory, 'fsync-time')
  const bytes = Buffer.alloc(WRITE_BYTES, 0x5a)
  const times: number[] = []
  const fd = openSync(file, 'wx')
  try {
    const end = performance.now() + LIMIT_MS
    for (let i = 0; i < WRITES && (i === 0 || performance.now() < end); i++) {
      const start = performance.now()
      writeSync(fd, bytes)
      fdatasyncSync(fd)
      times.push(performance.now() - start)
    }
  } finally {
    closeSync(fd)
    rmSync(file)
  }
  times.sort((a, b) => a - b)
  const at = (share: number): number => times[Math.floor((times.length - 1) * share)] as number
  return { medianMs: at(0.5), p90Ms: at(0.9), writes: times.length }
}
