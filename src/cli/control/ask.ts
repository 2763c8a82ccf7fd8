import { GatewayError } from '../../common/index.ts'
import type { Arguments, Shell } from '../command.ts'
import { hubPlace } from '../hub/place.ts'
import { reportErrors } from '../report.ts'
import type { Answer } from './client.ts'
import { HubFinder, isNotRunning } from './find.ts'

/** Asks the hub that -c and -w mean once. When there is none, says also what is wrong with its configuration. */
export async function askHub(
  args: Arguments,
  shell: Shell,
  method: 'GET' | 'POST',
  url: string,
  timeoutMs: number,
): Promise<Answer> {
  const finder = new HubFinder(hubPlace(args), shell.env, shell.program)
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
export function refusal({ status, body }: Answer): GatewayError {
  const error = typeof body === 'object' && body !== null && 'error' in body ? String(body.error) : `status ${status}`
  return new GatewayError('ERR_LIFECYCLE_REFUSED', `the hub answers: ${error}`)
}
