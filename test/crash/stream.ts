/** What one publisher sends to one topic: messages numbered from 0, and what became of each. */
export interface StreamOptions {
  readonly index: number
  readonly publisher: string
  readonly topic: string
  readonly qos: 1 | 2
  readonly retain?: boolean
  /** Every second message is empty and so clears the retained one. Nobody who keeps a record may subscribe to it. */
  readonly clears?: boolean
}

export class Stream {
  readonly index: number
  readonly publisher: string
  readonly topic: string
  readonly qos: 1 | 2
  readonly retain: boolean
  readonly clears: boolean
  /** By number: when it was first sent, on the ledger's clock. */
  readonly sentAt: number[] = []
  /** By number: when PUBACK or PUBCOMP came, on the ledger's clock; Infinity before. */
  readonly acknowledgedAt: number[] = []
  /** By number: how many PUBLISH packets carried it. */
  readonly transmissions: number[] = []
  acknowledged = 0
  highestAcknowledged = -1

  constructor(options: StreamOptions) {
    this.index = options.index
    this.publisher = options.publisher
    this.topic = options.topic
    this.qos = options.qos
    this.retain = options.retain ?? false
    this.clears = options.clears ?? false
  }

  get length(): number {
    return this.sentAt.length
  }

  isClear(number: number): boolean {
    return this.clears && number % 2 === 1
  }

  /** How many times it may be routed: at QoS 2 the hub has to see that a repeated PUBLISH is the same message. */
  instances(number: number): number {
    return this.qos === 2 ? 1 : (this.transmissions[number] as number)
  }

  send(now: number): number {
    this.acknowledgedAt.push(Number.POSITIVE_INFINITY)
    this.transmissions.push(1)
    return this.sentAt.push(now) - 1
  }

  acknowledge(number: number, now: number): void {
    this.acknowledgedAt[number] = now
    this.acknowledged++
    if (number > this.highestAcknowledged) this.highestAcknowledged = number
  }
}

/** The text carries all that is needed to know the message again, and how long it has to be. */
export function encodePayload(stream: Stream, number: number, size: number): Buffer {
  if (stream.isClear(number)) return Buffer.alloc(0)
  const head = Buffer.from(`${stream.index} ${number} ${size} `)
  return Buffer.concat([head, Buffer.alloc(size, fillOf(number))])
}

/** Null when these are not the bytes that were published. */
export function decodePayload(payload: Buffer): { stream: number; number: number } | null {
  const match = /^(\d+) (\d+) (\d+) /.exec(payload.toString('latin1', 0, 40))
  if (match === null) return null
  const [head, stream, number, size] = match
  const body = payload.subarray(head.length)
  const fill = fillOf(Number(number))
  if (body.length !== Number(size)) return null
  for (const byte of body) if (byte !== fill) return null
  return { stream: Number(stream), number: Number(number) }
}

function fillOf(number: number): number {
  return 33 + (number % 90)
}
