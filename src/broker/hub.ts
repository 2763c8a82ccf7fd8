import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  Aedes,
  type Client as AedesClient,
  type AedesPublishPacket,
  type PublishPacket,
  type Subscription,
} from 'aedes'
import { Principal } from '../auth/index.ts'
import { GatewayError, type Logger, silentLogger } from '../common/index.ts'
import type { HubConfig, RuleConfig } from '../config/index.ts'
import { RuleTable } from '../router/index.ts'
import { messageOf, numbered } from './aedes-packets.ts'
import { type Done, settle } from './callbacks.ts'
import { Client } from './client.ts'
import { endClient } from './client-end.ts'
import { ClientLog } from './client-log.ts'
import { type Along, deliverPacket } from './deliver-packet.ts'
import { Dispatch } from './dispatch.ts'
import { Doorkeeper } from './doorkeeper.ts'
import { ask } from './hooks.ts'
import { type HubOptions, resolveSettings } from './hub-options.ts'
import { openStore } from './hub-store.ts'
import { type Deliver, LocalSubscriptions } from './local-subscriptions.ts'
import { hearOtherHubs } from './other-hubs.ts'
import type { Emitter, Persistence } from './persistence.ts'
import { type PersistenceLink, plugPersistence } from './persistence-link.ts'
import { RetainedStore } from './retained.ts'
import { RouteCache } from './route.ts'
import { SessionRegistry } from './session-registry.ts'
import { HubState } from './state.ts'
import { peerOf } from './stream-peer.ts'
import type { Peer } from './transport.ts'
import { Upkeep } from './upkeep.ts'
import { type HeldWill, publishOrphanedWills, publishStoredWills, publishWill } from './wills.ts'

/** While the hub stops. Milliseconds. */
const SWEEP_MS = 250
const SYS = '$SYS/'

/**
 * The broker: aedes's public face (options, hooks, events, methods) over a data path of our own. `handle` makes a
 * Client of ours, so no application message passes through aedes's client, emitter or parser.
 */
export class Hub extends Aedes {
  readonly state: HubState
  readonly log: Logger
  readonly retained: RetainedStore
  readonly dispatch: Dispatch
  readonly sessions: SessionRegistry
  readonly clientLog: ClientLog
  readonly door: Doorkeeper
  /** Whom a connection belongs to before CONNECT. */
  readonly nobody = Principal.create('', 'anonymous', [])
  /** A plugged persistence. */
  link: PersistenceLink | null = null
  /** Wills that could not be stored as their clients went. */
  readonly heldWills = new Map<string, HeldWill>()
  /** Nothing but the hub has a say in a PUBLISH: the data path may be taken. */
  isPlain = true
  /** There is an authorizeForward hook. */
  forwards = false
  /** Somebody listens to 'ack'. */
  wantsAck = false
  /** Connected clients by Client Identifier; without a prototype, for the identifiers come from outside. */
  declare readonly clients: Record<string, Client>
  /** Numbers the messages of this hub, for plug-ins. */
  declare counter: number
  /** The plugged persistence. */
  declare persistence?: Persistence
  /** Other hubs that share the emitter, and when they were last heard of. */
  declare readonly brokers: Record<string, number>
  readonly #options: HubOptions
  readonly routes: RouteCache
  readonly #locals: LocalSubscriptions
  /** All connections, those included that have not sent CONNECT. */
  readonly connectionSet = new Set<Client>()
  readonly #defaults: Pick<Hub, 'authorizePublish' | 'published'> & { authorizeForward: unknown }
  /** An emitter is plugged in: messages go by way of it. */
  readonly isPlugged: boolean
  readonly #upkeep: Upkeep
  #timers: NodeJS.Timeout[] = []
  #whenEmpty: (() => void) | null = null

