import { readFileSync, writeFileSync } from 'node:fs'
import type { Noise } from './result.ts'

/** CPU time so far, in seconds: of the broker, of this process, and of the whole machine. */
export interface CpuSample {
  brokerUser: number
  brokerSystem: number
  own: number
  machine: number
  steal: number
}

export interface Memory {
  /** Resident now, in KiB. */
  rssKb: number
  /** The most that was resident since the peak was last reset, in KiB. */
  peakKb: number
  /** The resident part that is no file: not the pages of mapped files, which the kernel may take back at any time. */
  anonKb: number
}

/** The kernel counts CPU time for user space in ticks of 10 ms, on every architecture that Node runs on. */
const TICKS_PER_SECOND = 100

export function sampleCpu(brokerPid: number): CpuSample {
  const own = process.cpuUsage()
  const broker = processTicks(brokerPid)
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0, steal = 0] = machineTicks()
  return {
    brokerUser: broker.user / TICKS_PER_SECOND,
    brokerSystem: broker.system / TICKS_PER_SECOND,
    own: (own.user + own.system) / 1e6,
    machine: (user + nice + system + irq + softirq) / TICKS_PER_SECOND,
    steal: steal / TICKS_PER_SECOND,
  }
}

export function memoryOf(pid: number): Memory {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  return { rssKb: field(status, 'VmRSS'), peakKb: field(status, 'VmHWM'), anonKb: field(status, 'RssAnon') }
}

/** Makes the peak start anew from what is resident now. Without the right to do so, it stays that of the whole life. */
export function resetPeak(pid: number): void {
  try {
    writeFileSync(`/proc/${pid}/clear_refs`, '5')
  } catch {
    // Another user's process, or a kernel without the file.
  }
}

function processTicks(pid: number): { user: number; system: number } {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  // The name, in brackets, may hold spaces. Behind it the fields count from 3; utime is 14 and stime 15.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return { user: Number(fields[14 - 3]), system: Number(fields[15 - 3]) }
}

function machineTicks(): number[] {
  const stat = readFileSync('/proc/stat', 'utf8')
  return stat.slice(0, stat.indexOf('\n')).trim().split(/\s+/).slice(1).map(Number)
}

function field(status: string, name: string): number {
  return Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(status)?.[1] ?? 0)
}

/** What else the machine did between two samples. */
export function noiseBetween(from: CpuSample, to: CpuSample, seconds: number): Noise {
  const broker = to.brokerUser + to.brokerSystem - from.brokerUser - from.brokerSystem
  const others = to.machine - from.machine - broker - (to.own - from.own)
  return { otherCpuShare: Math.max(0, others / seconds), stealShare: (to.steal - from.steal) / seconds }
}
