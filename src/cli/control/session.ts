import { GatewayError } from '../../common/index.ts'
import { type Arguments, EXIT, type Shell } from '../command.ts'
import { escaped } from '../text.ts'
import { askHub, refusal } from './ask.ts'

const TIMEOUT_MS = 10_000

/** Prints what a hub knows of a client and its session. */
export async function askSession(args: Arguments, shell: Shell): Promise<number> {
  const clientId = args.positionals[1] ?? ''
  const reply = await askHub(args, shell, 'GET', `/v1/sessions/${encodeURIComponent(clientId)}`, TIMEOUT_MS)
  if (reply.status === 404) {
    throw new GatewayError('ERR_LIFECYCLE_NO_SESSION', `the hub has no session of client ${JSON.stringify(clientId)}`)
  }
  if (reply.status !== 200) throw refusal(reply)
  const lines = JSON.stringify(reply.body, null, 2).split('\n')
  // JSON escapes control characters, but not those that turn the direction of writing.
  shell.out(lines.map(line => escaped(line)).join('\n'))
  return EXIT.ok
}