  /** Use createHub; `new Hub` needs `await hub.listen()` before the first connection. */
  constructor(options: HubOptions = {}) {
    super(options)
    this.#options = options
    this.log = options.log ?? silentLogger
    this.state = new HubState(resolveSettings(options))
    this.retained = new RetainedStore(this.state)
    this.sessions = new SessionRegistry(this.state)
    this.clientLog = new ClientLog(this.log, this.state)
    this.#upkeep = new Upkeep(this, () => this.#sweep())
    this.door = new Doorkeeper(options.config)
    this.state.spokesmen = this.door.principals
    if (options.config !== undefined) this.useRules(options.config.subscriptions)
    this.#locals = new LocalSubscriptions(this.state)
    this.routes = new RouteCache(this.state, this.sessions.tree, this.#locals.tree)
    this.dispatch = new Dispatch(this.state, this.routes, this.retained)
    this.isPlugged = options.mq !== undefined
    const plain = new Aedes() as unknown as Hub
    this.#defaults = {
      authorizePublish: plain.authorizePublish,
      authorizeForward: plain.authorizeForward,
      published: plain.published,
    }
    this.handle = (stream, request) => this.accept(stream, peerOf(stream), request).face
  }

  /** Connections, including those that are not through with CONNECT. */
  get connections(): number {
    return this.connectionSet.size
  }

  /** Makes a hub that is ready for connections; the same as createHub. */
  static override async createBroker(options?: HubOptions): Promise<Hub> {
    const hub = new Hub(options)
    await hub.listen()
    return hub
  }

