import { type ErrorWithSubackPacket, type IClientOptions, MqttClient } from 'mqtt'
import type { Connection } from './connection.ts'
import { KeepaliveLost } from './failure-kinds.ts'

/** AWS IoT takes no more filters in one SUBSCRIBE packet. */
const FILTERS_A_PACKET = 8
/** Packets that are sent before one is answered. */
const PACKETS_AT_ONCE = 16
const REFUSED = 0x80
/** The packet [MQTT-3.14.1-1]. */
const DISCONNECT = Buffer.from([0xe0, 0])
/** We have time limits of our own. */
const NEVER_MS = 2_147_483_647

export interface Filter {
  readonly topic: string
  readonly qos: number
}

/** A message that the broker publishes when the connection breaks. */
export interface WillMessage {
  readonly topic: string
  readonly payload: string
  readonly retain: boolean
}

export interface SessionOptions {
  readonly clientId: string
  readonly clean: boolean
  readonly username: string
  readonly password: string
  readonly keepaliveMs: number
  readonly will: WillMessage | null
  /** Whether a packet identifier is free for SUBSCRIBE: it has them in common with PUBLISH [MQTT-2.3.1-2]. */
  readonly isFree: (packetId: number) => boolean
  /** The connection has to be given up. */
  readonly onFailure: (error: Error) => void
}

/** What is said on a connection besides messages: CONNECT, SUBSCRIBE, UNSUBSCRIBE, PINGREQ, DISCONNECT. By MQTT.js. */
export class MqttSession {
  readonly #client: MqttClient
  readonly #connection: Connection
  #isEnding = false
  /** Of the moment when nothing has come for too long. */
  #alive: NodeJS.Timeout | undefined

  /** Sends CONNECT. */
  constructor(connection: Connection, options: SessionOptions) {
    this.#connection = connection
    const { clientId, clean, username, password, keepaliveMs, will } = options
    const settings: IClientOptions = {
      protocolId: 'MQTT',
      protocolVersion: 4,
      clientId,
      clean,
      keepalive: Math.round(keepaliveMs / 1000),
      reconnectPeriod: 0, // a link makes a new one
      connectTimeout: NEVER_MS,
      resubscribe: false,
      queueQoSZero: false,
      writeCache: false,
      messageIdProvider: new PacketIds(options.isFree),
      ...(username !== '' && { username }),
      ...(username !== '' && password !== '' && { password }),
      ...(will !== null && { will: { ...will, payload: Buffer.from(will.payload), qos: 0 } }),
    }
    this.#client = new MqttClient(() => connection.channel, settings)
    this.#client.on('error', error => {
      if (!connection.isClosed) options.onFailure(error)
    })
    this.#client.onKeepaliveTimeout = () => this.#checkAlive(keepaliveMs, options.onFailure)
  }

  /** Calls back when CONNACK has said yes. */
  onAccepted(listener: () => void): void {
    this.#client.once('connect', listener)
  }

  /** Resolves with the filters that were refused [MQTT-3.9.3-2]; rejects when the connection ends before all are answered. */
  async subscribe(filters: readonly Filter[]): Promise<string[]> {
    const packets = packetsOf(filters, (a, b) => a.qos === b.qos)
    const refused: string[] = []
    for (let at = 0; at < packets.length; at += PACKETS_AT_ONCE) {
      const some = packets.slice(at, at + PACKETS_AT_ONCE)
      for (const each of await Promise.all(some.map(packet => this.#subscribe(packet)))) refused.push(...each)
    }
    return refused
  }

  async unsubscribe(filters: readonly string[]): Promise<void> {
    for (const packet of packetsOf(filters, () => true)) {
      this.#checkOpen()
      await this.#client.unsubscribeAsync(packet)
    }
  }

  /** Sends DISCONNECT behind all that was said, and ends the connection. */
  end(): void {
    if (this.#isEnding) return
    this.#isEnding = true
    clearTimeout(this.#alive)
    // MQTT.js would wait for answers to all that it has asked.
    this.#connection.channel.end(DISCONNECT)
  }

  /** Lets go of a connection that is over. */
  abandon(): void {
    this.#isEnding = true
    clearTimeout(this.#alive)
    this.#client.end(true)
  }

  /**
   * Resolves with the filters that were refused. All have one QoS, so that they can be given as an array: to an object of MQTT.js
   * what a filter is called may mean something, and numbers change places.
   */
  #subscribe(filters: readonly Filter[]): Promise<string[]> {
    this.#checkOpen()
    const topics = filters.map(({ topic }) => topic)
    const qos = (filters[0]?.qos ?? 0) as 0 | 1 | 2
    return new Promise((resolve, reject) => {
      this.#client.subscribe(topics, { qos }, (error, _subscriptions, packet) => {
        const answer = packet ?? (error as ErrorWithSubackPacket | null)?.packet
        if (answer?.cmd !== 'suback') return reject(error ?? new Error('SUBSCRIBE was not answered'))
        const granted = answer.granted as readonly number[]
        resolve(topics.filter((_, i) => (granted[i] ?? REFUSED) >= REFUSED))
      })
    })
  }

  /** Nothing may follow DISCONNECT [MQTT-3.14.4-2]. */
  #checkOpen(): void {
    if (this.#isEnding) throw new Error('the connection ends')
  }

  /**
   * MQTT.js knows nothing of messages: any bytes are a sign of life, and who is not read from can't give one. It comes here
   * half a keep alive after a ping that was not answered.
   */
  #checkAlive(keepaliveMs: number, onFailure: (error: Error) => void): void {
    clearTimeout(this.#alive)
    if (this.#isEnding) return
    const { isPaused, lastRead } = this.#connection
    const left = lastRead + 1.5 * keepaliveMs - performance.now()
    if (left <= 0 && !isPaused) {
      onFailure(new KeepaliveLost())
      return
    }
    this.#client.sendPing()
    this.#client.reschedulePing(true)
    // What is rescheduled begins now; what is counted began with the last byte.
    if (!isPaused) this.#alive = setTimeout(() => this.#checkAlive(keepaliveMs, onFailure), Math.ceil(left) + 1)
  }
}

/** Filters in their order, those together that may be in one packet. */
function packetsOf<T>(filters: readonly T[], mayShare: (a: T, b: T) => boolean): T[][] {
  const packets: T[][] = []
  for (const filter of filters) {
    const last = packets.at(-1)
    if (last?.[0] !== undefined && last.length < FILTERS_A_PACKET && mayShare(last[0], filter)) last.push(filter)
    else packets.push([filter])
  }
  return packets
}

/** Packet identifiers from the upper end, away from those of messages. */
class PacketIds {
  readonly #isFree: (packetId: number) => boolean
  #last = 0

  constructor(isFree: (packetId: number) => boolean) {
    this.#isFree = isFree
  }

  allocate(): number | null {
    for (let id = this.#last > 1 ? this.#last - 1 : 65_535, tries = 0; tries < 65_535; tries++) {
      if (this.#isFree(id)) {
        this.#last = id
        return id
      }
      id = id > 1 ? id - 1 : 65_535
    }
    return null
  }

  getLastAllocated(): number | null {
    return this.#last === 0 ? null : this.#last
  }

  register(packetId: number): boolean {
    return this.#isFree(packetId)
  }

  deallocate(): void {
    // Whether it is free is not known here.
  }

  clear(): void {
    this.#last = 0
  }
}
