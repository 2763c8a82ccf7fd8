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
/** Ctrl+C and Ctrl+D are but characters here. */
const QUIT = ['q', 'Q', '\u0003', '\u0004']
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
    this.#isOurs = true
    process.on('exit', this.#restore)
    this.#display.on('resize', this.#redraw)
    this.#display.on('error', this.#quit)
    if (this.#keys.isTTY === true) {
      this.#keys.setRawMode?.(true)
      this.#keys.on('data', this.#onData)
      this.#keys.on('end', this.#quit)
      this.#keys.on('error', this.#quit)
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

  readonly #onData = (chunk: Buffer | string): void => {
    const typed = chunk.toString()
    if (QUIT.some(key => typed.includes(key))) this.#quit()
  }
}
