import type { BridgeFigures, LinkFigures, RuleFigures } from '../figures.ts'

/** Connections that are named; of the others there is the number. */
const MOST_NAMED = 20
const MOST_CHARACTERS = 500

/** Why a bridge does not carry all that it should: which connections do not stand, and why. Null: all of them do. */
export function unreadiness({ rules }: BridgeFigures): string | null {
  const missing = rules.flatMap(rule =>
    rule.links.filter(({ phase }) => phase !== 'connected').map(link => absence(rule, link)),
  )
  if (missing.length === 0) return null
  const more = missing.length - MOST_NAMED
  return [...missing.slice(0, MOST_NAMED), ...(more > 0 ? [`and ${more} more`] : [])].join('\n')
}

/** A line. */
function absence(rule: RuleFigures, { side, address, phase, lastError }: LinkFigures): string {
  const end = side === 'hub' ? 'hub' : `remote ${rule.remote}`
  const where = `rule ${rule.name}: ${end} (${address})`
  // What went wrong mostly says itself where that was.
  const why = [`${where}: `, `rule ${rule.name}: `].find(prefix => lastError.startsWith(prefix)) ?? ''
  const text = `${where} is ${phase}${lastError === '' ? '' : `: ${lastError.slice(why.length)}`}`
  return text.replaceAll(/[\p{Cc}\u2028\u2029]+/gu, ' ').slice(0, MOST_CHARACTERS)
}
