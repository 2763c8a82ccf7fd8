import { Duplex } from 'node:stream'

/** What a channel is the far end of. */
export interface ControlPeer {
  /** Bytes of one or more packets. */
  sendControl(bytes: Buffer): void
  /** Nothing more comes; `done` when all that was sent has left. */
  finishControl(done: () => void): void
  /** The client gives the connection up. */
  abandon(): void
}

type Written = { readonly chunk: Buffer; readonly encoding: BufferEncoding }

/**
 * The stream that MQTT.js speaks on. It carries all packets but PUBLISH and its acknowledgements, which go by it: see
 * Connection.
 */
export class ControlChannel extends Duplex {
  readonly #peer: ControlPeer

  constructor(peer: ControlPeer) {
    super({ allowHalfOpen: true })
    this.#peer = peer
  }

  override _read(): void {
    // What comes is pushed when it comes: it is a few bytes a minute.
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#peer.sendControl(chunk)
    done()
  }

  override _writev(written: Written[], done: (error?: Error | null) => void): void {
    this.#peer.sendControl(Buffer.concat(written.map(({ chunk }) => chunk)))
    done()
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#peer.finishControl(() => done())
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#peer.abandon()
    done(error)
  }
}
