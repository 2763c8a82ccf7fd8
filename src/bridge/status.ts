import { byteLengthOfRemaining, writeRemaining } from '../wire/index.ts'
import type { LinkFigures } from './figures.ts'
import type { WillMessage } from './mqtt-session.ts'

/** What `{rule}` in status.topic stands for. */
const RULE = /\{rule\}/g
const NONE = 'none'

/** What the hub is told of a rule, as JSON, retained. */
export interface RuleState {
  /** Messages can pass. */
  readonly connected: boolean
  /** Since when that is so, ISO 8601; null: it is not known. */
  readonly since: string | null
  /** Why not; empty when connected. */
  readonly error: string
}

/** The topic that tells of a rule; null: none does. */
export function statusTopic(setting: string, rule: string): string | null {
  return setting === NONE ? null : setting.replace(RULE, () => rule)
}

/** The state of a rule, from that of the link to its remote: the hub is there for whoever reads it. */
export function stateOf(remote: LinkFigures): RuleState {
  const connected = remote.phase === 'connected'
  return { connected, since: new Date(remote.since).toISOString(), error: connected ? '' : remote.lastError }
}

/** What the hub says when the bridge has gone without a word. */
export function willOf(topic: string): WillMessage {
  const state: RuleState = { connected: false, since: null, error: 'the bridge is not connected to this hub' }
  return { topic, payload: JSON.stringify(state), retain: true }
}

/** A PUBLISH packet of QoS 0, retained. An empty payload clears what was retained. */
export function retainedPacket(topic: string, payload: string): Buffer {
  const topicLength = Buffer.byteLength(topic)
  const rest = 2 + topicLength + Buffer.byteLength(payload)
  const packet = Buffer.alloc(1 + byteLengthOfRemaining(rest) + rest)
  packet[0] = 0x31
  const at = writeRemaining(packet, 1, rest)
  packet.writeUInt16BE(topicLength, at)
  packet.write(topic, at + 2)
  packet.write(payload, at + 2 + topicLength)
  return packet
}
