import { EventEmitter } from 'node:events'
import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { Output } from './output.ts'
import { PacketReader, type PacketSink } from './packet-reader.ts'
import type { Flushable, HubState } from './state.ts'
import type { Peer } from './transport.ts'

/** A connection whose peer takes nothing is not read any more above this: its own acknowledgements have nowhere to go. */
const PAUSE_ABOVE = 2_097_152
/** How long a connection that we ended may take to close by itself. */
const LINGER_MS = 2000

type Attached = Duplex & { client?: Connection | undefined }

/** One transport connection: bytes in to the reader, gathered output, and an end that comes once. */
export abstract class Connection extends EventEmitter implements Flushable, PacketSink {
  /** The stream of the connection. */
  readonly conn: Duplex
  readonly peer: Peer
  closed = false
  readonly output: Output
  /** The peer does not keep up; since `blockedSince`. */
  blocked = false
  blockedSince = 0
  pendingQos0 = 0
  /** When the last whole packet came. */
  lastPacket: number
  protected readonly state: HubState
  readonly #reader: PacketReader
  #dirty = false
  #begun = false
  #paused = false
  #lingersUntil = 0
  /** The stream is destroyed; nothing more is written. */
  #isCut = false

  constructor(conn: Duplex, peer: Peer, state: HubState) {
    super()
    this.conn = conn
    this.peer = peer
    this.state = state
    this.lastPacket = state.now
    // Only a socket of the kernel says truthfully when it no longer refers to a chunk.
    this.output = new Output(state.pool, conn instanceof Socket)
    this.#reader = new PacketReader(this, state.settings.maxPacketBytes)
    ;(conn as Attached).client = this
    conn.on('data', onData)
    conn.on('drain', onDrain)
    conn.on('end', onEnd)
    conn.on('error', onError)
    conn.on('close', onClose)
  }

  abstract onPublish(chunk: Buffer, start: number, body: number, end: number): boolean
  abstract onPacket(chunk: Buffer, start: number, body: number, end: number): boolean
  abstract onMalformed(problem: string): void
  /** Sees the first bytes of the connection. */
  protected abstract begins(chunk: Buffer): void
  /** Before a chunk is read. */
  protected abstract beforeRead(): void
  /** After a chunk was read. */
  protected abstract afterRead(): void
  /** There is room again. */
  protected abstract onWritable(): void
  /** The transport ended or failed. */
  protected abstract onTransportEnd(error: Error | null): void
  /** The stream is gone for good. */
  protected abstract onGone(): void

  /** Has the output written at the end of this turn. */
  markDirty(): void {
    if (this.#dirty) return
    this.#dirty = true
    this.state.flushLater(this)
  }

  /** Writes the output now. */
  flush(): void {
    this.#dirty = false
    if (this.blocked || this.#isCut || this.output.size === 0) return
    this.state.counters.bytesSent += this.output.size
    if (this.output.writeTo(this.conn)) {
      if (!this.closed) this.onWritable()
    } else {
      this.blocked = true
      this.blockedSince = this.state.now
      this.pendingQos0 = 0
    }
  }

  /** Goes on reading after a handler that took its time. */
  protected resumeReading(): void {
    if (this.closed || !this.#reader.isStopped) return
    this.beforeRead()
    this.#reader.resume()
    this.afterRead()
    if (this.#paused && !this.#reader.isStopped) this.#unpause()
  }

  /** Whole packets that came while reading was stopped, counted up to `limit` plus one. */
  protected countHeld(limit: number): number {
    return this.#reader.countHeld(limit)
  }

  /** Ends the connection. `gently`: what was written still reaches the peer. */
  protected endTransport(gently: boolean): void {
    this.#reader.close()
    const conn = this.conn
    if (gently && !conn.destroyed && !conn.writableEnded) {
      this.flush()
      this.#lingersUntil = this.state.now + LINGER_MS
      if (!this.blocked) conn.end() // else when it has drained
      this.#unpause()
    } else {
      this.#cut()
    }
  }

  /** Called by the sweep on a connection that was ended and is still there. */
  protected sweepClosed(): void {
    if (this.state.now >= this.#lingersUntil) this.#cut()
  }

  #cut(): void {
    this.#isCut = true
    this.output.clear()
    this.conn.destroy()
  }

  receiveChunk(chunk: Buffer): void {
    if (this.closed) return // what comes behind the end is read and thrown away, so that the peer can finish
    this.state.tick()
    if (!this.#begun) {
      this.#begun = true
      this.begins(chunk)
    }
    this.beforeRead()
    if (!this.#reader.read(chunk) || (this.blocked && this.output.size > PAUSE_ABOVE)) {
      this.#paused = true
      this.conn.pause()
    }
    this.afterRead()
  }

  drained(): void {
    if (!this.blocked) return
    this.blocked = false
    this.pendingQos0 = 0
    this.flush()
    if (this.closed) {
      if (!this.blocked && !this.conn.writableEnded) this.conn.end()
      return
    }
    if (!this.blocked) this.onWritable()
    if (!this.blocked && this.#paused && !this.#reader.isStopped) this.#unpause()
  }

  transportEnded(error: Error | null): void {
    this.onTransportEnd(error)
  }

  transportGone(): void {
    const conn = this.conn as Attached
    conn.off('data', onData)
    conn.off('drain', onDrain)
    conn.off('end', onEnd)
    this.output.clear()
    this.onGone()
  }

  #unpause(): void {
    this.#paused = false
    this.conn.resume()
  }
}

// One function for all connections: ten thousand idle ones have no closures of their own.

function onData(this: Attached, chunk: Buffer): void {
  this.client?.receiveChunk(chunk)
}

function onDrain(this: Attached): void {
  this.client?.drained()
}

function onEnd(this: Attached): void {
  this.client?.transportEnded(null)
}

function onError(this: Attached, error: Error): void {
  this.client?.transportEnded(error)
}

function onClose(this: Attached): void {
  this.client?.transportEnded(null)
  this.client?.transportGone()
}
