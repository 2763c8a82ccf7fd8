import { Client, type PacketSink, ReadSpace, refusePuback, refusePublish } from './client.ts'
import type { RetainedOptions, Target } from './job.ts'
import { publishPacket } from './packets.ts'
import { memoryOf, noiseBetween, sampleCpu } from './proc.ts'
import type { RetainedResult } from './result.ts'

/** QoS 1 messages that may be unacknowledged while the topics are filled. */
const WINDOW = 500
/** Not timed, so that a broker with a just-in-time compiler is compared warm. */
const WARM_UP = 20
/** Topics are spread over this many groups: `retained/<group>/<number>/state`. */
const GROUPS = 100

/** First byte of a PUBLISH with QoS 1 and RETAIN. */
const RETAINED_AT_QOS_1 = 0x33

type Shape = 'exact' | 'plus' | 'hash'

/** Each filter matches one topic only. */
const filters: Record<Shape, (number: number) => string> = {
  exact: topicOf,
  plus: number => `retained/+/${number}/state`,
  hash: number => `retained/${number % GROUPS}/${number}/#`,
}

function topicOf(number: number): string {
  return `retained/${number % GROUPS}/${number}/state`
}

function payloadOf(number: number): string {
  return `state ${number}`
}

/** Fills a broker with retained messages, then times how fast a SUBSCRIBE brings the one that it matches. */
export async function runRetained(target: Target, options: RetainedOptions): Promise<RetainedResult> {
  const space = new ReadSpace()
  const abort = new AbortController()
  const failed = new Promise<never>((_resolve, reject) => {
    abort.signal.addEventListener('abort', () => reject(abort.signal.reason as Error))
  })
  failed.catch(() => {}) // Whoever waits for something races with it.
  const onFailure = (error: Error): void => abort.abort(error)
  const publisher = new Client({ ...target, clientId: 'bench-retain-pub', space, onFailure })
  const subscriber = new Client({ ...target, clientId: 'bench-retain-sub', space, onFailure })
  try {
    await publisher.connect()
    await Promise.race([fill(publisher, options.topics), failed])
    await subscriber.connect()
    const from = { cpu: sampleCpu(target.pid), at: performance.now() }
    const medianMs: Record<string, number> = {}
    let subscribes = 0
    for (const shape of Object.keys(filters) as Shape[]) {
      const times = await Promise.race([timeSubscribes(subscriber, shape, options), failed])
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
    await Promise.all([publisher.end(), subscriber.end()])
  }
}

function fill(client: Client, topics: number): Promise<void> {
  return new Promise(resolve => {
    let sent = 0
    let acknowledged = 0
    const send = (): void => {
      const packets: Buffer[] = []
      for (; sent < topics && sent - acknowledged < WINDOW; sent++) {
        packets.push(
          publishPacket({
            topic: topicOf(sent),
            payload: Buffer.from(payloadOf(sent)),
            qos: 1,
            retain: true,
            packetId: (sent % 65_535) + 1,
          }),
        )
      }
      if (packets.length > 0) client.write(Buffer.concat(packets))
    }
    client.sink = {
      publish: refusePublish,
      puback: packetId => {
        if (packetId !== (acknowledged % 65_535) + 1) throw new Error(`PUBACK ${packetId} came out of order`)
        acknowledged++
        if (acknowledged === topics) resolve()
        else if (sent - acknowledged <= WINDOW / 2) send()
      },
    }
    send()
  })
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
    const filter = filters[shape](number)
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
  const topic = topicOf(number)
  return new Promise(resolve => {
    let seen = false
    const sink: PacketSink = {
      publish(first, bytes, _view, at, end) {
        const name = bytes.toString('latin1', at + 2, at + 2 + topic.length)
        const payload = bytes.toString('latin1', at + 4 + topic.length, end)
        const isWanted = first === RETAINED_AT_QOS_1 && name === topic && payload === payloadOf(number)
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
