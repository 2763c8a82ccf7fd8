import type { GatewayError, Logger } from '../common/index.ts'
import type { LinkFigures, LinkPhase, Side } from './figures.ts'

/** The same failure is logged again after this. */
const REMIND_MS = 600_000
/** One of the same kind, which may be the same in other words, is logged again after this. */
const ALIKE_MS = 60_000

/** What people are told of a link: its phase, its last failure, and lines in the log. */
export class LinkRecord {
  phase: LinkPhase = 'stopped'
  connects = 0
  refused: readonly string[] = []
  readonly #side: Side
  readonly #log: Logger
  readonly #onChange: () => void
  #since = Date.now()
  #failure: GatewayError | null = null
  #failureAt = 0
  /** The text that was logged last, and when. */
  #logged = { text: '', code: '', at: 0 }

  /** `log` knows the rule. */
  constructor(side: Side, log: Logger, onChange: () => void) {
    this.#side = side
    this.#log = log
    this.#onChange = onChange
  }

  figures(): Omit<LinkFigures, 'address' | 'clientId' | 'isPrivate'> {
    return {
      side: this.#side,
      phase: this.phase,
      since: this.#since,
      connects: this.connects,
      lastError: this.#failure?.message ?? '',
      lastErrorCode: this.#failure?.code ?? '',
      lastErrorAt: this.#failureAt,
      refused: this.refused,
    }
  }

  show(phase: LinkPhase): void {
    if (this.phase === phase) return
    const isNews =
      phase === 'connected' || phase === 'stopped' || this.phase === 'connected' || this.phase === 'stopped'
    this.phase = phase
    if (isNews) this.#since = Date.now()
    this.#onChange()
  }

  connected(fields: object): void {
    this.forgetFailures()
    this.show('connected')
    this.#log.info({ side: this.#side, ...fields }, 'link.connected')
  }

  /** The broker sends back what came from here, though it was told that this is a bridge. */
  notPrivate(): void {
    this.#log.warn({ side: this.#side }, 'link.not_private')
    this.#onChange()
  }

  /** A failure that goes on and on is logged once, and then from time to time. */
  failed(failure: GatewayError, event: string): void {
    const now = Date.now()
    this.#failure = failure
    this.#failureAt = now
    const { text, code, at } = this.#logged
    if (text === failure.message && now - at < REMIND_MS) return
    if (code === failure.code && event === 'link.failed' && now - at < ALIKE_MS) return
    this.#logged = { text: failure.message, code: failure.code, at: now }
    this.#log.warn({ side: this.#side, code: failure.code, error: failure.message }, event)
    this.#onChange()
  }

  /** The next failure is news, whatever it is. */
  forgetFailures(): void {
    this.#logged = { text: '', code: '', at: 0 }
  }
}
