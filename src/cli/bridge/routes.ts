import type { BridgeFigures } from '../../bridge/index.ts'
import { ok, type ReloadAnswer, type Reply, type Resource, route } from '../../control/index.ts'

/** A running bridge and its rules, at one moment. */
export interface BridgeAnswer extends BridgeFigures {
  readonly version: string
  readonly pid: number
}

export interface BridgeRoutesOptions {
  readonly figures: () => BridgeFigures
  readonly version: string
  readonly reload: () => Promise<ReloadAnswer>
}

/** What can be asked of a bridge. */
export function bridgeRoutes(options: BridgeRoutesOptions): (method: string, url: string) => Promise<Reply> {
  const { figures, version, reload } = options
  const rules = (): BridgeAnswer => ({ version, pid: process.pid, ...figures() })
  const resources = new Map<string, Resource>([
    ['/v1/rules', { method: 'GET', answer: () => ok(rules()) }],
    ['/v1/reload', { method: 'POST', answer: async () => ok(await reload()) }],
  ])
  return (method, url) => route(method, url, path => resources.get(path) ?? null)
}
