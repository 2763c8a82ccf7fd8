import { isatty } from 'node:tty'

/** Standard input, output and error. */
const STANDARD = [0, 1, 2]
const LOOK_MS = 1000
/** Looks at a terminal that is gone after which a hangup is no longer its own: at least two seconds. */
const OLD_AFTER = 3

/** Tells the hangup of a terminal that is closed from one that somebody sends later. */
export class TerminalWatch {
  readonly #terminals = STANDARD.filter(each => isatty(each))
  readonly #timer: NodeJS.Timeout | null
  /**
   * How often the terminal was found gone. Looks are counted instead of time: after a pause of the whole process, in
   * which the terminal went, there is one look and then the signal.
   */
  #looks = 0

  constructor() {
    this.#timer = this.#terminals.length === 0 ? null : setInterval(this.#look, LOOK_MS).unref()
  }

  /** The program had a terminal, and that was closed just now. */
  hasJustGone(): boolean {
    return this.#terminals.length > 0 && this.#looks < OLD_AFTER && !this.#isThere()
  }

  close(): void {
    if (this.#timer !== null) clearInterval(this.#timer)
  }

  readonly #look = (): void => {
    if (this.#isThere()) return
    this.#looks++
    if (this.#looks === OLD_AFTER) this.close()
  }

  #isThere(): boolean {
    return this.#terminals.some(each => isatty(each))
  }
}
