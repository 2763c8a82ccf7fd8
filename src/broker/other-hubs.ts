import type { AedesPublishPacket } from 'aedes'
import { payloadOf } from './aedes-packets.ts'
import type { Hub } from './hub.ts'

const FROM_HUB = /^\$SYS\/([^/]+)\/(heartbeat|new\/clients)$/

/** What hubs that share an emitter tell each other: that they live, and whose client identifiers they have. */
export function hearOtherHubs(hub: Hub, packet: AedesPublishPacket): void {
  const said = FROM_HUB.exec(packet.topic)
  if (said === null) return
  const about = payloadOf(packet).toString()
  if (said[2] === 'heartbeat') hub.brokers[about] = Date.now()
  else if (said[1] !== hub.id) hub.clients[about]?.terminate('taken over by another hub', false)
}
