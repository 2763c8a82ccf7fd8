import { type Client, refusePublish } from './client.ts'
import { publishPacket } from './packets.ts'

/** QoS 1 messages that may be unacknowledged while the topics are filled. */
const WINDOW = 500
/** Topics are spread over this many groups: `retained/<group>/<number>/state`. */
const GROUPS = 100

/** Each filter matches one topic only. */
export const retainedFilters = {
  exact: retainedTopic,
  plus: (number: number): string => `retained/+/${number}/state`,
  hash: (number: number): string => `retained/${number % GROUPS}/${number}/#`,
} as const

export type Shape = keyof typeof retainedFilters

/** The filter that matches all. */
export const ALL_RETAINED = 'retained/#'

export function retainedTopic(number: number): string {
  return `retained/${number % GROUPS}/${number}/state`
}

export function retainedPayload(number: number): string {
  return `state ${number}`
}

/** Publishes a retained message on each of so many topics; resolves when all are acknowledged. */
export function fillRetained(client: Client, topics: number): Promise<void> {
  return new Promise(resolve => {
    let sent = 0
    let acknowledged = 0
    const send = (): void => {
      const packets: Buffer[] = []
      for (; sent < topics && sent - acknowledged < WINDOW; sent++) {
        packets.push(
          publishPacket({
            topic: retainedTopic(sent),
            payload: Buffer.from(retainedPayload(sent)),
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
