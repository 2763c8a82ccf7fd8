import { setTimeout as sleep } from 'node:timers/promises'
import type { TopAnswer } from '../../broker/index.ts'
import { GatewayError, messageOf, parseDuration } from '../../common/index.ts'
import { type Arguments, EXIT, type Shell } from '../command.ts'
import { refusal } from '../control/ask.ts'
import { ServiceFinder } from '../control/find.ts'
import { hubKind } from '../hub/kind.ts'
import { servicePlace } from '../service/place.ts'
import { oneLine } from '../text.ts'
import { plainLine } from './plain.ts'
import { render } from './render.ts'
import { Screen } from './screen.ts'
import { type View, viewOf } from './view.ts'

const DEFAULT_INTERVAL = '1s'
const MIN_INTERVAL_MS = 100
const MAX_INTERVAL_MS = 3_600_000
/** For a hub that is busy. */
const ANSWER_TIMEOUT_MS = 5000
/** Between two looks for a hub that has gone away. */
const RETRY_MS = 1000
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const
const COLUMNS = 100
const ROWS = 50

/** Shows what a hub does, until it is told to end. */
export async function showTop(args: Arguments, shell: Shell): Promise<number> {
  const intervalMs = intervalOf(args.value('interval') ?? DEFAULT_INTERVAL)
  const finder = new ServiceFinder(servicePlace(hubKind, args), shell.env, shell.program)
  const { stdout } = shell
  const isScreen = stdout.isTTY === true && shell.env['TERM'] !== 'dumb'
  const end = new AbortController()
  const stop = (): void => end.abort()
  for (const signal of SIGNALS) process.on(signal, stop)
  stdout.on('error', stop)
  try {
    const watch = new Watch(finder, intervalMs, end.signal)
    await watch.look()
    if (args.has('once')) await once(watch, shell, isScreen)
    else if (isScreen) await screen(watch, shell, stop)
    else await plain(watch, shell)
    return EXIT.ok
  } catch (thrown) {
    if (end.signal.aborted) return EXIT.ok
    throw thrown
  } finally {
    for (const signal of SIGNALS) process.off(signal, stop)
    stdout.off('error', stop)
    finder.close()
  }
}

function intervalOf(text: string): number {
  const ms = parseDuration(text)
  if (ms !== null && ms >= MIN_INTERVAL_MS && ms <= MAX_INTERVAL_MS) return ms
  throw new GatewayError('ERR_USAGE_OPTION', `--interval takes a time from 100ms to 1h, such as 2s, not ${text}`)
}

/** What is known of a hub that is asked again and again. */
class Watch {
  readonly #finder: ServiceFinder
  readonly #intervalMs: number
  readonly end: AbortSignal
  #before: TopAnswer | null = null
  #latest: TopAnswer | null = null

  constructor(finder: ServiceFinder, intervalMs: number, end: AbortSignal) {
    this.#finder = finder
    this.#intervalMs = intervalMs
    this.end = end
  }

  /** Rejects with a GatewayError when the hub can't be asked. */
  async look(): Promise<void> {
    const answer = await this.#finder.ask('GET', `/v1/top?interval=${this.#intervalMs}`, ANSWER_TIMEOUT_MS)
    if (answer.status !== 200 || !isTopAnswer(answer.body)) throw refusal(hubKind, answer)
    this.#before = this.#latest
    this.#latest = answer.body
  }

  get view(): View {
    if (this.#latest === null) throw new Error('nothing is known yet')
    return viewOf(this.#before, this.#latest)
  }

  /** Until it is time to look again; rejects when all is to end. */
  pause(ms = this.#intervalMs): Promise<void> {
    return sleep(ms, undefined, { signal: this.end })
  }
}

async function once(watch: Watch, shell: Shell, isScreen: boolean): Promise<void> {
  await watch.pause()
  await watch.look()
  if (!isScreen) {
    shell.out(plainLine(watch.view, new Date()))
    return
  }
  const picture = { view: watch.view, stale: null, footer: '' }
  for (const { text } of render(picture, shell.stdout.columns || COLUMNS, ROWS)) shell.out(text.trimEnd())
}

async function plain(watch: Watch, shell: Shell): Promise<void> {
  for (;;) {
    await watch.pause()
    await watch.look()
    watch.end.throwIfAborted()
    shell.out(plainLine(watch.view, new Date()))
  }
}

async function screen(watch: Watch, shell: Shell, stop: () => void): Promise<void> {
  let stale: string | null = null
  const draw = (): void => {
    const picture = { view: watch.view, stale, footer: 'q ends this; rates are messages a second' }
    display.draw(render(picture, display.columns, display.rows))
  }
  const display = new Screen(shell.stdout, shell.stdin, stop, draw)
  display.enter()
  try {
    for (;;) {
      draw()
      await watch.pause(stale === null ? undefined : RETRY_MS)
      try {
        await watch.look()
        stale = null
      } catch (thrown) {
        if (!(thrown instanceof GatewayError)) throw thrown
        stale = `THE HUB IS GONE, waiting for it to come back: ${oneLine(messageOf(thrown).split('\n', 1)[0] ?? '')}`
      }
    }
  } finally {
    display.leave()
  }
}

/** Whether it has what is shown: a hub of another version may know other figures. */
function isTopAnswer(body: unknown): body is TopAnswer {
  if (typeof body !== 'object' || body === null) return false
  const value = body as Partial<TopAnswer>
  const lists = [value.topics, value.rules, value.slow, value.clients]
  const { clients, messages, bytes, queues, rules, process: taken } = value.snapshot ?? {}
  return (
    typeof value.at === 'number' &&
    typeof value.version === 'string' &&
    lists.every(list => Array.isArray(list)) &&
    [clients, messages, bytes, queues, rules, taken].every(part => typeof part === 'object' && part !== null)
  )
}