  /** Makes the hub ready for connections. Called by createHub and createBroker. */
  override async listen(): Promise<void> {
    const writable = this as { connectedClients: number; closed: boolean }
    writable.connectedClients = 0
    const { persistence, heartbeatInterval = 60_000 } = this.#options
    if (persistence !== undefined) await plugPersistence(this, persistence as Persistence)
    const wills =
      this.#options.storage === undefined ? null : await openStore(this, this.#options.storage, this.isPlugged)
    writable.closed = false
    if (this.isPlugged) {
      this.emitter.on('#', (packet, done) => {
        hearOtherHubs(this, packet)
        this.dispatch.deliver(this.routes.of(packet.topic), messageOf(packet, false), false, null)
        done()
      })
    }
    this.#upkeep.start()
    const beat = setInterval(() => this.announce('heartbeat', () => this.id), heartbeatInterval)
    this.#timers = [beat]
    if (this.link !== null) {
      const orphaned = setInterval(() => void publishOrphanedWills(this, heartbeatInterval), heartbeatInterval * 4)
      this.#timers.push(orphaned)
    }
    for (const timer of this.#timers) timer.unref()
    this.announce('birth', () => this.id)
    if (wills !== null) await publishStoredWills(this, wills)
  }

  /** Takes over a connection that a listener accepted. */
  accept(stream: Duplex, peer: Peer, request?: IncomingMessage): Client {
    this.state.tick() // time limits count from here
    const client = new Client(this, stream, peer, request)
    this.state.counters.connectionsAccepted++
    this.connectionSet.add(client)
    if (this.closed) client.terminate('hub is closed', false)
    else if (this.connectionSet.size > this.state.settings.connections) client.terminate('too many connections', false)
    else if (this.log.isLevelEnabled('debug')) void peer.address // known as long as the log may ask for it
    if (stream.closed)
      client.transportGone() // its 'close' does not come again
    else if (stream.destroyed) client.terminate('connection closed by the client', false)
    return client
  }

  // -- aedes's methods ----------------------------------------------------------------------------------------------

  /** Delivers a message on behalf of the program, without asking authorizePublish. */
  override publish(packet: PublishPacket, done?: Done): void
  override publish(packet: PublishPacket, client: AedesClient | null, done?: Done): void
  override publish(packet: PublishPacket, clientOrDone?: AedesClient | null | Done, done?: Done): void {
    const client = typeof clientOrDone === 'function' ? null : (clientOrDone ?? null)
    const callback = typeof clientOrDone === 'function' ? clientOrDone : done
    if (this.closed) return callback?.(new GatewayError('ERR_LIFECYCLE_CLOSED', 'the hub is closed'))
    if (this.#refusesLevels(packet.topic, callback)) return
    this.refreshMode()
    settle(this.forwardPublish(numbered(packet, this), client as unknown as Client | null), callback)
  }

  /** Calls a function for every message that matches; it gets the next after it called back. */
  override subscribe(topic: string, deliver: Deliver, done: Done = () => {}): void {
    if (this.#refusesLevels(topic, done)) return
    if (this.isPlugged) {
      this.emitter.on(topic, deliver, done)
      return
    }
    this.#locals.add(topic, deliver)
    setImmediate(done)
  }

  /** Reverse of subscribe, for the same topic and function. */
  override unsubscribe(topic: string, deliver: Deliver, done: Done = () => {}): void {
    if (this.#refusesLevels(topic, done)) return
    if (this.isPlugged) {
      this.emitter.removeListener(topic, deliver, done)
      return
    }
    this.#locals.remove(topic, deliver)
    setImmediate(done)
  }

  /** Disconnects all clients, publishing their Wills, and stops. */
  override close(done: () => void = () => {}): void {
    if (this.closed) {
      done()
      return
    }
    this.#stop()
    for (const client of this.connectionSet) client.terminate('hub closed', false)
    const stored = this.state.store?.close() ?? Promise.resolve()
    const closed = (): void => {
      this.clientLog.close()
      this.emit('closed')
      this.emitter.close(done)
    }
    stored.catch(error => this.log.error({ err: error }, 'store.close.failed')).finally(() => setImmediate(closed))
  }

  /**
   * Stops gracefully: Wills are published while their receivers are still connected, what is written reaches the
   * clients, and what has not ended after `timeoutMs` is cut off.
   */
  async closeGently(timeoutMs = this.state.settings.shutdownTimeoutMs): Promise<void> {
    if (this.closed) return
    this.#stop()
    this.refreshMode()
    const deadline = sleep(timeoutMs, undefined, { ref: false })
    const wills = [...this.connectionSet].filter(client => client.will !== null)
    await Promise.race([Promise.all(wills.map(client => publishWill(this, client))), deadline])
    await Promise.race([this.state.store?.commit.settled(), deadline]) // acknowledgements are still to be sent
    this.state.flushAll()
    this.state.lingerMs = timeoutMs
    for (const client of this.connectionSet) client.terminate('hub closed', true)
    if (this.connectionSet.size > 0) {
      const gone = new Promise<void>(resolve => {
        this.#whenEmpty = resolve
      })
      const sweep = setInterval(() => this.#sweep(), SWEEP_MS)
      await Promise.race([gone, deadline])
      clearInterval(sweep)
    }
    for (const client of this.connectionSet) client.conn.destroy()
    await this.state.store?.close()
    this.clientLog.close()
    this.emit('closed')
    const emitterClosed = new Promise<void>(resolve => this.emitter.close(resolve))
    await Promise.race([Promise.all([emitterClosed, this.link?.settled()]), deadline])
  }

  // -- for connections and handlers ---------------------------------------------------------------------------------

  /** Finds out whether hooks, listeners or plug-ins have a say; before every chunk, for they may come and go. */
  refreshMode(): void {
    const defaults = this.#defaults
    this.forwards = this.authorizeForward !== defaults.authorizeForward
    this.wantsAck = this.listenerCount('ack') > 0
    this.isPlain =
      this.authorizePublish === defaults.authorizePublish &&
      this.published === defaults.published &&
      !this.forwards &&
      this.link === null &&
      !this.isPlugged &&
      this.#locals.isEmpty &&
      this.listenerCount('publish') === 0
  }

  /**
   * Retains, stores, delivers and announces a message; settled when it is stored and all that have a say have called
   * back. Rejects with ERR_STORE_UNAVAILABLE.
   */
  async forwardPublish(packet: AedesPublishPacket, client: Client | null, along: Along = {}): Promise<void> {
    if (this.isPlain) {
      await deliverPacket(this, packet, client, along)
      return
    }
    if (client !== null) Object.assign(packet, { clientId: client.id })
    if (packet.retain && this.link !== null) await this.link.storeRetained(packet)
    let delivered: Promise<void> | undefined
    const deliver = (): void => void (delivered = deliverPacket(this, packet, client, along))
    if (packet.qos > 0 && this.link !== null) await this.link.enqueue(packet, deliver)
    else deliver()
    await delivered
    const published = ask(done => this.published(packet, client as unknown as AedesClient, done))
    this.emit('publish', packet, client)
    await published
  }

  /** Gives a client identifier to this client; who had it is disconnected [MQTT-3.1.4-2]. */
  claim(client: Client): void {
    const id = client.id as string
    const holder = this.clients[id]
    this.clients[id] = client
    holder?.terminate('taken over', false)
  }

  /** The CONNECT is accepted: counts the client and tells of it. */
  register(client: Client): void {
    client.isRegistered = true
    const connected = ++(this as { connectedClients: number }).connectedClients
    const { counters } = this.state
    counters.clientsMaximum = Math.max(counters.clientsMaximum, connected)
    this.emit('client', client)
    this.announce('new/clients', () => client.id as string)
  }

  /** After a connection ended: its session, its Will, and who is told. */
  clientEnded(client: Client, reason: string): void {
    endClient(this, client, reason)
  }

  /** The stream of a connection is closed for good. */
  clientGone(client: Client): void {
    this.connectionSet.delete(client)
    if (this.connectionSet.size === 0) this.#whenEmpty?.()
  }

  /** Publishes a message of the hub itself below `$SYS/<id>/`. */
  announce(what: string, payload: () => string): void {
    this.tell(`${SYS}${this.id}/${what}`, payload)
  }

  /** Publishes a message of the hub itself; `payload` is asked for when somebody is there to hear it, or it is retained. */
  tell(topic: string, payload: () => string, isRetained = false): void {
    this.refreshMode()
    const isHeard = !this.isPlain || this.dispatch.isHeard(topic)
    if (!isHeard && !isRetained) return
    const said = Buffer.from(payload())
    if (isRetained) this.retained.store(topic, said, 0)
    if (!isHeard) return
    const packet = numbered({ cmd: 'publish', topic, payload: said, qos: 0, retain: false, dup: false }, this)
    this.forwardPublish(packet, null).catch(error => this.log.warn({ topic, err: error }, 'announce.failed'))
  }

  /** Topics that clients publish to most, of those that were published to lately. */
  busiestTopics(count: number): { topic: string; messages: number }[] {
    const routes = [...this.connectionSet].map(client => client.route)
    return this.routes.busiest(count, routes)
  }

  /** Makes all routes anew: what makes a topic valid has changed, or who may do what. */
  forgetRoutes(): void {
    this.dispatch.flush()
    this.routes.clear()
    this.state.epoch++
    for (const client of this.connectionSet) client.route = null
  }

  /** Obeys the limits of another configuration from now on, below the settings its program asked for. */
  useSettings(config: HubConfig): void {
    this.state.settings = resolveSettings({ ...this.#options, config })
    this.#upkeep.start()
  }

  /** The rules from now on; those that were there before go on counting. */
  useRules(configs: readonly RuleConfig[]): void {
    this.state.rules = new RuleTable(configs, this.state.rules)
    this.state.epoch++
  }

  /** Tells listeners and `$SYS` of new subscriptions; refused ones have QoS 128. */
  announceSubscribe(client: Client, subs: Subscription[]): void {
    this.emit('subscribe', subs, client)
    this.announce('new/subscribes', () => JSON.stringify({ clientId: client.id, subs }))
  }

  announceUnsubscribe(client: Client, subs: string[]): void {
    this.emit('unsubscribe', subs, client)
    this.announce('new/unsubscribes', () => JSON.stringify({ clientId: client.id, subs }))
  }

  // -- inside -------------------------------------------------------------------------------------------------------

  #refusesLevels(topic: string, done: Done | undefined): boolean {
    if (topic.split('/').length <= this.state.settings.topic.maxLevels) return false
    done?.(new Error('topic has too many levels'))
    return true
  }

  /** The plugged emitter. */
  get emitter(): Emitter {
    return (this as unknown as { mq: Emitter }).mq
  }

  #sweep(): void {
    this.state.tick()
    for (const client of this.connectionSet) client.sweep(this.state.now)
  }

  #stop(): void {
    ;(this as { closed: boolean }).closed = true
    this.#upkeep.stop()
    for (const timer of this.#timers) clearInterval(timer)
  }
}
