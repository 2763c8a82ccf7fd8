import { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'

/** Bytes one read may bring: two of the reads that libuv would make. */
const SIZE = 131_072

/** Called with the socket as `this`; false would stop reading. */
type OnRead = (this: Socket, length: number, buffer: Buffer) => boolean

/** What `onread` of net.Socket sets, which sockets that a server accepted have no public way to. */
interface Slots {
  readonly buffer: symbol
  readonly callback: symbol
}

interface Handle {
  useUserBuffer?(buffer: Buffer): void
}

/**
 * One buffer that all sockets of a hub read into, in place of 64 KiB allocated for every read: that allocation, and
 * the full garbage collections that so much memory outside the heap sets off, cost more than routing. What is read is
 * gone with the next read, so whoever keeps bytes copies them.
 *
 * It is what the documented option `onread` does. A server's sockets can't be given that option, so its two slots are
 * looked up by name; where they are not found, sockets are read in the ordinary way.
 */
export class ReadBuffer {
  readonly #bytes = Buffer.allocUnsafeSlow(SIZE)
  readonly #slots = findSlots()

  /** Has the socket read into this buffer. False when it can't; then its 'data' events are as ever. */
  attach(stream: object, onRead: OnRead): boolean {
    const slots = this.#slots
    // TLS hands over what it decrypted, in memory of its own.
    if (slots === null || !(stream instanceof Socket) || stream instanceof TLSSocket) return false
    const handle = (stream as Socket & { _handle?: Handle | null })._handle
    if (typeof handle?.useUserBuffer !== 'function' || stream.readableLength > 0) return false
    const fields = stream as unknown as Record<symbol, unknown>
    fields[slots.buffer] = this.#bytes
    fields[slots.callback] = onRead
    handle.useUserBuffer(this.#bytes)
    return true
  }
}

function findSlots(): Slots | null {
  const probe = new Socket()
  const symbols = Object.getOwnPropertySymbols(probe)
  probe.destroy()
  const buffer = symbols.find(symbol => symbol.description === 'kBuffer')
  const callback = symbols.find(symbol => symbol.description === 'kBufferCb')
  return buffer === undefined || callback === undefined ? null : { buffer, callback }
}
