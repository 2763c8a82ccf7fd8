import { type CpuSample, memoryOf, noiseBetween, resetPeak, sampleCpu } from '../../e2e/load/proc.ts'
import type { Tally } from '../../e2e/load/tally.ts'
import type { FlowResult } from './flow-result.ts'
import type { Chain } from './job.ts'

interface Sample {
  at: number
  /** Of the whole chain as if it were one broker. */
  chain: CpuSample
  forwarderSeconds: number
  memory: ReturnType<typeof memoryOf>
  delivered: number
}

/** Takes the samples at both ends of the measured interval. */
export class ChainMeter {
  readonly #chain: Chain
  readonly #tally: Tally
  #from: Sample | null = null
  #to: Sample | null = null
  #idleMs = 0

  constructor(chain: Chain, tally: Tally) {
    this.#chain = chain
    this.#tally = tally
  }

  onMeasure(): void {
    resetPeak(this.#chain.forwarder)
    this.#tally.latency.restart()
    this.#from = this.#sample()
  }

  onEnd(idleMs: number): void {
    this.#to = this.#sample()
    this.#tally.latency.freeze()
    this.#idleMs = idleMs
  }

  result(): FlowResult {
    const from = this.#from
    const to = this.#to
    const { faults, firstFault, latency } = this.#tally
    if (from === null || to === null) throw new Error(`nothing was measured${firstFault ? `: ${firstFault}` : ''}`)
    const seconds = (to.at - from.at) / 1000
    const delivered = to.delivered - from.delivered
    const forwarder = to.forwarderSeconds - from.forwarderSeconds
    const chain = secondsOf(to.chain) - secondsOf(from.chain)
    const perMessage = (cpuSeconds: number): number => (delivered === 0 ? 0 : (cpuSeconds * 1e6) / delivered)
    return {
      faults,
      firstFault,
      seconds,
      delivered,
      deliveredPerSecond: delivered / seconds,
      forwarderCpuUs: perMessage(forwarder),
      chainCpuUs: perMessage(chain),
      forwarderCpuShare: forwarder / seconds,
      chainCpuShare: chain / seconds,
      rssKb: to.memory.rssKb,
      rssPeakKb: to.memory.peakKb,
      latencyUs: { p50: latency.percentile(0.5), p99: latency.percentile(0.99), count: latency.count },
      generatorBusy: 1 - this.#idleMs / 1000 / seconds,
      noise: noiseBetween(from.chain, to.chain, seconds),
    }
  }

  #sample(): Sample {
    const { forwarder, brokers } = this.#chain
    const memory = memoryOf(forwarder)
    const chain = sampleCpu(forwarder)
    const forwarderSeconds = secondsOf(chain)
    for (const pid of brokers) {
      const { brokerUser, brokerSystem } = sampleCpu(pid)
      chain.brokerUser += brokerUser
      chain.brokerSystem += brokerSystem
    }
    return { at: performance.now(), chain, forwarderSeconds, memory, delivered: this.#tally.delivered }
  }
}

function secondsOf({ brokerUser, brokerSystem }: CpuSample): number {
  return brokerUser + brokerSystem
}
