import type { Output } from '../wire/index.ts'
import type { Message } from './message.ts'

/** The connection of a session, as far as delivery needs it. */
export interface Receiver {
  readonly output: Output
  /** Application messages written. */
  sent: number
  /** The peer does not keep up: QoS 0 beyond a limit is dropped, QoS 1 and 2 wait in the session's queue. */
  readonly blocked: boolean
  /** QoS 0 messages in the output since it was last written. */
  pendingQos0: number
  /** Whether forward() has to be asked. */
  readonly forwards: boolean
  /** The message as this client may see it; null keeps it away. */
  forward(message: Message): Message | null
  /** Sends an acknowledgement, behind what it promises to be stored. */
  acknowledge(firstByte: number, packetId: number): void
  markDirty(): void
  flush(): void
}
