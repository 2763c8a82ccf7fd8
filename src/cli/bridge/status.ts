import type { BridgeAnswer } from '../../bridge/index.ts'
import { type Arguments, EXIT, type Shell } from '../command.ts'
import { ask, refusal } from '../control/ask.ts'
import { printJson } from '../control/print-json.ts'
import { bridgeKind } from './kind.ts'
import { statusLines } from './status-view.ts'

const TIMEOUT_MS = 10_000

/** Prints what a running bridge does. */
export async function showStatus(args: Arguments, shell: Shell): Promise<number> {
  const reply = await ask(bridgeKind, args, shell, 'GET', '/v1/rules', TIMEOUT_MS)
  if (reply.status !== 200 || !isBridgeAnswer(reply.body)) throw refusal(bridgeKind, reply)
  if (args.has('json')) printJson(reply.body, shell)
  else for (const line of statusLines(reply.body, Date.now())) shell.out(line)
  return EXIT.ok
}

/** Whether it has what is shown: a bridge of another version may know other figures. */
function isBridgeAnswer(body: unknown): body is BridgeAnswer {
  if (typeof body !== 'object' || body === null) return false
  const { version, startedAt, rules } = body as Partial<BridgeAnswer>
  return (
    typeof version === 'string' &&
    typeof startedAt === 'number' &&
    Array.isArray(rules) &&
    rules.every(rule => Array.isArray(rule?.links) && rule.links.length === 2 && Array.isArray(rule.flows))
  )
}
