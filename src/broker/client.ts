import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import type { Client as AedesClient, PublishPacket, Subscription } from 'aedes'
import type { Principal } from '../auth/index.ts'
import { GatewayError } from '../common/index.ts'
import { CONNECT, PUBACK, PUBACK_BYTE } from '../wire/index.ts'
import { messageOf } from './aedes-packets.ts'
import { askForward } from './ask-forward.ts'
import { type Done, queueDone, settle } from './callbacks.ts'
import { reportClientError } from './client-log.ts'
import { Connection } from './connection.ts'
import { decode } from './decode.ts'
import { acknowledge } from './dispatch.ts'
import { type Voice, voiceOf } from './forwards.ts'
import { handleAcknowledgement } from './handlers/acknowledgements.ts'
import { handlePacket } from './handlers/index.ts'
import { handleHookedPublish } from './handlers/publish.ts'
import { applySubscribe, type SubscribeRequest } from './handlers/subscribe.ts'
import { applyUnsubscribe, type UnsubscribeRequest } from './handlers/unsubscribe.ts'
import type { Hub } from './hub.ts'
import type { Message } from './message.ts'
import { MisplacedPacket, ProtocolError } from './protocol-error.ts'
import type { Route } from './route.ts'
import type { Session } from './session.ts'
import { type Hold, notStored, type SessionLog } from './store/index.ts'
import type { Peer } from './transport.ts'

/** Keep alive is enforced at one and a half times its value [MQTT-3.1.2-24]. */
const KEEP_ALIVE_FACTOR = 1500
const FIRST = 'only connect packet is allowed before auth [MQTT-3.1.0-1]'
/** Unacknowledged messages older than this leave the chunk they arrived in. */
const OWN_AFTER_MS = 1000

/** One client of the hub, with the face that aedes gives its clients. */
export class Client extends Connection {
  readonly hub: Hub
  /** The upgrade request of a WebSocket. */
  readonly req: IncomingMessage | undefined
  /** Client Identifier; null until CONNECT was accepted so far. */
  id: string | null = null
  /** Clean Session. */
  clean = true
  /** Protocol level: 3 for MQTT 3.1, 4 for 3.1.1; null before CONNECT. */
  version: number | null = null
  /** It said in CONNECT that it is a bridge. */
  isBridge = false
  /** Between CONNECT and its end. */
  connecting = false
  /** Counted among the connected clients. */
  isRegistered = false
  /** When it connected, milliseconds since 1970; 0: it has not. */
  connectedAt = 0
  /** Application messages taken from it, and written to it. */
  received = 0
  sent = 0
  /** From CONNACK 0 on. */
  connected = false
  /** Who it is; nobody before CONNECT was accepted. */
  principal: Principal
  /** Who it is to rules; null before CONNECT was accepted. */
  voice: Voice | null = null
  /** Username of CONNECT. */
  username: string | undefined = undefined
  session: Session | null = null
  spared: Session | null = null
  route: Route | null = null
  will: PublishPacket | null = null
  held: Hold | null = null
  /** It published what could not be stored, and waits in vain for the acknowledgement. */
  isUnstored = false
  /** A DISCONNECT packet came: no Will [MQTT-3.14.4-3]. */
  disconnected = false
  /** Called when the connection ends; for whoever waits on behalf of this client. */
  onEnd: (() => void) | null = null
  /** Milliseconds without a packet after which the connection ends; 0: never. */
  keepAliveMs = 0
  readonly #since: number
  #ownedAt = 0
  #gently = false
  #beginsWrong = false

  constructor(hub: Hub, conn: Duplex, peer: Peer, req: IncomingMessage | undefined) {
    super(conn, peer, hub.state)
    this.hub = hub
    this.req = req
    this.principal = hub.nobody
    this.#since = hub.state.now
    this.on('error', onClientError)
  }

  /** This client as the types of aedes know it. */
  get face(): AedesClient {
    return this as unknown as AedesClient
  }

  /** The hub, as aedes names it. */
  get broker(): Hub {
    return this.hub
  }

  // -- reading ------------------------------------------------------------------------------------------------------

  protected beforeRead(): void {
    this.hub.refreshMode()
  }

