import type { Client } from '../client.ts'
import { ConnectRefused } from '../protocol-error.ts'

/** Answers CONNECT with a return code other than 0 and ends the connection [MQTT-3.2.2-5]. */
export async function refuseConnect(client: Client, code: number, reason: string, cause?: Error): Promise<void> {
  if (client.closed) return // it did not wait for the answer
  const connack = { cmd: 'connack' as const, returnCode: code, sessionPresent: false } // [MQTT-3.2.2-4]
  client.output.control(Buffer.from([0x20, 2, 0, code]))
  client.flush()
  client.hub.state.counters.connectionsRefused++
  client.hub.clientLog.refused(client, code, reason)
  client.hub.emit('connackSent', connack, client)
  const error =
    cause instanceof ConnectRefused && cause.cause instanceof Error ? cause.cause : new ConnectRefused(code, reason)
  Object.assign(error, { errorCode: code })
  client.failGently(error)
}
