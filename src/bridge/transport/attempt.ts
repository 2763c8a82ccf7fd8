import type { Duplex } from 'node:stream'
import { GatewayError, messageOf } from '../../common/index.ts'
import { OpenFailed, OpenTimeout, type Stage, UpgradeRefused } from './problems.ts'

/** The longest time that a timer of Node.js takes. */
const MAX_TIMER_MS = 2 ** 31 - 1

/** One attempt to connect: bounded by a time and a signal, and when it fails all that it opened is destroyed. */
export class Attempt {
  readonly #timeoutMs: number
  readonly #signal: AbortSignal
  readonly #opened: Duplex[] = []
  #stage: Stage = 'lookup'
  #isOver = false

  constructor(timeoutMs: number, signal: AbortSignal) {
    this.#timeoutMs = timeoutMs
    this.#signal = signal
  }

  /**
   * Settles as `open` does, or earlier.
   *
   * @throws OpenFailed, OpenTimeout, UpgradeRefused, a GatewayError as it came, or the reason of the signal
   */
  run(open: () => Promise<Duplex>): Promise<Duplex> {
    return new Promise((resolve, reject) => {
      const finish = (): boolean => {
        if (this.#isOver) return false
        this.#isOver = true
        clearTimeout(timer)
        this.#signal.removeEventListener('abort', onAbort)
        return true
      }
      const fail = (failure: unknown): void => {
        if (!finish()) return
        for (const stream of this.#opened) stream.destroy()
        reject(failure as Error)
      }
      const onAbort = (): void => fail(this.#signal.reason)
      const onTimeout = (): void => fail(new OpenTimeout(this.#stage, this.#timeoutMs))
      const timer = setTimeout(onTimeout, Math.min(this.#timeoutMs, MAX_TIMER_MS))
      this.#signal.addEventListener('abort', onAbort)
      if (this.#signal.aborted) {
        onAbort()
        return
      }
      open().then(
        stream => {
          if (stream.destroyed) fail(this.#explain(stream.errored ?? new Error('it was closed')))
          else if (finish()) resolve(stream)
        },
        failure => fail(this.#explain(failure)),
      )
    })
  }

  /** What is waited for from now on. */
  enter(stage: Stage): void {
    this.#stage = stage
  }

  /** Has `stream` destroyed when the attempt fails. Its owner learns of errors from `errored` or its own listener. */
  own<T extends Duplex>(stream: T): T {
    stream.on('error', ignore)
    if (this.#isOver) stream.destroy()
    else this.#opened.push(stream)
    return stream
  }

  /** Resolves at the event; rejects when the stream fails or is closed before. */
  async ready(stream: Duplex, event: string): Promise<void> {
    const listeners: [string, (...args: never[]) => void][] = []
    try {
      await new Promise<void>((resolve, reject) => {
        listeners.push([event, resolve], ['error', reject], ['close', () => reject(new Error('it was closed'))])
        for (const [name, listener] of listeners) stream.on(name, listener as () => void)
      })
    } finally {
      for (const [name, listener] of listeners) stream.off(name, listener as () => void)
    }
  }

  #explain(failure: unknown): Error {
    if (failure instanceof GatewayError || failure instanceof UpgradeRefused) return failure
    return new OpenFailed(this.#stage, failure instanceof Error ? failure : new Error(messageOf(failure)))
  }
}

function ignore(): void {}
