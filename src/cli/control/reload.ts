import type { ReloadAnswer } from '../../control/index.ts'
import { type Arguments, EXIT, type Shell } from '../command.ts'
import type { ServiceKind } from '../service/kind.ts'
import { oneLine } from '../text.ts'
import { ask, refusal } from './ask.ts'

const RELOAD_TIMEOUT_MS = 120_000

/** Has a hub or a bridge read its configuration again and prints what came of it. */
export async function askReload(kind: ServiceKind, args: Arguments, shell: Shell): Promise<number> {
  const reply = await ask(kind, args, shell, 'POST', '/v1/reload', RELOAD_TIMEOUT_MS)
  if (reply.status !== 200 || !isReloadAnswer(reply.body)) throw refusal(kind, reply)
  const answer = reply.body
  if (!answer.ok) {
    for (const problem of answer.problems) shell.err(oneLine(problem))
    shell.err(`openedge: the ${kind.name} goes on with the configuration that it has`)
    return EXIT.runtime
  }
  for (const warning of answer.warnings) shell.err(`warning: ${oneLine(warning)}`)
  shell.out(answer.changed.length === 0 ? 'reloaded: nothing changed' : `reloaded: ${list(answer.changed)}`)
  if (answer.restart.length > 0) shell.out(`changed in the file, from the next start on: ${list(answer.restart)}`)
  return EXIT.ok
}

function list(names: readonly string[]): string {
  return oneLine(names.join(', '))
}

function isReloadAnswer(body: unknown): body is ReloadAnswer {
  if (typeof body !== 'object' || body === null || !('ok' in body)) return false
  const lists = body.ok === true ? ['changed', 'restart', 'warnings'] : ['problems']
  return lists.every(name => Array.isArray(Reflect.get(body, name)))
}
