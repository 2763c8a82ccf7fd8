import { PUBACK, PUBCOMP, PUBCOMP_BYTE, PUBREC, PUBREL_BYTE } from '../../wire/index.ts'
import { packetOf } from '../aedes-packets.ts'
import type { Client } from '../client.ts'
import { WAITS_PUBCOMP } from '../inflight.ts'
import type { Session } from '../session.ts'

/** PUBACK, PUBREC, PUBREL or PUBCOMP of a client. An identifier that waits for nothing is no error: it is answered where an answer is due. */
export function handleAcknowledgement(client: Client, type: number, packetId: number): boolean {
  const session = client.session
  if (session === null) return true
  if (type === PUBACK) puback(client, session, packetId)
  else if (type === PUBREC) return pubrec(client, session, packetId)
  else if (type === PUBCOMP) pubcomp(client, session, packetId)
  else return pubrel(client, session, packetId)
  return true
}

function puback(client: Client, session: Session, packetId: number): void {
  const message = session.onPuback(packetId)
  if (message === null) return
  const hub = client.hub
  hub.link?.acknowledged(client, packetId)
  if (hub.wantsAck) hub.emit('ack', { ...packetOf(message, hub), messageId: packetId }, client)
  if (session.queued > 0) session.pump()
}

function pubrec(client: Client, session: Session, packetId: number): boolean {
  const { link } = client.hub
  if (session.onPubrec(packetId) !== null && link !== null)
    return client.wait(link.received(client, packetId).then(() => sendPubrel(client, packetId)))
  sendPubrel(client, packetId)
  return true
}

function sendPubrel(client: Client, packetId: number): void {
  // A PUBREC that comes again is answered again: the PUBREL may have been lost. Behind PUBREL the client takes the
  // identifier for a new message: that the old one is done with must be known after a crash.
  client.acknowledge(PUBREL_BYTE, packetId)
}

function pubcomp(client: Client, session: Session, packetId: number): void {
  if (session.stateOf(packetId) !== WAITS_PUBCOMP) return
  session.onPubcomp(packetId)
  const hub = client.hub
  hub.link?.acknowledged(client, packetId)
  if (hub.wantsAck) hub.emit('ack', { cmd: 'pubrel', messageId: packetId }, client)
  if (session.queued > 0) session.pump()
}

function pubrel(client: Client, session: Session, packetId: number): boolean {
  const link = client.hub.link
  const had = session.receipts.release(packetId)
  if (had && session.log !== null) client.hub.state.store?.dropReceipt(session.log, packetId)
  if (link !== null) {
    return client.wait(link.releaseIncoming(client, packetId).then(() => sendPubcomp(client, packetId)))
  }
  sendPubcomp(client, packetId)
  return true
}

/** Sent whether or not the identifier was known [MQTT-4.3.3-2]. */
function sendPubcomp(client: Client, packetId: number): void {
  client.acknowledge(PUBCOMP_BYTE, packetId)
}
