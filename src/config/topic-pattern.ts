import type { TemplatePart, TopicTemplate } from './topic-template.ts'

/** A level of a topic that a template makes: text, or pieces of text with anything between them. */
export interface PatternLevel {
  readonly kind: 'level'
  /** What it is like, for comparing: equal levels have equal keys. */
  readonly key: string
  /** One piece: it is that text. More: it begins with the first, ends with the last and has the others in between. */
  readonly pieces: readonly string[]
  /** How many characters at least there are behind each piece but the last. */
  readonly between: readonly number[]
  /** Whether it begins with `$`. */
  readonly dollar: 'never' | 'maybe' | 'always'
}

/** Any number of levels, also none. */
interface Gap {
  readonly kind: 'gap'
  readonly key: string
}

export type TopicPattern = readonly (PatternLevel | Gap)[]

/** How many levels the `#` of the source stands for: it depends on that how levels grow together. */
type Rest = 'any' | 'none' | 'one' | 'more'

/** A piece of a level that is not known: what a `+`, or a level below `#`, stands for; or a name of the publisher. */
interface Unknown {
  /** It is the first level of the message's topic, where a wildcard is no `$` [MQTT-4.7.2-1]. */
  readonly isFirst: boolean
  readonly isEmptyAllowed: boolean
}

type Atom = string | Unknown
const GAP: Gap = { kind: 'gap', key: '#' }
/** Key of a level without any character. */
const EMPTY = '='

/**
 * The topics that a template makes of messages that its source takes: all of them are like one of the patterns. What a
 * placeholder stands for is taken to be independent of what another does.
 */
export function patternsOf(template: TopicTemplate, source: string): TopicPattern[] {
  const levels = source.split('/')
  return restsOf(template.parts, levels).map(rest => notEmpty(new PatternMaker(levels, rest).make(template.parts)))
}

/** An empty level and a gap: with nothing in the gap that were the empty topic, which there is not [MQTT-4.7.3-1]. */
function notEmpty(pattern: TopicPattern): TopicPattern {
  const [first, second, third] = pattern
  if (first === undefined || second === undefined || third !== undefined) return pattern
  const between = levelOf([{ isFirst: false, isEmptyAllowed: true }])
  if (first.kind === 'gap' && second.key === EMPTY) return [between, first, second]
  return first.key === EMPTY && second.kind === 'gap' ? [first, between, second] : pattern
}

/** The cases to tell apart. */
function restsOf(parts: readonly TemplatePart[], source: readonly string[]): readonly Rest[] {
  if (source.at(-1) !== '#' || parts.every(({ kind }) => kind !== 'rest' && kind !== 'topic')) return ['any']
  // What the `#` stands for is the whole topic, and that is not empty.
  if (source.length === 1) return ['one', 'more']
  const growsTogether = parts.some((part, i) => {
    const next = parts[i + 1]
    return part.kind === 'topic' && next !== undefined && !(next.kind === 'text' && next.text.startsWith('/'))
  })
  // What the `+` of `+/#` stands for is not empty when it is the whole topic.
  const isOpen = source.length === 2 && source[0] === '+'
  return growsTogether || isOpen ? ['none', 'one', 'more'] : ['any']
}

class PatternMaker {
  readonly #source: readonly string[]
  readonly #rest: Rest
  readonly #elements: (Atom[] | Gap)[] = []
  /** The level that is being put together; null: it is none, or there is a gap in its place. */
  #level: Atom[] | null = []

  constructor(source: readonly string[], rest: Rest) {
    this.#source = source
    this.#rest = rest
  }

  make(parts: readonly TemplatePart[]): TopicPattern {
    for (const part of parts) this.#add(part)
    if (this.#level !== null) this.#elements.push(this.#level)
    const isRepeated = (i: number) => this.#elements[i] === GAP && this.#elements[i - 1] === GAP
    return this.#elements
      .filter((_, i) => !isRepeated(i))
      .map(element => (Array.isArray(element) ? levelOf(element) : element))
  }

  #add(part: TemplatePart): void {
    switch (part.kind) {
      case 'text':
        for (const [i, text] of part.text.split('/').entries()) {
          if (i > 0) this.#nextLevel()
          if (text !== '') this.#append(text)
        }
        break
      case 'capture':
        this.#append(this.#plus(part.number === 1 && this.#source[0] === '+'))
        break
      case 'rest':
        this.#addRest()
        break
      case 'topic':
        for (const [i, level] of this.#source.entries()) {
          if (i > 0) this.#nextLevel()
          if (level === '#') this.#addRest()
          else this.#append(level === '+' ? this.#plus(i === 0) : level)
        }
        break
      case 'clientid':
      case 'username':
        this.#append({ isFirst: false, isEmptyAllowed: false })
    }
  }