  protected afterRead(): void {
    this.hub.dispatch.flush()
    // What can't become a CONNECT is not waited for.
    if (this.#beginsWrong) this.#refuse(FIRST)
    if (
      this.connecting &&
      this.countHeld(this.state.settings.packetsBeforeConnect) > this.state.settings.packetsBeforeConnect
    )
      this.fail(new GatewayError('ERR_LIMIT_PACKETS_BEFORE_CONNECT', 'Client queue limit reached'))
  }

  protected begins(chunk: Buffer): void {
    this.#beginsWrong = (chunk[0] as number) >> 4 !== CONNECT
  }

  onPublish(chunk: Buffer, start: number, body: number, end: number): boolean {
    this.lastPacket = this.state.now
    if (!this.connected) return this.#misplaced(FIRST, chunk.subarray(start, end))
    if (!this.hub.isPlain) return handleHookedPublish(this, chunk, start, body, end)
    const refusal = this.hub.dispatch.publish(this, chunk, start, body, end)
    if (refusal !== null) return this.#refuse(refusal)
    const { store } = this.state
    // What is written more slowly than it comes must not pile up in memory; who stores nothing does not wait.
    if (this.held !== null && store?.isCongested === true && store.blocked === null)
      return this.wait(store.commit.committed())
    return !this.closed
  }

  onPacket(chunk: Buffer, start: number, body: number, end: number): boolean {
    this.lastPacket = this.state.now
    this.state.counters.controlReceived++
    this.hub.dispatch.flush()
    // The commonest control packet: a well-formed PUBACK.
    if (chunk[start] === PUBACK_BYTE && end - body === 2 && this.connected) {
      const packetId = ((chunk[body] as number) << 8) | (chunk[body + 1] as number)
      if (packetId !== 0) return handleAcknowledgement(this, PUBACK, packetId)
    }
    if ((chunk[start] as number) >> 4 !== CONNECT && !this.connected && !this.connecting)
      return this.#misplaced(FIRST, chunk.subarray(start, end))
    return handlePacket(this, chunk, start, body, end) && !this.closed
  }

  onMalformed(problem: string): void {
    this.#refuse(problem)
  }

  /** CONNACK 0, then what the session had waiting. */
  welcome(session: Session, present: boolean): void {
    const hub = this.hub
    this.output.control(Buffer.from([0x20, 2, present ? 1 : 0, 0])) // [MQTT-3.2.0-1]
    this.markDirty()
    this.voice = voiceOf(this.id as string, this.username, this.principal)
    if (this.isBridge) this.spared = session
    this.connected = true
    this.connectedAt = Date.now()
    this.state.tick()
    this.lastPacket = this.state.now // the time that authentication took is not the client's
    this.acceptPackets()
    hub.emit('connackSent', { cmd: 'connack', returnCode: 0, sessionPresent: present }, this)
    if (this.closed) return // a listener ended it
    session.attach(this) // behind CONNACK [MQTT-3.2.0-1]
    this.connecting = false
    hub.emit('clientReady', this)
    this.emit('connected')
  }

  /** The settings have changed. */
  obeySettings(): void {
    if (!this.connected) return // they are read when it has connected
    this.acceptPackets()
    this.session?.pump()
  }

  /** Stops reading until the promise is settled; its failure ends the connection. Returns false for the reader. */
  wait(work: Promise<void>): false {
    work
      .then(
        () => this.resumeReading(),
        error => this.fail(error instanceof Error ? error : new Error(String(error))),
      )
      .catch(error => this.crashed(error))
    return false
  }

  /** What is stored of its session. */
  get log(): SessionLog | null {
    return this.session === null ? null : this.session.log
  }

  unstored(count: number): void {
    this.state.counters.refused += count
    if (this.state.store !== null && this.state.store.blocked !== null) this.isUnstored = true
  }

  acknowledge(firstByte: number, packetId: number): void {
    acknowledge(this, firstByte, packetId, this.log === null ? null : this.state.store)
  }

  forget(packetId: number): void {
    this.session?.receipts.release(packetId)
  }

  receive(packetId: number): boolean {
    const { receipts } = this.session as Session
    const limit = this.state.settings.inboundQos2
    if (limit > 0 && receipts.size >= limit && !receipts.has(packetId)) {
      this.fail(
        new GatewayError(
          'ERR_LIMIT_INBOUND_QOS2',
          `maxInflightInbound exceeded: ${limit} inbound QoS 2 messages already awaiting PUBREL`,
        ),
      )
      return false
    }
    return receipts.add(packetId)
  }

  // -- ending -------------------------------------------------------------------------------------------------------

  /** Ends the connection because of an error: told to listeners of the client and of the hub. */
  fail(error: Error): void {
    if (!this.closed) this.emit('error', error)
  }

  /** As fail(), but what was written still reaches the client: the CONNACK that refuses it. */
  failGently(error: Error): void {
    if (this.closed) return
    this.#gently = true
    this.emit('error', error)
  }

  /** What happens to an 'error' of this client, whoever emits it. */
  reportAndClose(error: Error): void {
    if (this.closed) return
    try {
      reportClientError(this, error)
    } finally {
      this.terminate(error.message, this.#gently)
    }
  }

  /** Ends the connection, once. `gently`: what was written still reaches the client. */
  terminate(reason: string, gently: boolean): void {
    if (this.closed) return
    this.hub.dispatch.flush()
    this.closed = true
    this.endTransport(gently)
    this.onEnd?.()
    try {
      this.hub.clientEnded(this, reason)
    } finally {
      this.connected = false
      this.connecting = false
    }
  }

  /** Ends the connection; publishes the Will unless DISCONNECT came. */
  close(done?: () => void): void {
    this.terminate('closed by the server', false)
    done?.()
  }

  crashed(error: unknown): void {
    this.hub.log.error({ clientId: this.id, err: error }, 'connection.crashed')
    try {
      this.terminate('internal error', false)
    } catch (again) {
      this.hub.log.error({ clientId: this.id, err: again }, 'connection.crashed')
    }
  }

  protected onTransportEnd(error: Error | null): void {
    if (error !== null) this.fail(error)
    else this.terminate('connection closed by the client', true) // it may have closed its half only
  }

  protected onGone(): void {
    this.hub.clientGone(this)
  }

  protected onWritable(): void {
    this.session?.pump()
  }

  /** Looks at everything that has a time limit. */
  sweep(now: number): void {
    try {
      this.#sweep(now)
    } catch (error) {
      this.crashed(error)
    }
  }

  #sweep(now: number): void {
    const { connectTimeoutMs, drainTimeoutMs, retryIntervalMs } = this.state.settings
    this.sweepEnded(now)
    if (this.closed) this.sweepClosed()
    else if (!this.connected) {
      if (now - this.#since >= connectTimeoutMs)
        this.fail(new GatewayError('ERR_LIMIT_CONNECT_TIMEOUT', 'connect did not arrive in time'))
    } else if (this.keepAliveMs > 0 && now - this.lastPacket >= this.keepAliveMs) {
      this.hub.emit('keepaliveTimeout', this)
      this.fail(new GatewayError('ERR_LIMIT_KEEP_ALIVE', 'keep alive timeout'))
    } else if (this.blocked && drainTimeoutMs > 0 && now - this.blockedSince >= drainTimeoutMs) {
      this.fail(new GatewayError('ERR_LIMIT_DRAIN_TIMEOUT', 'drain timeout'))
    } else {
      const session = this.session
      if (session === null || (session.unacknowledged === 0 && session.queued === 0)) return
      session.retry(now - retryIntervalMs)
      if (now - this.#ownedAt >= OWN_AFTER_MS) {
        this.#ownedAt = now
        session.own()
      }
    }
  }

  /** Takes the keep alive of CONNECT, in seconds. */
  keepAlive(seconds: number): void {
    this.keepAliveMs = seconds * KEEP_ALIVE_FACTOR
  }

  // -- aedes's face -------------------------------------------------------------------------------------------------

  /** Sends a message to this client alone. `done` is called when it was written or put into the session's queue. */
  publish(packet: PublishPacket, done?: Done): void {
    const session = this.session
    if (session === null || this.closed) {
      queueDone(done, new Error('connection closed'))
      return
    }
    const message = messageOf(packet, false)
    const { store } = this.state
    if (session.log !== null && message.qos > 0 && store !== null) {
      if (store.appendFor(session, message, message.qos)) settle(store.commit.committed(), done)
      else queueDone(done, notStored(store.blocked ?? ''))
      return
    }
    session.deliver(message, message.qos)
    queueDone(done)
  }

  /** Subscribes this client; with a `messageId` a SUBACK is sent. */
  subscribe(request: SubscribeRequest | Subscription | Subscription[], done?: Done): void {
    const asked: SubscribeRequest =
      'subscriptions' in request
        ? request
        : { subscriptions: Array.isArray(request) ? request : [request as Subscription] }
    settle(applySubscribe(this, asked), done)
  }

  /** Ends subscriptions of this client; with a `messageId` an UNSUBACK is sent. */
  unsubscribe(request: UnsubscribeRequest | string | Subscription | (string | Subscription)[], done?: Done): void {
    const asked: UnsubscribeRequest =
      typeof request === 'object' && 'unsubscriptions' in request
        ? request
        : { unsubscriptions: (Array.isArray(request) ? request : [request]).map(filterOf) }
    settle(applyUnsubscribe(this, asked), done)
  }

  /** Forgets all messages on their way to this client. */
  emptyOutgoingQueue(done?: Done): void {
    this.session?.log?.feed.discard()
    this.session?.empty()
    settle(this.hub.link?.emptyOutgoing(this) ?? Promise.resolve(), done)
  }

  /** Asks the authorizeForward hook; null keeps the message from this client. */
  forward(message: Message): Message | null {
    return this.hub.forwards ? askForward(this, message) : message
  }

  get forwards(): boolean {
    return this.hub.forwards
  }

  #misplaced(problem: string, packet: Buffer): false {
    this.fail(new MisplacedPacket(problem, decode(packet)))
    return false
  }

  #refuse(problem: string): false {
    this.hub.dispatch.flush()
    this.fail(new ProtocolError(problem))
    return false
  }
}

function onClientError(this: Client, error: Error): void {
  this.reportAndClose(error)
}

function filterOf(each: string | Subscription): string {
  return typeof each === 'string' ? each : each.topic
}
