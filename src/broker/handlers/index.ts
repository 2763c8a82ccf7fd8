import type { ConnectPacket } from 'aedes'
import {
  CONNECT,
  DISCONNECT,
  PINGREQ,
  PINGRESP,
  PUBACK,
  PUBCOMP,
  PUBREC,
  PUBREL,
  SUBSCRIBE,
  UNSUBSCRIBE,
} from '../../wire/index.ts'
import type { Client } from '../client.ts'
import { decode } from '../decode.ts'
import { guardPacket } from '../packet-guard.ts'
import { MisplacedPacket, ProtocolError } from '../protocol-error.ts'
import { handleAcknowledgement } from './acknowledgements.ts'
import { handleConnect } from './connect.ts'
import { refuseConnect } from './refuse-connect.ts'
import { applySubscribe } from './subscribe.ts'
import { applyUnsubscribe } from './unsubscribe.ts'

/**
 * Handles one whole packet that is no PUBLISH: acknowledgements in place, the others decoded by mqtt-packet after
 * guardPacket has found them well-formed. Returns false when reading has to wait for the handler.
 */
export function handlePacket(client: Client, chunk: Buffer, start: number, body: number, end: number): boolean {
  const type = (chunk[start] as number) >> 4
  const verdict = guardPacket(chunk, start, body, end)
  if (verdict === 'bad-protocol-level') {
    if (client.connecting || client.connected) return refuse(client, 'second CONNECT [MQTT-3.1.0-2]')
    return client.wait(refuseConnect(client, 1, 'unacceptable protocol version')) // [MQTT-3.1.2-2]
  }
  if (verdict !== 'ok') return refuse(client, verdict.problem)
  switch (type) {
    case PUBACK:
    case PUBREC:
    case PUBREL:
    case PUBCOMP:
      return handleAcknowledgement(client, type, ((chunk[body] as number) << 8) | (chunk[body + 1] as number))
    case PINGREQ:
      client.hub.emit('ping', { cmd: 'pingreq' }, client)
      sendPingresp(client)
      return true
    case DISCONNECT:
      client.disconnected = true
      client.terminate('disconnected', true) // [MQTT-3.14.4-1] [MQTT-3.14.4-2]
      return false
    case CONNECT:
    case SUBSCRIBE:
    case UNSUBSCRIBE:
      break
    default:
      return refuse(client, `packet type ${type} is not for a server [MQTT-2.2.2-1]`)
  }
  const packet = decode(chunk.subarray(start, end))
  if (packet instanceof Error) return refuse(client, packet.message)
  if (packet.cmd === 'subscribe') return client.wait(applySubscribe(client, packet))
  if (packet.cmd === 'unsubscribe') return client.wait(applyUnsubscribe(client, packet))
  if (client.connecting || client.connected) {
    client.fail(new MisplacedPacket('second CONNECT [MQTT-3.1.0-2]', packet))
    return false
  }
  client.connecting = true
  return client.wait(handleConnect(client, packet as ConnectPacket))
}

/** Behind acknowledgements that wait for the disk, but not for a disk that fails [MQTT-3.12.4-1]. */
function sendPingresp(client: Client): void {
  const { held } = client
  if (held !== null && client.hub.state.store?.commit.failure === null) {
    held.append(PINGRESP)
    return
  }
  client.output.control(PINGRESP)
  client.markDirty()
}

function refuse(client: Client, problem: string): false {
  client.fail(new ProtocolError(problem))
  return false
}
