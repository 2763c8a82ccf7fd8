import type { Display, Keys } from '../command.ts'
import type { Line } from './render.ts'

const ESC = '\u001b['
/** The other screen, so that what the terminal showed before comes back; no cursor; long lines are cut. */
const ENTER = `${ESC}?1049h${ESC}?25l${ESC}?7l`
const LEAVE = `${ESC}?7h${ESC}?25h${ESC}?1049l`
const HOME = `${ESC}H`
const CLEAR_LINE = `${ESC}K`
const CLEAR_BELOW = `${ESC}J`
const STYLES: Readonly<Record<Line['style'], string>> = { plain: '', title: `${ESC}1m`, alarm: `${ESC}7m` }
const PLAIN = `${ESC}0m`
/** Ctrl+C, Ctrl+D, Ctrl+\\ and Ctrl+Z are but characters here. */
const QUIT = ['q', 'Q', '\u0003', '\u0004', '\u001c']
const SUSPEND = '\u001a'
/** For the signal that stops the program to arrive. */
const STOPPING_MS = 50
/** What a terminal of unknown size has. */
const COLUMNS = 80
const ROWS = 24

/** A terminal as a whole, for as long as it is ours. */
export class Screen {
  readonly #display: Display
  readonly #keys: Keys
  readonly #quit: () => void
  readonly #redraw: () => void
  #isOurs = false
  /** Given back for as long as the program is stopped. */
  #return: NodeJS.Timeout | null = null

  /** `quit` is called for q, Ctrl+C and a terminal that is gone; `redraw` when its size has changed. */
  constructor(display: Display, keys: Keys, quit: () => void, redraw: () => void) {
    this.#display = display
    this.#keys = keys
    this.#quit = quit
    this.#redraw = redraw
  }

  get columns(): number {
    return this.#display.columns || COLUMNS
  }

  get rows(): number {
    return this.#display.rows || ROWS
  }

  enter(): void {
    process.on('SIGTSTP', this.#suspend)
    this.#takeOver()
  }

  #takeOver(): void {
    this.#isOurs = true
    process.on('exit', this.#restore)
    this.#display.on('resize', this.#redraw)
    this.#display.on('error', this.#quit)
    if (this.#keys.isTTY === true) {
      this.#keys.setRawMode?.(true)
      this.#keys.on('data', this.#onData)
      this.#keys.on('end', this.#quit)
      this.#keys.on('error', this.#quit)
      this.#keys.resume()
    }
    this.#display.write(ENTER)
  }

  /** Nothing while the terminal has not taken what was drawn before. */
  draw(lines: readonly Line[]): void {
    if (!this.#isOurs || this.#display.writableNeedDrain || this.#display.destroyed) return
    const text = lines.map(({ text, style }) => {
      const code = STYLES[style]
      return `${code}${text}${code === '' ? '' : PLAIN}${CLEAR_LINE}`
    })
    this.#display.write(`${HOME}${text.join('\r\n')}${CLEAR_BELOW}`)
  }

  /** Gives the terminal back as it was. */
  leave(): void {
    process.off('SIGTSTP', this.#suspend)
    if (this.#return !== null) clearTimeout(this.#return)
    this.#return = null
    this.#giveBack()
  }

  #giveBack(): void {
    if (!this.#isOurs) return
    this.#restore()
    process.off('exit', this.#restore)
    this.#display.off('resize', this.#redraw)
    this.#display.off('error', this.#quit)
    this.#keys.off('data', this.#onData)
    this.#keys.off('end', this.#quit)
    this.#keys.off('error', this.#quit)
    if (this.#keys.isTTY === true) this.#keys.pause()
  }

  readonly #restore = (): void => {
    if (!this.#isOurs) return
    this.#isOurs = false
    if (this.#keys.isTTY === true) this.#keys.setRawMode?.(false)
    this.#display.write(LEAVE)
  }

  /** Stops the program as the signal does to those that don't heed it; it comes back with SIGCONT. */
  readonly #suspend = (): void => {
    if (!this.#isOurs) return
    this.#giveBack()
    process.off('SIGTSTP', this.#suspend)
    // The kernel ignores it where nobody could have the program go on: then it goes on by itself.
    process.kill(process.pid, 'SIGTSTP')
    this.#return = setTimeout(() => {
      this.#return = null
      this.enter()
      this.#redraw()
    }, STOPPING_MS)
  }

  readonly #onData = (chunk: Buffer | string): void => {
    const typed = chunk.toString()
    if (QUIT.some(key => typed.includes(key))) this.#quit()
    else if (typed.includes(SUSPEND)) process.kill(0, 'SIGTSTP') // to all of a pipeline, as the terminal would
  }
}
