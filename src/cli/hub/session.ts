import { GatewayError } from '../../common/index.ts'
import { type Arguments, EXIT, type Shell } from '../command.ts'
import { ask, refusal } from '../control/ask.ts'
import { printJson } from '../control/print-json.ts'
import { hubKind } from './kind.ts'

const TIMEOUT_MS = 10_000

/** Prints what a hub knows of a client and its session. */
export async function askSession(args: Arguments, shell: Shell): Promise<number> {
  const clientId = args.positionals[1] ?? ''
  const reply = await ask(hubKind, args, shell, 'GET', `/v1/sessions/${encodeURIComponent(clientId)}`, TIMEOUT_MS)
  if (reply.status === 404) {
    throw new GatewayError('ERR_LIFECYCLE_NO_SESSION', `the hub has no session of client ${JSON.stringify(clientId)}`)
  }
  if (reply.status !== 200) throw refusal(hubKind, reply)
  printJson(reply.body, shell)
  return EXIT.ok
}
