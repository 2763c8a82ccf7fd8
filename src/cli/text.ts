/** What a terminal acts upon, or shows as nothing or in a place of its own choice. */
const UNSHOWN = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\p{Zl}\p{Zp}\p{Variation_Selector}]/gu
/** Marks put on a letter: some languages need two, nobody needs twenty. */
const HEAPED_MARKS = /(\p{M}{2})\p{M}+/gu
const MARK = /\p{M}/u
const EMOJI = /\p{Emoji_Presentation}/u
/** First and last of the characters that take two columns: those of East Asia. */
const WIDE: readonly (readonly [first: number, last: number])[] = [
  [0x1100, 0x115f],
  [0x2e80, 0x303e],
  [0x3041, 0x33ff],
  [0x3400, 0x4dbf],
  [0x4e00, 0xa4cf],
  [0xa960, 0xa97f],
  [0xac00, 0xd7a3],
  [0xf900, 0xfaff],
  [0xfe30, 0xfe6f],
  [0xff00, 0xff60],
  [0xffe0, 0xffe6],
  [0x16fe0, 0x1b2ff],
  [0x1f300, 0x1f64f],
  [0x1f900, 0x1f9ff],
  [0x20000, 0x3fffd],
]
const ELLIPSIS = '…'

/** Text from outside as one line of a terminal: what is no visible character is spelled out, as JSON would. */
export function oneLine(text: string): string {
  return escaped(text).replace(HEAPED_MARKS, '$1')
}

/** Characters that a terminal would obey are spelled out, `\u001b`, line feeds included; all others stay. */
export function escaped(text: string): string {
  return text.replace(UNSHOWN, spell)
}

/** Columns that escaped text takes. */
export function widthOf(text: string): number {
  let width = 0
  for (const char of text) width += widthOfChar(char)
  return width
}

/** Escaped text cut to this many columns, an ellipsis included when it is cut. */
export function cut(text: string, columns: number): string {
  let width = 0
  let at = 0
  let fits = 0
  for (const char of text) {
    width += widthOfChar(char)
    if (width > columns) return columns > 0 ? text.slice(0, fits) + ELLIPSIS : ''
    at += char.length
    if (width < columns) fits = at
  }
  return text
}

/** Cut or filled up to exactly this many columns. */
export function fit(text: string, columns: number, side: 'left' | 'right' = 'left'): string {
  const short = cut(text, columns)
  const gap = ' '.repeat(Math.max(columns - widthOf(short), 0))
  return side === 'left' ? short + gap : gap + short
}

function spell(char: string): string {
  let text = ''
  for (let i = 0; i < char.length; i++) text += `\\u${char.charCodeAt(i).toString(16).padStart(4, '0')}`
  return text
}

function widthOfChar(char: string): number {
  const code = char.codePointAt(0) ?? 0
  if (code < 0x300) return 1
  if (MARK.test(char)) return 0
  if (EMOJI.test(char)) return 2
  return WIDE.some(([first, last]) => code >= first && code <= last) ? 2 : 1
}
