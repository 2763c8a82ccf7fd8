import { createHash } from 'node:crypto'
import { addressGroup } from '../auth/index.ts'
import { GatewayError, type Logger } from '../common/index.ts'
import type { Client } from './client.ts'
import { ProtocolError } from './protocol-error.ts'
import { type LeftOut, Repeats } from './repeats.ts'
import type { HubState } from './state.ts'

/** How a connection of a client was. */
export interface ClientEnd {
  /** See {@link ClientLog.disconnected}. */
  readonly reason: string
  /** From CONNACK on, to the millisecond. */
  readonly seconds: number
  /** Its Will is published now. */
  readonly will: boolean
}

/** Told of every client that comes, goes or is refused, whatever is logged. Must not throw, and act later. */
export interface ClientWatcher {
  connected(client: Client): void
  disconnected(client: Client, end: ClientEnd): void
  /** `clientId` and `reason` are what the client sent, cut. */
  refused(client: Client, code: number, reason: string): void
}

type Event = 'client.connected' | 'client.disconnected' | 'client.refused'

const WINDOW_MS = 60_000
/** Lines of one kind that one client, or one address that is refused, gets in a minute. */
const LINES = 10
/** The same for all clients of one address: everybody behind it may come at once, and once more. */
const LINES_OF_ADDRESS = 20_000
const FEWEST_LINES_OF_ADDRESS = 100
/** Hostile text in a line: identifiers, topics, what a program's hook says. */
const MAX_TEXT = 256
const MAX_KEY = 64
/** Limits that a client breaks by what it sends. */
const BREACHES: ReadonlySet<string> = new Set(['ERR_LIMIT_PACKETS_BEFORE_CONNECT', 'ERR_LIMIT_INBOUND_QOS2'])

/**
 * The lines of the log about clients: one for each that comes, goes or is refused, at level info, and at level debug what
 * it did wrong. Never a payload or a password.
 *
 * What a client may cause at will is written a few times a minute and then counted; the next line tells how many were
 * `leftOut`, or `client.repeated` does when the minute is over. Lines of connections are counted by Client Identifier and,
 * for whoever makes up identifiers, all together by address, where there is room for everybody; refusals and debug lines
 * by address alone, since nobody vouches for an identifier there. All by {@link addressGroup}.
 */
export class ClientLog {
  readonly watchers = new Set<ClientWatcher>()
  readonly #log: Logger
  readonly #state: HubState
  readonly #windowMs: number
  readonly #clients: Repeats
  readonly #addresses: Repeats
  readonly #refusals: Repeats
  readonly #details: Repeats
  /** What exactly a client did wrong, where its error uses the words of aedes. */
  readonly #problems = new WeakMap<Client, string>()
  #timer: NodeJS.Timeout | null = null

  constructor(log: Logger, state: HubState, windowMs: number = WINDOW_MS) {
    this.#log = log
    this.#state = state
    this.#windowMs = windowMs
    this.#clients = new Repeats({ most: LINES, windowMs, keys: 2000 })
    this.#addresses = new Repeats({ windowMs })
    this.#refusals = new Repeats({ most: LINES, windowMs })
    this.#details = new Repeats({ windowMs })
  }

  /** `client.connected`: its CONNECT is accepted. */
  connected(client: Client): void {
    void client.peer.address // as long as the socket knows it
    for (const watcher of this.watchers) watcher.connected(client)
    this.#infoOfClient(client, 'client.connected', () => ({}))
  }

