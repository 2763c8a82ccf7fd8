import { setTimeout as sleep } from 'node:timers/promises'
import { Client, ReadSpace, refusePublish } from './client.ts'
import { inParallel } from './in-parallel.ts'
import type { LoadOptions, Target } from './job.ts'
import { LoadLoop, type Publisher } from './load-loop.ts'
import { type CpuSample, memoryOf, noiseBetween, resetPeak, sampleCpu } from './proc.ts'
import { Receiver } from './receiver.ts'
import type { LoadResult } from './result.ts'
import { Sender } from './sender.ts'
import { Tally } from './tally.ts'
import { Topology } from './topology.ts'

/** How long after the last delivery further ones, which would be duplicates, are waited for. */
const AFTERMATH_MS = 50

/** Runs one load against a broker and measures it. Rejects when a connection fails; faults are in the result. */
export async function runLoad(target: Target, options: LoadOptions): Promise<LoadResult> {
  const run = Math.floor(Math.random() * 2 ** 32)
  const tally = new Tally()
  const topology = new Topology(options)
  const space = new ReadSpace()
  const abort = new AbortController()
  const clients: Client[] = []
  const withRoom: number[] = []
  const open = (clientId: string, keepSession = false): Client => {
    const client = new Client({ ...target, clientId, keepSession, space, onFailure: error => abort.abort(error) })
    clients.push(client)
    return client
  }
  const publishers = topology.topicsOf.map((topics, publisher): Publisher => {
    const own = topics.map(topic => ({ name: topology.topicName(topic), receivers: topology.receiversOf(topic) }))
    const sender = new Sender({ ...options, run, publisher, topics: own }, tally, withRoom)
    const client = open(`bench-pub-${publisher}`)
    client.sink = { publish: refusePublish, puback: packetId => sender.puback(packetId) }
    return { client, sender }
  })
  const senders = publishers.map(({ sender }) => sender)
  const subscribers = Array.from({ length: options.subscribers }, (_, subscriber) => {
    const receiver = new Receiver({ run, subscriber, topology, senders, qos: options.qos }, tally)
    // A kept session of another run would come with what that left behind.
    const { keepSessions = false } = options
    const client = open(`bench-sub-${subscriber}${keepSessions ? `-${run.toString(16)}` : ''}`, keepSessions)
    client.sink = receiver
    return { client, filter: topology.filterOf(subscriber) }
  })
  try {
    await inParallel(subscribers, async ({ client, filter }) => {
      await client.connect()
      await client.subscribe(filter, options.qos)
    })
    await inParallel(publishers, ({ client }) => client.connect())
    const meter = new Meter(target.pid, tally, senders)
    await new LoadLoop(publishers, options, { tally, space, phases: meter, withRoom }).run(abort.signal)
    await sleep(AFTERMATH_MS)
    if (abort.signal.aborted) throw abort.signal.reason
    countMissing(tally)
    return meter.result()
  } finally {
    await Promise.all(clients.map(client => client.end()))
  }
}

/** Takes the samples at both ends of the measured interval. */
class Meter {
  readonly #pid: number
  readonly #tally: Tally
  readonly #senders: readonly Sender[]
  #from: Sample | null = null
  #to: Sample | null = null
  #idleMs = 0

  constructor(pid: number, tally: Tally, senders: readonly Sender[]) {
    this.#pid = pid
    this.#tally = tally
    this.#senders = senders
  }

  onMeasure(): void {
    resetPeak(this.#pid)
    this.#tally.latency.restart()
    this.#from = this.#sample()
  }

  onEnd(idleMs: number): void {
    this.#to = this.#sample()
    this.#tally.latency.freeze()
    this.#idleMs = idleMs
  }

  result(): LoadResult {
    const from = this.#from
    const to = this.#to
    const { faults, firstFault, latency } = this.#tally
    if (from === null || to === null) throw new Error(`nothing was measured${firstFault ? `: ${firstFault}` : ''}`)
    const seconds = (to.at - from.at) / 1000
    const delivered = to.delivered - from.delivered
    const user = to.cpu.brokerUser - from.cpu.brokerUser
    const system = to.cpu.brokerSystem - from.cpu.brokerSystem
    const cpu = user + system
    const { rssKb, peakKb } = to.memory
    return {
      kind: 'load',
      faults,
      firstFault,
      seconds,
      published: to.published - from.published,
      delivered,
      deliveredPerSecond: delivered / seconds,
      cpuUsPerDelivered: delivered === 0 ? 0 : (cpu * 1e6) / delivered,
      brokerCpuShare: cpu / seconds,
      brokerKernelShare: cpu === 0 ? 0 : system / cpu,
      rssKb,
      rssPeakKb: peakKb,
      latencyUs: {
        p50: latency.percentile(0.5),
        p99: latency.percentile(0.99),
        p999: latency.percentile(0.999),
        count: latency.count,
      },
      generatorBusy: 1 - this.#idleMs / 1000 / seconds,
      noise: noiseBetween(from.cpu, to.cpu, seconds),
    }
  }

  #sample(): Sample {
    const published = this.#senders.reduce((sum, sender) => sum + sender.made, 0)
    const memory = memoryOf(this.#pid)
    const cpu = sampleCpu(this.#pid)
    return { at: performance.now(), cpu, memory, published, delivered: this.#tally.delivered }
  }
}

interface Sample {
  at: number
  cpu: CpuSample
  memory: ReturnType<typeof memoryOf>
  published: number
  delivered: number
}

function countMissing(tally: Tally): void {
  const { expected, delivered, acknowledgements, acknowledged } = tally
  const lost = expected - delivered
  if (lost > 0) tally.fault('lost', `${lost} of ${expected} deliveries did not come`, lost)
  const missing = acknowledgements - acknowledged
  if (missing > 0) tally.fault('unacknowledged', `${missing} of ${acknowledgements} PUBACKs did not come`, missing)
}
