import type { SessionLog } from './session-log.ts'

/** A run of messages on its way to disk: stored once, however many sessions wait for it. */
export class LogRecord {
  /** The number of its first message. */
  readonly seq: number
  readonly count: number
  /** Bytes of topics and payloads. */
  readonly size: number
  /** Milliseconds since 1970. */
  readonly time: number
  /** PUBLISH packets, one behind the other. */
  readonly packets: Buffer
  /** One for each session that waits. */
  readonly entries: LogEntry[] = []

  constructor(seq: number, count: number, size: number, time: number, packets: Buffer) {
    this.seq = seq
    this.count = count
    this.size = size
    this.time = time
    this.packets = packets
  }
}

/** A run of messages that one session waits for. */
export class LogEntry {
  readonly log: SessionLog
  readonly seq: number
  /** The first so many messages of the run. */
  readonly count: number
  readonly size: number
  readonly qos: number
  /** Messages that the client does not have yet. */
  left: number
  /** It is in the database, or in the batch that is being written. */
  isWritten = false
  /** All sessions that share the record; null: it lies in the entry itself. */
  holders: readonly number[] | null = null

  constructor(log: SessionLog, seq: number, count: number, size: number, qos: number) {
    this.log = log
    this.seq = seq
    this.count = count
    this.size = size
    this.qos = qos
    this.left = count
  }
}
