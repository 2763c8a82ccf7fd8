import { setTimeout as sleep } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import { Backoff, type GatewayError } from '../common/index.ts'
import { type ClientConfig, parseClientUrl } from '../config/index.ts'
import { PUBREL } from '../wire/index.ts'
import { Connection, type ConnectionSink } from './connection.ts'
import { Echoes } from './echoes.ts'
import { ConnackTimeout, ConnectRefused, explainFailure, PeerClosed, SubscribeRefused } from './failure.ts'
import { shownAddress } from './failure-words.ts'
import type { LinkFigures, Side } from './figures.ts'
import type { Flow } from './flow.ts'
import type { FlowEnd } from './flow-end.ts'
import { LinkRecord } from './link-record.ts'
import type { LinkParts, LinkSettings } from './link-settings.ts'
import { MqttSession } from './mqtt-session.ts'
import { Privacy } from './privacy.ts'
import { Subscriptions } from './subscriptions.ts'
import { certificateEnded, openTransport, readCredentials } from './transport/index.ts'

const FIRST_PAUSE_MS = 500
/** A connection that stood so long was a good one: the next attempt is a first one again. */
const STABLE_MS = 60_000
const LEAST_FRAME_BYTES = 1_048_576
/** How long DISCONNECT may take to leave. */
const GOODBYE_MS = 1000

type Phase = 'connect' | 'connack' | 'subscribe' | 'connected'

