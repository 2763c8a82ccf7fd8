import { EventEmitter } from 'node:events'
import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { Output, PacketReader, type PacketSink } from '../wire/index.ts'
import type { Flushable, HubState } from './state.ts'
import type { Peer } from './transport.ts'

/** A connection whose peer takes nothing is not read any more above this: its own acknowledgements have nowhere to go. */
const PAUSE_ABOVE = 2_097_152
/** Of somebody unknown no more is kept than the largest CONNECT there can be: five fields of 64 KiB and their lengths. */
const MAX_CONNECT_BYTES = 327_710

/** How long a handler may work on for a peer that has ended the connection. */
const HANDLER_MS = 30_000

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
  /** Chunks that came while another was being read. */
  #late: Buffer[] | null = null
  /** When the peer ended while a handler was at work; 0: it has not. */
  #endedAt = 0

  constructor(conn: Duplex, peer: Peer, state: HubState) {
    super()
    this.conn = conn
    this.peer = peer
    this.state = state
    this.lastPacket = state.now
    // Only a socket of the kernel says truthfully when it no longer refers to a chunk.
    this.output = new Output(state.pool, conn instanceof Socket)
    this.#reader = new PacketReader(this, Math.min(state.settings.maxPacketBytes, MAX_CONNECT_BYTES))
    ;(conn as Attached).client = this
    conn.allowHalfOpen = true // what came before the end is answered first; then we end it ourselves
    if (!state.readBuffer.attach(conn, onShared)) conn.on('data', onData)
    else conn.resume()
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
  /** Something in here, or a listener, threw: this connection ends, and only this one. */
  abstract crashed(error: unknown): void
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
    if (this.#isCut) this.output.clear()
    if (this.blocked || this.output.size === 0) return
    const { counters } = this.state
    counters.bytesSent += this.output.size
    counters.controlSent += this.output.controls
    if (this.#write()) {
      if (!this.closed) this.onWritable()
    } else {
      this.blocked = true
      this.blockedSince = this.state.now
      this.pendingQos0 = 0
    }
  }

  /** A stream that throws is the end of its own connection, not of whoever publishes to it. */
  #write(): boolean {
    try {
      return this.output.writeTo(this.conn)
    } catch (error) {
      this.crashed(error)
      return true
    }
  }

  /** The client is known: its packets may be as large as configured. */
  protected acceptPackets(): void {
    this.#reader.maxBytes = this.state.settings.maxPacketBytes
  }

  /** Goes on reading after a handler that took its time. */
  protected resumeReading(): void {
    if (this.closed || !this.#reader.isStopped) return
    this.state.isReading = true
    this.state.isShared = false
    this.state.tick()
    try {
      this.beforeRead()
      this.#reader.resume()
      this.afterRead()
    } finally {
      this.state.isReading = false
    }
    if (this.#endedAt > 0 && !this.#reader.isStopped) this.onTransportEnd(null)
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
      this.#lingersUntil = this.state.now + this.state.lingerMs
      if (!this.blocked) conn.end() // else when it has drained
      this.#unpause()
    } else {
      this.#cut()
    }
  }

  /** Called by the sweep: a handler that never comes back must not keep a connection whose peer has gone. */
  protected sweepEnded(now: number): void {
    if (this.#endedAt > 0 && now - this.#endedAt >= HANDLER_MS) this.onTransportEnd(null)
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

  /** Reads a chunk. `isShared`: its memory is used again as soon as this returns. */
  receiveChunk(chunk: Buffer, isShared = false): void {
    this.state.counters.bytesReceived += chunk.length
    if (this.closed) return // what comes behind the end is read and thrown away, so that the peer can finish
    if (this.state.isReading || this.#late !== null) {
      this.#readLater(isShared ? Buffer.from(chunk) : chunk)
      return
    }
    this.state.isReading = true
    this.state.isShared = isShared
    try {
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
    } finally {
      this.state.isReading = false
    }
  }

  /** A stream of this process may answer while it is written to, in the middle of somebody's chunk. */
  #readLater(chunk: Buffer): void {
    if (this.#late === null) {
      this.#late = []
      queueMicrotask(() => {
        const late = this.#late as Buffer[]
        this.#late = null
        for (const each of late) onData.call(this.conn, each)
      })
    }
    this.#late.push(chunk)
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
    if (error === null && !this.closed && this.#reader.isStopped && !this.conn.destroyed) {
      this.#endedAt = this.state.now // what came before the end is handled first
      return
    }
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
  try {
    this.client?.receiveChunk(chunk)
  } catch (error) {
    this.client?.crashed(error)
  }
}

function onShared(this: Attached, length: number, buffer: Buffer): boolean {
  try {
    this.client?.receiveChunk(buffer.subarray(0, length), true)
  } catch (error) {
    this.client?.crashed(error)
  }
  return true
}

function onDrain(this: Attached): void {
  try {
    this.client?.drained()
  } catch (error) {
    this.client?.crashed(error)
  }
}

function onEnd(this: Attached): void {
  onError.call(this, null)
}

function onError(this: Attached, error: Error | null): void {
  try {
    this.client?.transportEnded(error)
  } catch (thrown) {
    this.client?.crashed(thrown)
  }
}

function onClose(this: Attached): void {
  onError.call(this, null)
  this.client?.transportGone()
}
