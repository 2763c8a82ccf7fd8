import { randomUUID } from 'node:crypto'
import type { ConnectPacket, PublishPacket } from 'aedes'
import { topicNameProblem } from '../../common/index.ts'
import { payloadOf } from '../aedes-packets.ts'
import { isBridgeState } from '../bridge-state.ts'
import type { Client } from '../client.ts'
import { ask } from '../hooks.ts'
import { ConnectRefused, ProtocolError } from '../protocol-error.ts'
import { admit } from './admit.ts'
import { refuseConnect } from './refuse-connect.ts'

/** What OpenEdge takes as a Client Identifier; its length is a limit of its own. */
const OPENEDGE_CLIENT_ID = /^[0-9A-Za-z_-]+$/

/**
 * CONNECT: the checks in OpenEdge's order (credentials before the client identifier), then take-over, session and
 * CONNACK. The hooks of aedes are asked where aedes asks them.
 */
export async function handleConnect(client: Client, packet: ConnectPacket): Promise<void> {
  const hub = client.hub
  const proceed = await ask<boolean>(done => hub.preConnect(client.face, packet, done))
  if (client.closed) return
  if (proceed !== true) {
    client.terminate('refused by preConnect', false)
    return
  }
  const early = checkFormalities(client, packet)
  if (early !== null) return refuseConnect(client, early.errorCode, early.message)

  client.id = packet.clientId === '' ? `aedes_${randomUUID()}` : packet.clientId
  client.clean = packet.clean ?? true
  client.version = packet.protocolVersion ?? 4
  client.username = packet.username
  client.isBridge = isBridge(packet)

  const refused = await authenticate(client, packet)
  if (client.closed || hub.closed) return
  if (refused !== null) return refuseConnect(client, refused.errorCode, refused.message, refused)
  if (!isAllowedClientId(client, packet.clientId))
    return refuseConnect(client, 2, `client ID (${packet.clientId}) invalid`)
  if (packet.will !== undefined) {
    const problem = await takeWill(client, packet.will)
    if (problem !== null) return refuseConnect(client, 5, problem)
    if (client.closed) return
  }
  client.keepAlive(packet.keepalive ?? 0)
  await admit(client)
}

/** Bit 7 of the protocol level, as mosquitto does. */
function isBridge(packet: ConnectPacket): boolean {
  return (packet as { bridgeMode?: boolean }).bridgeMode === true
}

/** What can be said before the credentials are looked at. */
function checkFormalities(client: Client, packet: ConnectPacket): ConnectRefused | null {
  const { clientIdLengthOf31, keepAliveLimit } = client.hub.state.settings
  if (packet.clientId === '' && packet.clean !== true)
    return new ConnectRefused(2, 'identifier rejected: empty without clean session') // [MQTT-3.1.3-8]
  if (packet.protocolVersion === 3 && packet.clientId.length > clientIdLengthOf31)
    return new ConnectRefused(2, 'identifier rejected')
  // What is plugged in tells nobody that a message is a bridge's, so it would come back: bridges try again as ordinary clients.
  if (isBridge(packet) && (client.hub.link !== null || client.hub.isPlugged))
    return new ConnectRefused(1, 'bridges are not known here')
  const keepAlive = packet.keepalive ?? 0
  if (keepAliveLimit > 0 && (keepAlive === 0 || keepAlive > keepAliveLimit))
    return new ConnectRefused(6, 'keep alive limit exceeded')
  return null
}

/** Asks the hub's own principals, then the hook. */
async function authenticate(client: Client, packet: ConnectPacket): Promise<ConnectRefused | null> {
  const hub = client.hub
  const refused = await hub.door.identify(client, packet)
  if (refused !== null || client.closed) return refused
  try {
    const authenticated = await ask<boolean | null>(done =>
      hub.authenticate(client.face, packet.username, packet.password, done),
    )
    if (authenticated) return null
    return new ConnectRefused(5, 'not authorized')
  } catch (thrown) {
    const error = thrown instanceof Error ? thrown : new Error(String(thrown))
    const code = 'returnCode' in error && typeof error.returnCode === 'number' ? error.returnCode : 5
    const valid = code >= 2 && code <= 5 ? code : 5
    if (error.message === '') error.message = REASONS[valid] as string
    return new ConnectRefused(valid, error.message, error)
  }
}

const REASONS = [
  '',
  'unacceptable protocol version',
  'identifier rejected',
  'Server unavailable',
  'bad user name or password',
  'not authorized',
]

function isAllowedClientId(client: Client, clientId: string): boolean {
  if (clientId === '') return true // the server makes one [MQTT-3.1.3-6]
  const { clientIdCharset, clientIdLength } = client.hub.state.settings
  if (Buffer.byteLength(clientId) > clientIdLength) return false
  return clientIdCharset === 'any' || OPENEDGE_CLIENT_ID.test(clientId)
}

/** Keeps the Will until the end of the connection. Returns why it is not permitted; ends the connection when it is invalid. */
async function takeWill(client: Client, will: NonNullable<ConnectPacket['will']>): Promise<string | null> {
  const { topic: limits, dollarTopics } = client.hub.state.settings
  let problem = topicNameProblem(will.topic, limits)
  const isState = problem === null && client.isBridge && isBridgeState(will.topic)
  if (isState && !client.principal.mayPublish(will.topic)) return null // see Dispatch
  if (problem === null && !isState && !dollarTopics && will.topic.startsWith('$')) problem = 'starts with $'
  if (problem === null && !isState && isBridgeState(will.topic)) problem = 'is reserved for bridges'
  if (problem !== null) {
    client.fail(new ProtocolError(`will topic (${will.topic}) invalid: it ${problem}`))
    return null
  }
  if (!client.principal.mayPublish(will.topic)) return `will topic (${will.topic}) not permitted`
  client.will = {
    cmd: 'publish',
    topic: will.topic,
    payload: payloadOf(will as PublishPacket),
    qos: isState ? 0 : (will.qos ?? 0),
    retain: will.retain ?? false,
    dup: false,
  }
  return null
}