/** One end of a rule: keeps a connection to one broker, under one client identifier, for as long as it is started. */
export class Link implements FlowEnd, ConnectionSink {
  readonly side: Side
  /** The flow that takes what comes from here, and the one that sends here. */
  source: Flow | null = null
  target: Flow | null = null
  /** Messages that may come here though this bridge has published them. */
  readonly echoes = new Echoes(broker => {
    if (broker === this.#broker) this.#record.notPrivate()
  })
  #connection: Connection | null = null
  readonly #parts: LinkParts
  #backoff: Backoff
  readonly #privacy = new Privacy()
  #settings: LinkSettings
  #session: MqttSession | null = null
  #subscriptions: Subscriptions | null = null
  /** Of the attempt that is under way: it counts as ended when this is called. */
  #finish: ((error: Error | null) => void) | null = null
  #phase: Phase = 'connect'
  /** The attempt is to end, or the connection: it has said DISCONNECT, and nothing may follow. */
  #isAskedToEnd = false
  /** No connection is to follow the one that stands. */
  #isLeaving = false
  /** The address of the broker, the same for all ways to write it. */
  #broker: string
  /** Whose session the last connection had. */
  #met = ''
  /** The connection of the attempt, before CONNACK too. */
  #opened: Connection | null = null
  /** Of CONNACK, then of SUBACK. */
  #timer: NodeJS.Timeout | undefined
  #sessionPresent = false
  #stopping: AbortController | null = null
  #running: Promise<void> = Promise.resolve()
  /** Ends a pause between two attempts. */
  #hurry = new AbortController()
  readonly #record: LinkRecord
  #connectedAt = 0

  constructor(settings: LinkSettings, parts: LinkParts) {
    this.#settings = settings
    this.#parts = parts
    this.side = parts.side
    this.#backoff = backoffOf(settings)
    this.#broker = parseClientUrl(settings.config.address).url
    this.#record = new LinkRecord(parts.side, parts.log, parts.onChange)
  }

  get settings(): LinkSettings {
    return this.#settings
  }

  get broker(): string {
    return this.#broker
  }

  get connection(): Connection | null {
    const connection = this.#connection
    return connection === null || connection.isClosed || this.#isAskedToEnd ? null : connection
  }

  /** The broker sends nothing back that came from here. */
  get isPrivate(): boolean {
    return this.connection !== null && this.#privacy.isGranted && !this.echoes.isBroken(this.#broker)
  }

  /** The broker took this link for that of a bridge. */
  get isGranted(): boolean {
    return this.#privacy.isGranted
  }

  /** When the connection was accepted, on the clock of performance.now(). */
  get connectedAt(): number {
    return this.#connectedAt
  }

  /** Whether the broker sends here what one of these filters asks for. */
  hears(filters: readonly string[], isRetained: boolean): boolean {
    if (this.connection === null) return false
    if (!this.isConnected) return this.#sessionPresent || isRetained
    const { refused } = this.#record
    return refused.length === 0 || filters.some(filter => !refused.includes(filter))
  }

  get isConnected(): boolean {
    return this.#record.phase === 'connected'
  }

  figures(): LinkFigures {
    const { config, clientId } = this.#settings
    return { ...this.#record.figures(), address: shownAddress(config.address), clientId, isPrivate: this.isPrivate }
  }

  start(): void {
    if (this.#stopping !== null) return
    this.#stopping = new AbortController()
    this.#running = this.#run(this.#stopping.signal)
  }

  /** Says DISCONNECT, and resolves when the connection is gone. */
  async stop(): Promise<void> {
    this.#stopping?.abort()
    this.#hurry.abort()
    this.#endAttempt()
    await this.#running
    this.#stopping = null
    this.#record.show('stopped')
  }

  /** Connects no more: the connection that stands is the last one. */
  leave(): void {
    this.#isLeaving = true
    if (this.connection !== null) return
    this.#stopping?.abort()
    this.#hurry.abort()
    this.#endAttempt()
  }

  /** Puts other settings in force. The connection stays when only the filters are others. */
  use(next: LinkSettings): void {
    const { filters: before, ...rest } = this.#settings
    const { filters: after, ...restAfter } = next
    this.#settings = next
    if (!isDeepStrictEqual(rest, restAfter)) {
      const broker = parseClientUrl(next.config.address).url
      if (broker !== this.#broker) this.echoes.forget()
      this.#broker = broker
      this.#privacy.forget()
      this.#backoff = backoffOf(next)
      this.#record.forgetFailures()
      this.#hurry.abort()
      this.#endAttempt()
    } else if (this.connection !== null && !isDeepStrictEqual(before, after)) void this.#subscribe(this.connection)
  }

  /** Publishes something of the bridge itself, with QoS 0. */
  tell(packet: Buffer): void {
    const { connection } = this
    if (connection === null) return
    connection.output.append(packet, 0, packet.length, true)
    connection.markDirty()
  }

  fail(problem: string): void {
    this.connection?.close(new Error(problem))
  }

  onConnack(returnCode: number, sessionPresent: boolean): void {
    const connection = this.#opened
    if (connection === null || this.#isAskedToEnd) return
    if (returnCode !== 0) {
      connection.close(new ConnectRefused(returnCode))
      return
    }
    this.#phase = 'subscribe'
    this.#timer?.refresh()
    const met = `${this.#broker} ${this.#settings.clientId}`
    const isSame = this.#met === met || this.#met === ''
    this.#met = met
    this.#sessionPresent = sessionPresent && isSame
    this.#connection = connection
    this.#record.connects++
    this.#record.refused = []
    this.#connectedAt = performance.now()
    this.#privacy.accepted(this.#connectedAt)
    this.echoes.begin()
    this.source?.sourceUp(this.#sessionPresent)
    this.target?.targetUp(connection, this.#sessionPresent)
  }

  onPublish(chunk: Buffer, start: number, body: number, end: number): void {
    const { connection, source } = this
    if (connection === null || source === null) return
    const problem = source.publish(connection, chunk, start, body, end)
    if (problem !== null) connection.onMalformed(problem)
  }

  onOversize(chunk: Buffer, start: number, body: number, end: number, length: number): void {
    const problem = this.source?.oversize(chunk, start, body, end, length) ?? null
    if (problem !== null) this.connection?.onMalformed(problem)
  }

  onReadEnd(): void {
    this.source?.readEnd()
  }

  onAcknowledgement(type: number, packetId: number): void {
    if (type === PUBREL) this.source?.released(packetId)
    else this.target?.acknowledged(type, packetId)
  }

  onWritable(): void {
    this.target?.writable()
  }

  onEnd(error: Error | null): void {
    this.#finish?.(error)
  }

  async #run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted && !this.#isLeaving) {
      const pause = this.#privacy.isNextAtOnce ? 0 : this.#backoff.next()
      if (pause > 0) {
        this.#record.show('waiting')
        await this.#pause(pause)
        if (signal.aborted) break
      }
      this.#record.show('connecting')
      await this.#attempt(signal)
    }
  }

  async #pause(ms: number): Promise<void> {
    this.#hurry = new AbortController()
    try {
      await sleep(ms, undefined, { signal: this.#hurry.signal })
    } catch {
      // Somebody is in a hurry.
    }
  }

  /** Connects, and resolves when that connection is over. */
  async #attempt(signal: AbortSignal): Promise<void> {
    const { config, clientId } = this.#settings
    this.#phase = 'connect'
    this.#isAskedToEnd = false
    const giveUp = new AbortController()
    const ended = new Promise<Error | null>(resolve => {
      this.#finish = resolve
    })
    void ended.then(() => giveUp.abort())
    const began = performance.now()
    let failure: unknown = null
    try {
      const credentials = await readCredentials(config, this.#parts.baseDir)
      const stream = await openTransport(config, {
        baseDir: this.#parts.baseDir,
        signal: giveUp.signal,
        // Some brokers put all that waits into one frame.
        maxFrameBytes: Math.max(4 * this.#settings.maxBytes, LEAST_FRAME_BYTES),
      })
      if (signal.aborted || giveUp.signal.aborted) {
        stream.destroy()
        return
      }
      this.#phase = 'connack'
      const { maxBytes } = this.#settings
      const isPrivate = this.#privacy.begin(config.tryPrivate, performance.now())
      this.#opened = new Connection(stream, this.#parts.wires, this, { maxBytes, isPrivate })
      this.#timer = setTimeout(() => this.#opened?.close(new ConnackTimeout()), config.timeoutMs)
      try {
        this.#open(this.#opened, credentials)
        const error = await ended
        failure = error ?? new PeerClosed(performance.now() - began)
        if (error !== null && this.#connection !== null && isPeerClosing(error))
          failure = new PeerClosed(performance.now() - this.#connectedAt, { cause: error })
      } finally {
        clearTimeout(this.#timer)
      }
    } catch (error) {
      failure = error
    }
    this.#finish = null
    this.#close(failure, clientId)
  }

  #open(connection: Connection, credentials: { username: string; password: string }): void {
    const { config, clientId, will } = this.#settings
    const session = new MqttSession(connection, {
      ...credentials,
      clientId,
      clean: config.cleanSession,
      keepaliveMs: config.keepaliveMs,
      will: will !== null && (this.#privacy.isAsked || !will.topic.startsWith('$')) ? will : null,
      isFree: packetId => this.target?.isFree(packetId) ?? true,
      onFailure: error => connection.close(error),
    })
    this.#session = session
    this.#subscriptions = new Subscriptions(session)
    session.onAccepted(() => void this.#subscribe(connection))
  }

  /** Brings the subscriptions of a connection to what the settings say. */
  async #subscribe(connection: Connection): Promise<void> {
    const { filters, config, clientId } = this.#settings
    const subscriptions = this.#subscriptions
    if (subscriptions === null || this.connection !== connection) return
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => connection.close(new ConnackTimeout()), config.timeoutMs)
    this.#phase = 'subscribe'
    try {
      await subscriptions.want(filters)
    } catch (error) {
      // The connection broke, or the answer makes no sense.
      if (this.connection === connection) connection.close(error as Error)
      return
    }
    if (this.connection !== connection) return
    clearTimeout(this.#timer)
    this.#judge(connection, subscriptions.refused, config)
    if (connection.isClosed) return
    this.#phase = 'connected'
    if (this.isConnected) return
    const address = shownAddress(config.address)
    const sessionPresent = this.#sessionPresent
    this.#record.connected({ address, clientId, sessionPresent, private: this.#privacy.isGranted })
  }

  /** Some filters may have been refused: says so, and gives the connection up when that is asked for. */
  #judge(connection: Connection, refused: readonly string[], config: ClientConfig): void {
    const isNews = !isDeepStrictEqual(refused, this.#record.refused)
    this.#record.refused = refused
    if (refused.length === 0 || !isNews) return
    const error = new SubscribeRefused(refused)
    if (config.validateSubs) connection.close(error)
    else this.#record.failed(this.#explain(error), 'link.subscribe_refused')
  }

  /** Ends what is under way: with DISCONNECT, and soon, where CONNECT was said. */
  #endAttempt(): void {
    const connection = this.#opened
    if (connection === null) this.#finish?.(null)
    else if (!this.#isAskedToEnd) {
      this.#session?.end()
      setTimeout(() => connection.close(), GOODBYE_MS).unref()
    }
    this.#isAskedToEnd = true
  }

  #close(failure: unknown, clientId: string): void {
    const wasUp = this.#connection !== null
    this.#session?.abandon()
    this.#session = null
    this.#subscriptions = null
    const opened = this.#opened
    this.#opened = null
    opened?.close()
    this.#connection = null
    if (wasUp) {
      const isByPeer = failure instanceof PeerClosed && !this.#isAskedToEnd
      if (performance.now() - this.#connectedAt >= STABLE_MS) this.#backoff.reset()
      this.target?.targetDown(isByPeer)
      this.source?.sourceDown()
    }
    if (this.#isAskedToEnd || this.#stopping?.signal.aborted === true) return
    if (this.#privacy.ended(this.#phase, failure)) return
    this.#record.failed(this.#explain(failure, clientId), wasUp ? 'link.disconnected' : 'link.failed')
  }

  #explain(failure: unknown, clientId = this.#settings.clientId): GatewayError {
    const { rule, side, baseDir } = this.#parts
    const { config } = this.#settings
    const ended = certificateEnded(config, baseDir)
    return explainFailure(failure, { rule, side, config, clientId, phase: this.#phase, certificateEnded: ended })
  }
}

function backoffOf({ config }: LinkSettings): Backoff {
  return new Backoff({ minMs: FIRST_PAUSE_MS, maxMs: config.intervalMs })
}

/** What a socket says when the other end has gone, in one way or another. */
function isPeerClosing(error: Error): boolean {
  return 'code' in error && (error.code === 'ECONNRESET' || error.code === 'EPIPE')
}
