import { ok, type ReloadAnswer, type Reply, type Resource, route } from '../../control/index.ts'
import type { BridgeFigures } from '../figures.ts'

/** A running bridge and its rules, at one moment. */
export interface BridgeAnswer extends BridgeFigures {
  /** Of the program. */
  readonly version: string
  readonly pid: number
}

export interface BridgeRoutesOptions {
  readonly figures: () => BridgeFigures
  /** Of the program. */
  readonly version: string
  readonly reload: () => Promise<ReloadAnswer>
}

/** What can be asked of a bridge: `GET /v1/rules` for a BridgeAnswer, `POST /v1/reload` for a ReloadAnswer. */
export function bridgeRoutes(options: BridgeRoutesOptions): (method: string, url: string) => Promise<Reply> {
  const { figures, version, reload } = options
  const rules = (): BridgeAnswer => ({ version, pid: process.pid, ...figures() })
  const resources: ReadonlyMap<string, Resource> = new Map<string, Resource>([
    ['/v1/rules', { method: 'GET', answer: () => ok(rules()) }],
    ['/v1/reload', { method: 'POST', answer: async () => ok(await reload()) }],
  ])
  return (method, url) => route(method, url, path => resources.get(path) ?? null)
}
