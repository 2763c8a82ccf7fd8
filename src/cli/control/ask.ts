import { GatewayError } from '../../common/index.ts'
import type { Arguments, Shell } from '../command.ts'
import { reportErrors } from '../report.ts'
import type { ServiceKind } from '../service/kind.ts'
import { servicePlace } from '../service/place.ts'
import type { Answer } from './client.ts'
import { isNotRunning, ServiceFinder } from './find.ts'

/** Asks the hub or bridge that -c and -w mean once. When there is none, says also what is wrong with its configuration. */
export async function ask(
  kind: ServiceKind,
  args: Arguments,
  shell: Shell,
  method: 'GET' | 'POST',
  url: string,
  timeoutMs: number,
): Promise<Answer> {
  const finder = new ServiceFinder(servicePlace(kind, args), shell.env, shell.program)
  try {
    return await finder.ask(method, url, timeoutMs)
  } catch (thrown) {
    if (isNotRunning(thrown) && finder.configError !== null) reportErrors(finder.configError, shell)
    throw thrown
  } finally {
    finder.close()
  }
}

/** What an answer with another status than 200 says. */
export function refusal(kind: ServiceKind, { status, body }: Answer): GatewayError {
  const error = typeof body === 'object' && body !== null && 'error' in body ? String(body.error) : `status ${status}`
  return new GatewayError('ERR_LIFECYCLE_REFUSED', `the ${kind.name} answers: ${error}`)
}