  #plus(isFirst: boolean): Unknown {
    const isTopic = this.#source.length === (this.#rest === 'none' ? 2 : 1)
    return { isFirst, isEmptyAllowed: !isTopic }
  }

  #append(atom: Atom): void {
    this.#level ??= []
    this.#level.push(atom)
  }

  #nextLevel(): void {
    if (this.#level !== null) this.#elements.push(this.#level)
    this.#level = []
  }

  /** The levels that the `#` stands for, behind a slash; or at the very beginning of `{topic}` when the source is `#`. */
  #addRest(): void {
    const rest = this.#rest
    const isTopic = this.#source.length === 1
    if (rest === 'one' || rest === 'more')
      this.#append({ isFirst: isTopic, isEmptyAllowed: !isTopic || rest === 'more' })
    if (rest === 'one') return
    if (rest === 'none') {
      // The slash goes too, so what follows `{topic}` belongs to the level before.
      this.#reopen()
      return
    }
    if (rest === 'more' && this.#level !== null) this.#elements.push(this.#level)
    this.#elements.push(GAP)
    this.#level = rest === 'more' ? [{ isFirst: false, isEmptyAllowed: true }] : null
  }

  #reopen(): void {
    const last = this.#elements.pop()
    this.#level = Array.isArray(last) ? last : null
  }
}

export function textLevel(text: string): PatternLevel {
  return levelOf([text])
}

function levelOf(atoms: readonly Atom[]): PatternLevel {
  const pieces = ['']
  const between: number[] = []
  for (const atom of atoms) {
    const last = pieces.length - 1
    const least = typeof atom !== 'string' && !atom.isEmptyAllowed ? 1 : 0
    if (typeof atom === 'string') pieces[last] += atom
    else if (last > 0 && pieces[last] === '') between[last - 1] = (between[last - 1] ?? 0) + least
    else {
      between.push(least)
      pieces.push('')
    }
  }
  const dollar = dollarOf(atoms)
  const key = between.length === 0 ? `=${pieces[0]}` : JSON.stringify([pieces, between, dollar])
  return { kind: 'level', key, pieces, between, dollar }
}

function dollarOf(atoms: readonly Atom[]): PatternLevel['dollar'] {
  for (const [i, atom] of atoms.entries()) {
    if (typeof atom === 'string') {
      if (!atom.startsWith('$')) return 'never'
      return i === 0 ? 'always' : 'maybe'
    }
    if (!atom.isFirst) return 'maybe'
    if (!atom.isEmptyAllowed) return 'never'
  }
  return 'never'
}

/** Whether a level of a filter, no wildcard, can be a level that the template makes. */
export function canBe({ pieces, between, dollar }: PatternLevel, name: string): boolean {
  const first = pieces[0] as string
  const end = pieces.length - 1
  if (end === 0) return name === first
  if (!name.startsWith(first) || (dollar === 'never' && name.startsWith('$'))) return false
  let at = first.length
  // Called for each pair of a source and a target in the worst case.
  for (let i = 1; i < end; i++) {
    const piece = pieces[i] as string
    const found = name.indexOf(piece, at + (between[i - 1] as number))
    if (found === -1) return false
    at = found + piece.length
  }
  const last = pieces[end] as string
  return name.length - last.length >= at + (between[end - 1] as number) && name.endsWith(last)
}

/** What the shortest topic of a pattern has at least. */
export function leastOf(pattern: TopicPattern): { bytes: number; levels: number } {
  const levels = pattern.filter(element => element.kind === 'level')
  let bytes = Math.max(levels.length - 1, 0)
  for (const { pieces, between } of levels) {
    for (const piece of pieces) bytes += Buffer.byteLength(piece)
    for (const least of between) bytes += least
  }
  return { bytes, levels: levels.length }
}
