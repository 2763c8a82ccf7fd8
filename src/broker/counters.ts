/** What a hub has done since it started. Plain numbers: adding to them is all they cost. */
export class Counters {
  connectionsAccepted = 0
  connectionsRefused = 0
  /** Application messages taken from clients. */
  messagesReceived = 0
  /** Application messages written to clients. */
  messagesSent = 0
  /** Bytes of payloads taken from clients. */
  publishBytesReceived = 0
  /** Bytes of payloads written to clients. */
  publishBytesSent = 0
  /** Packets other than PUBLISH taken from clients. */
  controlReceived = 0
  /** Packets other than PUBLISH written to clients. */
  controlSent = 0
  /** All bytes read from connections. */
  bytesReceived = 0
  /** All bytes written to connections. */
  bytesSent = 0
  /** Most clients that were connected at one time. */
  clientsMaximum = 0
  /** Kept sessions forgotten because their clients stayed away (session.expiry). */
  sessionsExpired = 0
  /** Messages that rules have forwarded, and those they have dropped. */
  forwarded = 0
  forwardsDropped = 0
  /** QoS 0 messages thrown away because their receiver was too slow. */
  droppedQos0 = 0
  /** QoS 1 and 2 messages thrown away because a session's queue was full. */
  droppedQueued = 0
  /** QoS 1 and 2 messages thrown away because they had waited for too long. */
  droppedExpired = 0
  /** QoS 1 and 2 messages neither stored nor acknowledged: storage full or failing, or refused by a full queue. */
  refused = 0
  /** Retained messages not stored because the limit was reached. */
  droppedRetained = 0
  /** Connections closed because of what the client sent. */
  protocolErrors = 0
}
