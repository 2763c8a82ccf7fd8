import { setTimeout as sleep } from 'node:timers/promises'
import { Client, ReadSpace } from './client.ts'
import { inParallel } from './in-parallel.ts'
import type { IdleOptions, Target } from './job.ts'
import { memoryOf, noiseBetween, sampleCpu } from './proc.ts'
import type { IdleResult } from './result.ts'

/** Opens connections that do nothing, and measures what they cost the broker. */
export async function runIdle(target: Target, options: IdleOptions): Promise<IdleResult> {
  const { connections, sourceAddresses, settleMs } = options
  const space = new ReadSpace()
  const abort = new AbortController()
  const clients = Array.from({ length: connections }, (_, i) => {
    const localAddress = `127.0.0.${2 + (i % sourceAddresses)}`
    const onFailure = (error: Error): void => abort.abort(error)
    return new Client({ ...target, localAddress, clientId: `bench-idle-${i}`, space, onFailure })
  })
  const before = { cpu: sampleCpu(target.pid), memory: memoryOf(target.pid), at: performance.now() }
  try {
    await inParallel(clients, client => client.connect())
    const connectSeconds = (performance.now() - before.at) / 1000
    await sleep(settleMs)
    abort.signal.throwIfAborted()
    const after = { cpu: sampleCpu(target.pid), memory: memoryOf(target.pid) }
    const seconds = (performance.now() - before.at) / 1000
    const user = after.cpu.brokerUser - before.cpu.brokerUser
    const system = after.cpu.brokerSystem - before.cpu.brokerSystem
    return {
      kind: 'idle',
      connections,
      connectsPerSecond: connections / connectSeconds,
      cpuUsPerConnect: ((user + system) * 1e6) / connections,
      rssKb: after.memory.rssKb,
      kibPerConnection: (after.memory.rssKb - before.memory.rssKb) / connections,
      noise: noiseBetween(before.cpu, after.cpu, seconds),
    }
  } finally {
    await inParallel(clients, client => client.end())
  }
}
