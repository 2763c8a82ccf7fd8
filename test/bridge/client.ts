import net from 'node:net'
import { connect, disconnect, type Packet, PacketDecoder } from '../support/packets.ts'
import type { Ledger } from './ledger.ts'

const RETRY_MS = 20

export interface ClientOptions {
  readonly id: string
  /** Of the broker on 127.0.0.1; null while it does not run. */
  readonly port: () => number | null
  readonly ledger: Ledger
}

/** A client with a session that is kept, which comes back by itself whenever its connection ends. */
export abstract class Client {
  readonly id: string
  protected readonly ledger: Ledger
  readonly #port: () => number | null
  #socket: net.Socket | null = null
  #isWanted = false
  #isConnected = false
  #hadSession = false
  #retry: NodeJS.Timeout | null = null

  constructor({ id, port, ledger }: ClientOptions) {
    this.id = id
    this.#port = port
    this.ledger = ledger
  }

  get isConnected(): boolean {
    return this.#isConnected
  }

  goOnline(): void {
    this.#isWanted = true
    this.#open()
  }

  goOffline(): void {
    this.#isWanted = false
    if (this.#retry !== null) clearTimeout(this.#retry)
    this.#retry = null
    const socket = this.#socket
    if (socket === null) return
    if (this.#isConnected) socket.end(disconnect())
    this.#gone(socket)
    socket.destroySoon()
  }

  /** Nothing is sent while there is no connection: the client's state says what is due then. */
  protected send(bytes: Uint8Array): void {
    if (this.#isConnected) this.#socket?.write(bytes)
  }

  protected abstract onConnected(): void
  protected abstract onPacket(packet: Packet): void
  /** The broker has forgotten the session. */
  protected onSessionLost(): void {}

  #open(): void {
    if (!this.#isWanted || this.#socket !== null || this.#retry !== null) return
    const port = this.#port()
    if (port === null) {
      this.#later()
      return
    }
    const socket = net.connect({ host: '127.0.0.1', port, noDelay: true })
    const decoder = new PacketDecoder()
    this.#socket = socket
    socket.on('connect', () => {
      if (socket === this.#socket) socket.write(connect({ clientId: this.id, cleanSession: false, keepAlive: 0 }))
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
        if (this.#isConnected) this.onPacket(packet)
        else this.#onConnack(socket, packet)
        if (socket !== this.#socket) return
      }
    } catch (thrown) {
      this.ledger.violation('broken', `${this.id}: ${(thrown as Error).message}`)
      socket.destroy()
    } finally {
      socket.uncork()
    }
  }

  #onConnack(socket: net.Socket, packet: Packet): void {
    if (packet.type !== 'connack') throw new Error(`${packet.type} before CONNACK`)
    if (packet.returnCode !== 0) {
      this.ledger.violation('stuck', `${this.id} is refused with ${packet.returnCode}`)
      socket.destroy()
      return
    }
    if (this.#hadSession && !packet.sessionPresent) {
      this.ledger.violation('session', `that of ${this.id}`)
      this.onSessionLost()
    }
    this.#hadSession = true
    this.#isConnected = true
    this.onConnected()
  }

  #gone(socket: net.Socket): void {
    if (socket !== this.#socket) return
    this.#socket = null
    this.#isConnected = false
    if (this.#isWanted) this.#later()
  }

  #later(): void {
    this.#retry ??= setTimeout(() => {
      this.#retry = null
      this.#open()
    }, RETRY_MS)
  }
}
