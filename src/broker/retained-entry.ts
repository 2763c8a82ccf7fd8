import type { Message } from './message.ts'

/** A stored retained message as the index knows it: all but the payload, which may be on disk only. */
export class RetainedEntry {
  readonly topic: string
  /** Bytes of topic and payload. */
  size = 0
  /** The QoS it was published with. */
  qos = 0
  /** The message itself while it is in memory; null: it can be read from the store. */
  message: Message | null = null
  /** Raised with each new message: tells whether what was read is still what is retained. */
  version = 0
  /** The topic has no retained message any more, or has got another entry since. */
  isGone = false
  /** How often it is among what the store has not written yet; until it is, memory alone has the message. */
  pins = 0
  /** Its place in the cache; -1: it can't be thrown out, or is not there. */
  slot = -1
  /** Somebody wanted it since the cache last looked at it. */
  isUsed = false

  constructor(topic: string) {
    this.topic = topic
  }

  /** Another message takes its place. */
  become(size: number, qos: number): void {
    this.size = size
    this.qos = qos
    this.version++
  }
}
