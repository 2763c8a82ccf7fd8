import type { Socket } from 'node:net'
import { Duplex } from 'node:stream'
import { WebSocket } from 'ws'
import { messageOf } from '../common/index.ts'

const BINARY = { binary: true, compress: false, fin: true }

/**
 * A WebSocket as a stream of bytes: how these are cut into messages means nothing [MQTT-6.0.0-2]. A write becomes one
 * message and is done when the socket below has passed it on. `end` says goodbye, `destroy` cuts at once.
 */
export abstract class WebSocketStream extends Duplex {
  protected readonly ws: WebSocket
  protected readonly socket: Socket
  /** Messages given to the socket that it has not reported as sent. */
  #unsent = 0
  /** Of the write that waits for them. */
  #written: ((failure?: Error | null) => void) | null = null

  constructor(ws: WebSocket, socket: Socket) {
    super({ allowHalfOpen: false })
    this.ws = ws
    this.socket = socket
    ws.on('message', (data, isBinary) => this.#onMessage(data as Buffer, isBinary))
    ws.on('error', failure => this.#onViolation(messageOf(failure), failure))
    ws.on('close', (code, reason) => this.#onClose(code, reason))
  }

  /** The peer broke the protocol, and is perhaps being told so. The error that ends the stream. */
  protected abstract violated(problem: string, cause?: Error): Error
  /** What the peer closed the WebSocket for; null: it was done. */
  protected abstract complaint(code: number, reason: Buffer): Error | null
  /** The peer is being told why: it is not to be cut off before. */
  protected abstract get isExplaining(): boolean

  override _read(): void {
    if (this.ws.isPaused) this.ws.resume()
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: (failure?: Error | null) => void): void {
    if (!this.#isOpen(callback)) return
    this.#send(chunk)
    this.#await(callback)
  }

  override _writev(
    chunks: { chunk: Buffer; encoding: BufferEncoding }[],
    callback: (failure?: Error | null) => void,
  ): void {
    if (!this.#isOpen(callback)) return
    this.socket.cork()
    for (const { chunk } of chunks) this.#send(chunk)
    this.socket.uncork()
    this.#await(callback)
  }

  override _final(callback: () => void): void {
    this.ws.close(1000)
    callback()
  }

  override _destroy(failure: Error | null, callback: (failure: Error | null) => void): void {
    if (!this.isExplaining) this.ws.terminate()
    callback(failure)
  }

  #isOpen(callback: (failure: Error) => void): boolean {
    if (this.ws.readyState === WebSocket.OPEN) return true
    callback(Object.assign(new Error('the peer has closed the WebSocket'), { code: 'EPIPE' }))
    return false
  }

  #send(chunk: Buffer): void {
    this.#unsent++
    this.ws.send(chunk, BINARY, this.#onSent)
  }

  /** Most often the kernel has taken everything by now, and the write is done without another turn. */
  #await(callback: (failure?: Error | null) => void): void {
    if (this.socket.writableLength === 0) callback()
    else this.#written = callback
  }

  readonly #onSent = (failure?: Error | null): void => {
    this.#unsent--
    const written = this.#written
    if (written === null || (this.#unsent > 0 && !failure)) return
    this.#written = null
    written(failure)
  }

  #onMessage(data: Buffer, isBinary: boolean): void {
    if (this.destroyed) return
    if (!isBinary) {
      this.ws.close(1003, 'MQTT needs binary frames') // [MQTT-6.0.0-1]
      this.#onViolation('it sent a text frame [MQTT-6.0.0-1]')
    } else if (data.length > 0 && !this.push(data)) {
      this.ws.pause()
    }
  }

  #onViolation(problem: string, cause?: Error): void {
    if (!this.destroyed) this.destroy(this.violated(problem, cause))
  }

  #onClose(code: number, reason: Buffer): void {
    if (this.destroyed) return
    const complaint = this.complaint(code, reason)
    if (complaint !== null) {
      this.destroy(complaint)
      return
    }
    this.push(null)
    // Also for an owner that does not read at the moment; what it has not read yet stays for it.
    if (this.readableLength === 0) this.read(0)
  }
}