  /**
   * `client.disconnected`: the end of what connected() told of. The reason is one of
   * - `disconnected`: a DISCONNECT packet came;
   * - `connection closed by the client`, or the error of the transport, such as `read ECONNRESET`: it ended without one;
   * - `keep alive timeout`; `drain timeout`: it took no data for limits.drain.timeout;
   * - `taken over`, `taken over by another hub`: somebody else connected with its Client Identifier [MQTT-3.1.4-2];
   * - how it broke the protocol, with the clause, or what topic it must not publish to;
   * - `maxInflightInbound exceeded: ...`: too many QoS 2 messages without PUBREL;
   * - `messages were not stored, and can be now`: so that it sends again what was not acknowledged;
   * - `closed by the server`: by the program, or the administrator; `hub closed`;
   * - `internal error`: see `connection.crashed`;
   * - what a hook of the program said.
   */
  disconnected(client: Client, given: string, will = false): void {
    const reason = bounded(this.#problems.get(client) ?? given)
    const { connectedAt, received, sent } = client
    const seconds = connectedAt === 0 ? 0 : Math.max(0, Date.now() - connectedAt) / 1000
    for (const watcher of this.watchers) watcher.disconnected(client, { reason, seconds, will })
    this.#infoOfClient(client, 'client.disconnected', () => ({
      reason,
      duration: seconds,
      received,
      sent,
      ...(will && { will }),
    }))
  }

  /** `client.refused`: CONNECT was answered with this return code (section 3.2.2.3). */
  refused(client: Client, code: number, given: string): void {
    const reason = bounded(given)
    const { address, transport } = client.peer
    for (const watcher of this.watchers) watcher.refused(client, code, reason)
    if (!this.#log.isLevelEnabled('info')) return
    const leftOut = this.#refusals.admit(keyOf(String(code), addressGroup(address) || transport), this.#state.now)
    if (leftOut === null) return this.#arm()
    const fields = { code, reason, ...claimed(client), address, transport }
    this.#log.info({ ...fields, ...(leftOut > 0 && { leftOut }) }, 'client.refused')
  }

  /** A detail that only matters to whoever looks for a fault. */
  debug(client: Client, event: string, fields: object): void {
    if (!this.#log.isLevelEnabled('debug')) return
    const { address } = client.peer
    const leftOut = this.#details.admit(keyOf(event, addressGroup(address)), this.#state.now)
    if (leftOut === null) return this.#arm()
    const told = Object.fromEntries(Object.entries(fields).map(([key, value]) => [key, boundedValue(value)]))
    this.#log.debug({ clientId: boundedValue(client.id), address, ...told, ...(leftOut > 0 && { leftOut }) }, event)
  }

  /** What exactly the client did wrong, for the line that tells of its end. */
  explain(client: Client, problem: string): void {
    this.#problems.set(client, problem)
  }

  /** Tells what was left out in windows that are over at `now`, in milliseconds of `performance.now`. */
  tellLeftOut(now: number): void {
    for (const each of this.#clients.collect(now)) this.#repeated('info', each, ofClient)
    for (const each of this.#addresses.collect(now)) this.#repeated('info', each, ofAddress)
    for (const each of this.#refusals.collect(now)) this.#repeated('info', each, ofRefusal)
    for (const each of this.#details.collect(now)) this.#repeated('debug', each, ofAddress)
  }

  /** Tells all that was left out. When the hub stops. */
  close(): void {
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
    this.tellLeftOut(Number.POSITIVE_INFINITY)
  }

  #infoOfClient(client: Client, event: Event, more: () => object): void {
    if (!this.#log.isLevelEnabled('info')) return
    const { now } = this.#state
    const { address, transport } = client.peer
    const clientId = client.id ?? ''
    const own = keyOf(event, clientId)
    const leftOut = this.#clients.admit(own, now)
    if (leftOut === null) return this.#arm()
    const all = keyOf(event, addressGroup(address) || transport)
    const leftOutOfAll = this.#addresses.admit(all, now, this.#linesOfAddress())
    if (leftOutOfAll === null) {
      if (leftOut > 0) this.#repeated('info', { key: own, count: leftOut }, ofClient)
      return this.#arm()
    }
    if (leftOutOfAll > 0) this.#repeated('info', { key: all, count: leftOutOfAll }, ofAddress)
    const fields = { clientId: bounded(clientId), principal: bounded(client.principal.name), address, transport }
    this.#log.info({ ...fields, ...more(), ...(leftOut > 0 && { leftOut }) }, event)
  }

  /** Twice as many as there may be connections. */
  #linesOfAddress(): number {
    const { connections } = this.#state.settings
    return Number.isFinite(connections) ? Math.max(FEWEST_LINES_OF_ADDRESS, 2 * connections) : LINES_OF_ADDRESS
  }

  /** `client.repeated`: lines were left out. Without a subject: of several that are not known any more. */
  #repeated(level: 'info' | 'debug', { key, count }: LeftOut, subject: (kind: string, name: string) => object): void {
    const at = key?.indexOf(' ') ?? 0
    const of = key === null ? {} : subject(key.slice(0, at), key.slice(at + 1))
    this.#log[level]({ ...of, leftOut: count }, 'client.repeated')
  }

  /** One timer for all, and only while something is to be told. */
  #arm(): void {
    if (this.#timer !== null) return
    this.#timer = setTimeout(() => {
      this.#timer = null
      this.tellLeftOut(performance.now())
      const all = [this.#clients, this.#addresses, this.#refusals, this.#details]
      if (all.some(repeats => repeats.hasLeftOut)) this.#arm()
    }, this.#windowMs)
    this.#timer.unref()
  }
}

/** Tells listeners and the log of what went wrong with a client. */
export function reportClientError(client: Client, error: Error): void {
  const { hub } = client
  if (isBreach(error)) hub.state.counters.protocolErrors++
  const reason = error instanceof ProtocolError ? error.problem : error.message
  if (reason !== error.message) hub.clientLog.explain(client, reason)
  hub.emit(client.id === null ? 'connectionError' : 'clientError', client, error)
  hub.clientLog.debug(client, 'client.error', { reason })
}

/** The client sent what it may not. A wrong password, silence or an error of the network is something else. */
function isBreach(error: Error): boolean {
  if (!(error instanceof GatewayError)) return false
  return error.code.startsWith('ERR_PROTOCOL_') || BREACHES.has(error.code)
}

/** Whom a refused client said to be, as far as it is known. */
export function claimed({ id, username }: Client): { clientId?: string; username?: string } {
  return {
    ...(id !== null && { clientId: bounded(id) }),
    ...(username !== undefined && { username: bounded(username) }),
  }
}

function bounded(text: string): string {
  return text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT)}...` : text
}

function boundedValue(value: unknown): unknown {
  return typeof value === 'string' ? bounded(value) : value
}

/** Long names are told apart, and remembered short. `kind` has no space. */
function keyOf(kind: string, name: string): string {
  if (name.length <= MAX_KEY) return `${kind} ${name}`
  const hash = createHash('sha256').update(name).digest('base64url').slice(0, 22)
  return `${kind} ${name.slice(0, MAX_KEY)}...${hash}`
}

// What a key says, in the fields of a line.

function ofClient(event: string, clientId: string): object {
  return { event, clientId }
}

function ofAddress(event: string, address: string): object {
  return { event, address }
}

function ofRefusal(code: string, address: string): object {
  return { event: 'client.refused', code: Number(code), address }
}
