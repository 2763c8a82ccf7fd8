import {
  findBridgeLoops,
  type HubConfig,
  type NamedBridge,
  parseClientUrl,
  parseListenUrl,
} from '../../config/index.ts'
import type { Shell } from '../command.ts'
import type { Usable } from './check-file.ts'

/** Prints the circles that messages would go round; false when there is one that is an error. */
export function checkCircles(usable: readonly Usable[], shell: Shell): boolean {
  const hubs = usable.flatMap(each => (each.kind === 'hub' ? [each.config] : []))
  const bridges = usable.flatMap(each => (each.kind === 'bridge' ? [each] : []))
  const findings = groups(hubs, bridges).flatMap(([hub, own]) => findBridgeLoops(hub, own))
  for (const { message, isError } of findings) shell.err(isError ? message : `warning: ${message}`)
  return !findings.some(({ isError }) => isError)
}

/** Each hub with the bridges that lead to it, told by the port; and those that lead to none of them. */
function groups(hubs: readonly HubConfig[], bridges: readonly NamedBridge[]): [HubConfig | null, NamedBridge[]][] {
  const [only] = hubs
  if (hubs.length <= 1) return bridges.length === 0 ? [] : [[only ?? null, [...bridges]]]
  const rest = new Set(bridges)
  const groups: [HubConfig | null, NamedBridge[]][] = hubs.map(hub => {
    const ports = portsOf(hub)
    const own = [...rest].filter(({ config }) => ports.has(parseClientUrl(config.hub.address).port))
    for (const bridge of own) rest.delete(bridge)
    return [hub, own]
  })
  return [...groups, [null, [...rest]] as [null, NamedBridge[]]].filter(([, own]) => own.length > 0)
}

function portsOf({ listen }: HubConfig): ReadonlySet<number> {
  return new Set(listen.map(url => parseListenUrl(url).port))
}
