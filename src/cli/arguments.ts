import { parseArgs } from 'node:util'
import { GatewayError, nearestWord } from '../common/index.ts'
import type { Arguments, OptionSpec } from './command.ts'

/** Every command has it. */
export const HELP_OPTION: OptionSpec = { name: 'help', short: 'h', help: 'show this help' }

/**
 * Takes a command line apart. Throws `ERR_USAGE_OPTION` for an option that does not exist, lacks its value or can't have
 * one.
 */
export function parseArguments(args: readonly string[], specs: readonly OptionSpec[]): Arguments {
  const known = new Map(specs.map(spec => [spec.name, spec]))
  const { tokens, positionals } = parseArgs({
    args: [...args],
    options: Object.fromEntries(
      specs.map(({ name, short, value }) => [
        name,
        { type: value === undefined ? 'boolean' : 'string', ...(short !== undefined && { short }) },
      ]),
    ),
    allowPositionals: true,
    strict: false, // its messages know neither the nearest option nor what the value stands for
    tokens: true,
  })
  const found = new Map<string, string[]>()
  for (const token of tokens) {
    if (token.kind !== 'option') continue
    const spec = known.get(token.name)
    if (spec === undefined) throw unknownOption(token.rawName, specs)
    if (spec.value === undefined && token.value !== undefined) throw wrong(`option ${token.rawName} takes no value`)
    const isMissing = token.value === undefined || (token.value.startsWith('-') && token.inlineValue !== true)
    if (spec.value !== undefined && isMissing) throw wrong(`option ${token.rawName} needs a value: ${spec.value}`)
    found.set(spec.name, [...(found.get(spec.name) ?? []), token.value ?? ''])
  }
  return {
    has: name => found.has(name),
    value: name => found.get(name)?.at(-1),
    values: name => found.get(name) ?? [],
    positionals,
  }
}

function unknownOption(typed: string, specs: readonly OptionSpec[]): GatewayError {
  const nearest = nearestWord(
    typed.replace(/^-+/, ''),
    specs.map(spec => spec.name),
  )
  return wrong(`unknown option ${typed}${nearest === null ? '' : `; did you mean --${nearest}?`}`)
}

function wrong(message: string): GatewayError {
  return new GatewayError('ERR_USAGE_OPTION', message)
}
