/** Clients in JavaScript that devices and programs use: MQTT.js on all transports, and MQTT.js on websocket-stream. */
import mqtt, { type IClientOptions, type IConnackPacket, type MqttClient } from 'mqtt'
import openWebSocketStream from 'websocket-stream'
import { ACCOUNT, type ClientHub } from './client-hub.ts'
import type { Cleanup, Transport } from './raw-client.ts'

export interface ClientKind {
  readonly name: string
  readonly transport: Transport
  /** The unmaintained way to speak MQTT over WebSockets, on ws 3, which devices in the field still use. */
  readonly isOld: boolean
}

export const CLIENT_KINDS: readonly ClientKind[] = [
  ...(['tcp', 'tls', 'ws', 'wss'] as const).map(transport => ({
    name: `MQTT.js over ${transport}`,
    transport,
    isOld: false,
  })),
  ...(['ws', 'wss'] as const).map(transport => ({
    name: `websocket-stream over ${transport}`,
    transport,
    isOld: true,
  })),
]

/** A certificate to show, or null; and the options of MQTT.js. */
export interface ClientOptions extends IClientOptions {
  readonly showCertificate?: boolean
}

/**
 * A client with the account of the tests unless told otherwise, that is about to connect; ended when the test is over.
 * What a kept session has for it may come in one chunk with CONNACK: who wants that listens before connected().
 */
export function openClient(
  t: Cleanup,
  hub: ClientHub,
  kind: ClientKind,
  { showCertificate = false, ...more }: ClientOptions = {},
): MqttClient {
  const { ca, cert, key } = hub.pem
  const tls = kind.transport === 'tls' || kind.transport === 'wss' ? { ca, ...(showCertificate && { cert, key }) } : {}
  const options: IClientOptions = {
    ...ACCOUNT,
    ...tls,
    protocolVersion: 4,
    reconnectPeriod: 0,
    connectTimeout: 10_000,
    ...more,
  }
  const url = hub.url(kind.transport)
  const client = kind.isOld
    ? new mqtt.MqttClient(() => openWebSocketStream(`${url}/mqtt`, ['mqttv3.1'], tls) as never, options)
    : mqtt.connect(url, options)
  t.after(() => {
    client.end(true)
  })
  return client
}

/** Waits for CONNACK. Fails when it refuses. */
export function connected(client: MqttClient): Promise<IConnackPacket> {
  return new Promise((resolve, reject) => {
    client.once('connect', resolve)
    client.on('error', reject) // stays: later ones change nothing
    client.once('close', () => reject(new Error('closed before it was connected')))
  })
}

/** Waits until the connection has ended. */
export function closed(client: MqttClient): Promise<void> {
  return new Promise(resolve => {
    client.once('close', resolve)
  })
}

/** As openClient, with the connection made. */
export async function connectClient(...args: Parameters<typeof openClient>): Promise<MqttClient> {
  const client = openClient(...args)
  await connected(client)
  return client
}

/** A message as MQTT.js hands it over. */
export interface Arrival {
  readonly topic: string
  readonly payload: Buffer
  readonly qos: number
  readonly retain: boolean
  readonly dup: boolean
}

/** What a client has received, in order. */
export class Inbox {
  readonly arrivals: Arrival[] = []
  #wanted = Number.POSITIVE_INFINITY
  #wake: (() => void) | null = null

  constructor(client: MqttClient) {
    client.on('message', (topic, payload, { qos, retain, dup }) => {
      this.arrivals.push({ topic, payload, qos, retain, dup })
      if (this.arrivals.length >= this.#wanted) this.#wake?.()
    })
  }

  /** Waits until there are this many messages. */
  async until(count: number, timeoutMs = 30_000): Promise<Arrival[]> {
    if (this.arrivals.length < count) {
      await new Promise<void>((resolve, reject) => {
        const late = (): void => reject(new Error(`${this.arrivals.length} of ${count} messages in ${timeoutMs} ms`))
        const timer = setTimeout(late, timeoutMs)
        this.#wanted = count
        this.#wake = () => {
          clearTimeout(timer)
          resolve()
        }
      })
      this.#wanted = Number.POSITIVE_INFINITY
    }
    return this.arrivals
  }
}
