import { type LoopWatch, ok, type ReloadAnswer, type Reply, type Resource, route } from '../../control/index.ts'
import type { Client } from '../client.ts'
import type { Hub } from '../hub.ts'
import { rulesOf, sessionDetail, slowConsumers, snapshotOf } from '../report/index.ts'
import { mostOf } from '../report/most.ts'
import type { ClientCount, TopAnswer } from './answers.ts'

/** How many topics, rules, slow consumers and clients a view of the hub gets. */
const MOST = 100

/** What can be asked of a hub. */
export class ControlRoutes {
  readonly #hub: Hub
  readonly #watch: LoopWatch
  readonly #version: string
  readonly #fixed: ReadonlyMap<string, Resource>

  constructor(hub: Hub, watch: LoopWatch, version: string, reload: () => Promise<ReloadAnswer>) {
    this.#hub = hub
    this.#watch = watch
    this.#version = version
    this.#fixed = new Map<string, Resource>([
      ['/v1/stats', { method: 'GET', answer: () => ok(snapshotOf(hub)) }],
      ['/v1/top', { method: 'GET', answer: query => ok(this.#top(query)) }],
      ['/v1/rules', { method: 'GET', answer: () => ok(rulesOf(hub)) }],
      ['/v1/reload', { method: 'POST', answer: async () => ok(await reload()) }],
    ])
  }

  /** Answers a request; `url` is the path, with or without a query. What is not known in a query means nothing. */
  reply(method: string, url: string): Promise<Reply> {
    return route(method, url, path => this.#fixed.get(path) ?? this.#session(path))
  }

  #session(path: string): Resource | null {
    const [, encoded] = /^\/v1\/sessions\/([^/]+)$/.exec(path) ?? []
    if (encoded === undefined) return null
    return { method: 'GET', answer: () => this.#detail(encoded) }
  }

  #detail(encoded: string): Reply {
    const clientId = decoded(encoded)
    if (clientId === null) return { status: 400, body: { error: 'the client identifier is not URL-encoded UTF-8' } }
    const detail = sessionDetail(this.#hub, clientId)
    return detail === null ? { status: 404, body: { error: 'no session has that client identifier' } } : ok(detail)
  }

  /** `interval` of the query: milliseconds until it is asked for again. */
  #top(query: string): TopAnswer {
    const intervalMs = Number(new URLSearchParams(query).get('interval') ?? 0)
    const hub = this.#hub
    return {
      at: performance.now(),
      version: this.#version,
      pid: process.pid,
      loopDelay: this.#watch.read(intervalMs >= 0 ? intervalMs : 0),
      snapshot: snapshotOf(hub),
      topics: hub.busiestTopics(MOST),
      rules: rulesOf(hub, MOST),
      slow: slowConsumers(hub, MOST),
      clients: this.#clients(),
    }
  }

  #clients(): ClientCount[] {
    const clients = mostOf(Object.values(this.#hub.clients), MOST, byTraffic)
    return clients.map(({ id, username, peer, connectedAt, received, sent }) => ({
      id: id ?? '',
      username: username ?? '',
      address: peer.address,
      transport: peer.transport,
      connectedAt,
      received,
      sent,
    }))
  }
}

function byTraffic(a: Client, b: Client): number {
  return b.received + b.sent - a.received - a.sent
}

function decoded(text: string): string | null {
  try {
    return decodeURIComponent(text)
  } catch {
    return null
  }
}
