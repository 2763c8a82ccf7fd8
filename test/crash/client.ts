import net from 'node:net'
import { connect, disconnect, type Packet, PacketDecoder } from '../support/packets.ts'
import type { Broker } from './broker.ts'
import type { Ledger } from './ledger.ts'

const RETRY_MS = 15
/** Seconds. Longer than any pause of the test. */
const KEEP_ALIVE = 60

export interface World {
  readonly broker: Broker
  readonly ledger: Ledger
}

/** A client that comes back by itself whenever its connection ends, as long as it is wanted online. */
export abstract class Client {
  readonly id: string
  protected readonly ledger: Ledger
  /** Clean Session of the next CONNECT. */
  protected isClean: boolean
  /** Counts the connections that were accepted. */
  protected connection = 0
  readonly #broker: Broker
  #socket: net.Socket | null = null
  #isWanted = false
  #isConnected = false
  #retry: NodeJS.Timeout | null = null

  constructor(id: string, isClean: boolean, { broker, ledger }: World) {
    this.id = id
    this.isClean = isClean
    this.#broker = broker
    this.ledger = ledger
  }

  get isConnected(): boolean {
    return this.#isConnected
  }

  get isWanted(): boolean {
    return this.#isWanted
  }

  goOnline(): void {
    this.#isWanted = true
    this.#open()
  }

  /** Polite: with DISCONNECT. */
  goOffline(isPolite: boolean): void {
    this.#isWanted = false
    if (this.#retry !== null) clearTimeout(this.#retry)
    this.#retry = null
    const socket = this.#socket
    if (socket === null) return
    if (isPolite && this.#isConnected) socket.end(disconnect())
    this.#gone(socket)
    if (!isPolite) socket.destroy()
  }

  /** Nothing is sent while there is no connection: the client's state says what is due then. */
  protected send(bytes: Uint8Array): void {
    if (this.#isConnected) this.#socket?.write(bytes)
  }

  /** CONNECT is about to be sent. */
  protected onAttempt(): void {}
  protected abstract onConnected(isSessionPresent: boolean): void
  protected abstract onPacket(packet: Packet): void
  /** The connection has ended. */
  protected onGone(): void {}

  #open(): void {
    if (!this.#isWanted || this.#socket !== null || this.#retry !== null) return
    const port = this.#broker.port
    if (port === null) {
      this.#later()
      return
    }
    const socket = net.connect({ host: '127.0.0.1', port, noDelay: true })
    const decoder = new PacketDecoder()
    this.#socket = socket
    socket.on('connect', () => {
      if (socket !== this.#socket) return // given up
      this.onAttempt()
      socket.write(connect({ clientId: this.id, cleanSession: this.isClean, keepAlive: KEEP_ALIVE }))
    })
    socket.on('error', () => {}) // 'close' follows
    socket.on('close', () => this.#gone(socket))
    socket.on('data', chunk => this.#take(socket, decoder, chunk))
  }

  #take(socket: net.Socket, decoder: PacketDecoder, chunk: Buffer): void {
    if (socket !== this.#socket) return // given up
    socket.cork()
    try {
      for (const packet of decoder.push(chunk)) {
        this.#handle(socket, packet)
        if (socket !== this.#socket) return
      }
    } catch (thrown) {
      this.ledger.violation('broken', `${this.id}: ${(thrown as Error).message}`)
      socket.destroy()
    } finally {
      socket.uncork()
    }
  }

  #handle(socket: net.Socket, packet: Packet): void {
    if (this.#isConnected) {
      this.onPacket(packet)
    } else if (packet.type !== 'connack') {
      throw new Error(`${packet.type} before CONNACK`)
    } else if (packet.returnCode !== 0) {
      if (!this.ledger.isFaulty) this.ledger.violation('stuck', `${this.id} is refused with ${packet.returnCode}`)
      socket.destroy()
    } else {
      this.#isConnected = true
      this.connection++
      this.onConnected(packet.sessionPresent)
    }
  }

  #gone(socket: net.Socket): void {
    if (socket !== this.#socket) return
    this.#socket = null
    const wasConnected = this.#isConnected
    this.#isConnected = false
    if (wasConnected) this.onGone()
    if (this.#isWanted) this.#later()
  }

  #later(): void {
    if (this.#retry !== null) return
    this.#retry = setTimeout(() => {
      this.#retry = null
      this.#open()
    }, RETRY_MS)
  }
}
