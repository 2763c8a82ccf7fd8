import { type Client, type PacketSink, refusePuback } from './client.ts'
import { ClientGroup } from './client-group.ts'
import type { RetainedOptions, Target } from './job.ts'
import { memoryOf, noiseBetween, sampleCpu } from './proc.ts'
import type { RetainedResult } from './result.ts'
import { fillRetained, retainedFilters, retainedPayload, retainedTopic, type Shape } from './retained-topics.ts'

/** Not timed, so that a broker with a just-in-time compiler is compared warm. */
const WARM_UP = 20

/** First byte of a PUBLISH with QoS 1 and RETAIN. */
const RETAINED_AT_QOS_1 = 0x33

/** Fills a broker with retained messages, then times how fast a SUBSCRIBE brings the one that it matches. */
export async function runRetained(target: Target, options: RetainedOptions): Promise<RetainedResult> {
  const clients = new ClientGroup(target)
  const publisher = clients.make('bench-retain-pub')
  const subscriber = clients.make('bench-retain-sub')
  try {
    await publisher.connect()
    await clients.unlessOneFails(fillRetained(publisher, options.topics))
    await subscriber.connect()
    const from = { cpu: sampleCpu(target.pid), at: performance.now() }
    const medianMs: Record<string, number> = {}
    let subscribes = 0
    for (const shape of Object.keys(retainedFilters) as Shape[]) {
      const times = await clients.unlessOneFails(timeSubscribes(subscriber, shape, options))
      subscribes += times.length
      medianMs[shape] = times.sort((a, b) => a - b)[Math.floor(times.length / 2)] as number
    }
    return {
      kind: 'retained',
      retained: options.topics,
      medianMs,
      slowestMs: Math.max(...Object.values(medianMs)),
      subscribes,
      rssKb: memoryOf(target.pid).rssKb,
      noise: noiseBetween(from.cpu, sampleCpu(target.pid), (performance.now() - from.at) / 1000),
    }
  } finally {
    await clients.endAll()
  }
}

async function timeSubscribes(
  client: Client,
  shape: Shape,
  { topics, subscribes, limitMs }: RetainedOptions,
): Promise<number[]> {
  const times: number[] = []
  const end = performance.now() + limitMs
  for (let i = -WARM_UP; i < subscribes && (times.length === 0 || performance.now() < end); i++) {
    // A prime step, so that neighbours in the order of publishing are not asked for one after the other.
    const number = ((i + WARM_UP) * 7919) % topics
    const filter = retainedFilters[shape](number)
    const arrival = untilMessage(client, number)
    const start = performance.now()
    await Promise.all([client.subscribe(filter, 1), arrival])
    const time = performance.now() - start
    if (i >= 0) times.push(time)
    await client.unsubscribe(filter)
  }
  return times
}

/** Resolves with the arrival of this number's message. Anything else that comes ends the connection, and so the run. */
function untilMessage(client: Client, number: number): Promise<void> {
  const topic = retainedTopic(number)
  return new Promise(resolve => {
    let seen = false
    const sink: PacketSink = {
      publish(first, bytes, _view, at, end) {
        const name = bytes.toString('latin1', at + 2, at + 2 + topic.length)
        const payload = bytes.toString('latin1', at + 4 + topic.length, end)
        const isWanted = first === RETAINED_AT_QOS_1 && name === topic && payload === retainedPayload(number)
        if (!isWanted || seen) {
          const got = `first byte 0x${first.toString(16)}, topic ${name}, payload ${payload}`
          throw new Error(`${seen ? 'a second' : 'another'} message than the one of ${topic} came: ${got}`)
        }
        seen = true
        resolve()
      },
      puback: refusePuback,
    }
    client.sink = sink
  })
}
