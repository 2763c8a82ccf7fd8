import { messageOf } from '../common/index.ts'
import { TerminalWatch } from './terminal-watch.ts'

const SIGNALS = ['SIGTERM', 'SIGINT'] as const
/** The longest that a timer takes. */
const LONG_MS = 2_147_483_647

/** Something was thrown that nobody caught: the state of the program is unknown. */
class Crash extends Error {
  readonly origin: string

  constructor(cause: unknown, origin: string) {
    super(`ended by an unforeseen error: ${messageOf(cause)}`, { cause })
    this.origin = origin
  }
}

/** What happens to the process as a whole: signals, and errors that nobody caught. */
export class ProcessEvents {
  /** Aborted with the first signal. */
  readonly stopping: AbortSignal
  /** The first signal; rejects with a crash. */
  readonly stopped: Promise<string>
  /** The second signal; rejects with a crash. */
  readonly hurried: Promise<void>
  readonly #close: () => void
  /** Hears of SIGHUP; null: nobody does yet. */
  #hangup: (() => void) | null = null
  #hasHungUp = false

  constructor() {
    const controller = new AbortController()
    let crash: (error: Crash) => void = () => {}
    let stop: (signal: string) => void = () => {}
    let hurry: () => void = () => {}
    const crashed = new Promise<never>((_, reject) => {
      crash = reject
    })
    const first = new Promise<string>(resolve => {
      stop = resolve
    })
    const second = new Promise<void>(resolve => {
      hurry = resolve
    })
    this.stopping = controller.signal
    this.stopped = Promise.race([first, crashed])
    this.hurried = Promise.race([second, crashed])
    for (const promise of [this.stopped, this.hurried]) promise.catch(() => {})

    const onSignal = (signal: string): void => {
      if (controller.signal.aborted) hurry()
      controller.abort()
      stop(signal)
    }
    // Signals don't keep a process running, nor does what runs have to: it may have nothing to do before the next reload.
    const alive = setInterval(() => {}, LONG_MS)
    const terminal = new TerminalWatch()
    const onHangup = (signal: string): void => {
      // It also tells that the terminal was closed, where the program would run on unseen. On Windows only that.
      if (terminal.hasJustGone() || process.platform === 'win32') onSignal(signal)
      else if (this.#hangup === null) this.#hasHungUp = true
      else this.#hangup()
    }
    // Node.js reports rejections that nobody handles here too.
    const onError = (error: unknown, origin: string): void => crash(new Crash(error, origin))
    for (const signal of SIGNALS) process.on(signal, onSignal)
    process.on('SIGHUP', onHangup)
    process.on('uncaughtException', onError)
    this.#close = () => {
      clearInterval(alive)
      terminal.close()
      for (const signal of SIGNALS) process.off(signal, onSignal)
      process.off('SIGHUP', onHangup)
      process.off('uncaughtException', onError)
    }
  }

  /** Calls the function at each SIGHUP, one that came before included. */
  onHangup(listener: () => void): void {
    this.#hangup = listener
    if (this.#hasHungUp) listener()
  }

  isCrash(thrown: unknown): thrown is Crash {
    return thrown instanceof Crash
  }

  close(): void {
    this.#close()
  }
}
