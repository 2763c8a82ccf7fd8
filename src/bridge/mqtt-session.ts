import { type ErrorWithSubackPacket, type IClientOptions, type ISubscriptionMap, MqttClient } from 'mqtt'
import type { Connection } from './connection.ts'
import { KeepaliveLost } from './failure-kinds.ts'

/** AWS IoT takes no more filters in one SUBSCRIBE packet. */
const FILTERS_A_PACKET = 8
const REFUSED = 0x80
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
    const refused: string[] = []
    for (let at = 0; at < filters.length; at += FILTERS_A_PACKET) {
      const some = filters.slice(at, at + FILTERS_A_PACKET)
      const granted = await this.#subscribe(some)
      refused.push(...some.filter((_, i) => (granted[i] ?? REFUSED) >= REFUSED).map(({ topic }) => topic))
    }
    return refused
  }

  async unsubscribe(filters: readonly string[]): Promise<void> {
    for (let at = 0; at < filters.length; at += FILTERS_A_PACKET) {
      await this.#client.unsubscribeAsync(filters.slice(at, at + FILTERS_A_PACKET))
    }
  }

  /** Sends DISCONNECT behind all that was said, and ends the connection. */
  end(): void {
    this.#client.end(false)
  }

  /** Lets go of a connection that is over. */
  abandon(): void {
    this.#client.end(true)
  }

  #subscribe(filters: readonly Filter[]): Promise<readonly number[]> {
    // No map of ours: MQTT.js takes the keys of an object, and a filter may be `__proto__`.
    const wanted = Object.create(null) as ISubscriptionMap
    for (const { topic, qos } of filters) wanted[topic] = { qos: qos as 0 | 1 | 2 }
    return new Promise((resolve, reject) => {
      this.#client.subscribe(wanted, (error, _subscriptions, packet) => {
        const answer = packet ?? (error as ErrorWithSubackPacket | null)?.packet
        if (answer?.cmd === 'suback') resolve(answer.granted as readonly number[])
        else reject(error ?? new Error('SUBSCRIBE was not answered'))
      })
    })
  }

  /** MQTT.js knows nothing of messages: any bytes are a sign of life, and who is not read from can't give one. */
  #checkAlive(keepaliveMs: number, onFailure: (error: Error) => void): void {
    const connection = this.#connection
    if (connection.isPaused || performance.now() - connection.lastRead < keepaliveMs / 2) {
      this.#client.sendPing()
      this.#client.reschedulePing(true)
    } else onFailure(new KeepaliveLost())
  }
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
