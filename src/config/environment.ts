// Variables of the environment in a configuration file: `{{.NAME}}` as in OpenEdge, `${NAME}` and `${NAME:-default}`.
//
// They are not replaced in the text of the file: a value with a line break or a colon in it could add keys there, and every
// position behind it would be wrong. Instead each placeholder is exchanged for a mark of the same length, made of characters
// that mean nothing to YAML; the marked text is parsed; and what a mark stands for is put into the parsed value that has
// it. That also makes a value that begins with `{{`, which is a map to YAML, an ordinary text.
//
// A mark: START, two digits that number the placeholder, padding, END. All are from the private use area of Unicode.

const START = '\ue000'
const END = '\ue001'
const PADDING = '\ue002'
const LITERAL_DOLLAR = '\ue003'
const DIGIT_0 = 0xe100
const BASE = 1000

// At least `${A}` long, which leaves room for the two digits. Unbounded, a default would be searched for its end from each
// `${` to the end of the line again.
const PLACEHOLDER = /\$(\$\{)|\$\{([A-Za-z_]\w*)(?::-([^}\r\n]{0,1024}))?\}|\{\{[ \t]*\.([A-Za-z_]\w*)[ \t]*\}\}/g
const MARK = /\ue000([\ue100-\ue4e7])([\ue100-\ue4e7])\ue002*\ue001|\ue003{3}/g

/** The variables to take values from, such as `process.env`. */
export type Environment = Readonly<Record<string, string | undefined>>

/** A placeholder in the text of a file. */
export interface Placeholder {
  readonly name: string
  /** As it stands in the file. */
  readonly source: string
  /** Where it stands, in UTF-16 units. */
  readonly offset: number
  /** What follows `:-`; null when there is no default. */
  readonly fallback: string | null
}

/** A file whose placeholders are marks: of the same length, with the same lines and columns. */
export interface MarkedText {
  readonly text: string
  readonly placeholders: readonly Placeholder[]
}

export function markPlaceholders(text: string): MarkedText {
  const placeholders: Placeholder[] = []
  const marked = text.replace(
    PLACEHOLDER,
    (source: string, escaped: string | undefined, dollar: string, fallback: string | undefined, go: string, offset) => {
      if (escaped !== undefined) return LITERAL_DOLLAR.repeat(3)
      const number = placeholders.length
      if (number >= BASE * BASE) return source
      placeholders.push({ name: dollar ?? go, source, offset: Number(offset), fallback: fallback ?? null })
      return START + digit(Math.floor(number / BASE)) + digit(number % BASE) + PADDING.repeat(source.length - 4) + END
    },
  )
  return { text: marked, placeholders }
}

/** The text as it stands in the file: for keys and messages. */
export function unmark(text: string, placeholders: readonly Placeholder[]): string {
  return replaceMarks(text, placeholders, '$${', placeholder => placeholder.source)
}

export interface Substitution {
  readonly value: string
  /** False when the text had no placeholder at all. */
  readonly changed: boolean
  /** Placeholders without value or default. */
  readonly missing: readonly Placeholder[]
  /** The value would have been longer than allowed, and is cut. */
  readonly isTooLong: boolean
}

/**
 * Puts values in. An empty variable counts as missing when there is a default, as in a shell. Values are not looked into.
 *
 * @param maxLength of all values together, in UTF-16 units
 */
export function substitute(
  text: string,
  placeholders: readonly Placeholder[],
  env: Environment,
  maxLength: number,
): Substitution {
  const missing: Placeholder[] = []
  let length = 0
  let changed = false
  const value = replaceMarks(text, placeholders, '${', placeholder => {
    const { name, fallback } = placeholder
    changed = true
    const given = Object.hasOwn(env, name) ? env[name] : undefined
    const useFallback = given === undefined || (given === '' && fallback !== null)
    if (useFallback && fallback === null) missing.push(placeholder)
    const inserted = (useFallback ? fallback : given) ?? ''
    length += inserted.length
    return length > maxLength ? '' : inserted
  })
  return { value, changed, missing, isTooLong: length > maxLength }
}

function replaceMarks(
  text: string,
  placeholders: readonly Placeholder[],
  literalDollar: string,
  replace: (placeholder: Placeholder) => string,
): string {
  return text.replace(MARK, (mark: string, high: string | undefined, low: string) => {
    if (high === undefined) return literalDollar
    const placeholder = placeholders[valueOf(high) * BASE + valueOf(low)]
    return placeholder === undefined ? mark : replace(placeholder)
  })
}

function digit(value: number): string {
  return String.fromCharCode(DIGIT_0 + value)
}

function valueOf(char: string): number {
  return char.charCodeAt(0) - DIGIT_0
}
