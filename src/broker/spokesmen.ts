import { Principal } from '../auth/index.ts'
import type { HubConfig, RuleConfig } from '../config/index.ts'

/** Who there is, and what they may do. */
export type AccessConfig = Pick<HubConfig, 'principals' | 'anonymous'>

/** The principals whose permissions rules are subject to. */
export function spokesmenOf(rules: readonly RuleConfig[], access: AccessConfig | undefined): Map<string, Principal> {
  const spokesmen = new Map<string, Principal>()
  for (const { authorize, principal: name } of rules) {
    if (!authorize || spokesmen.has(name)) continue
    const permissions =
      access?.principals.find(({ username }) => username === name)?.permissions ??
      (name === 'anonymous' ? access?.anonymous?.permissions : undefined)
    if (permissions !== undefined) spokesmen.set(name, Principal.create(name, 'embedder', permissions))
  }
  return spokesmen
}
