/** A piece of a template. `capture` is the level that the n-th `+` of the source stands for, from 1; `rest` what its `#` does. */
export type TemplatePart =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'capture'; readonly number: number }
  | { readonly kind: 'rest' | 'topic' | 'clientid' | 'username' }

/** A target topic in pieces. Without placeholders it is one piece of text. */
export interface TopicTemplate {
  readonly parts: readonly TemplatePart[]
  /** Depends on nothing: it is always the same topic. */
  readonly isPlain: boolean
  /** Depends on who published. */
  readonly isPersonal: boolean
}

/** What is wrong with a template, as a clause such as `has ...`, and at which character, from 1. */
export interface TemplateProblem {
  readonly problem: string
  readonly at: number
}

/** Whose rules a template belongs to: those of a bridge don't know who published. */
export type TemplateKind = 'hub' | 'bridge'

const WORDS = new Map<string, TemplatePart>([
  ['#', { kind: 'rest' }],
  ['topic', { kind: 'topic' }],
  ['clientid', { kind: 'clientid' }],
  ['username', { kind: 'username' }],
])
const KNOWN = {
  hub: '{1}, {2}, ..., {#}, {topic}, {clientid} and {username} are known',
  bridge: '{1}, {2}, ..., {#} and {topic} are known to a bridge',
}
const NUMBER = /^[1-9]\d{0,2}$/

/**
 * Takes the target topic of a rule apart. `{1}` stands for what the first `+` of the source filter matches, `{#}` for what its
 * `#` does (any number of levels, so it has to be a level of its own), `{topic}`, `{clientid}` and `{username}` for what they
 * say. `\{` and `\}` are braces.
 *
 * @param kind `bridge`: without `{clientid}` and `{username}`
 */
export function parseTemplate(
  text: string,
  source: string,
  kind: TemplateKind = 'hub',
): TopicTemplate | TemplateProblem {
  const levels = source.split('/')
  const captures = levels.filter(level => level === '+').length
  const hasRest = levels.at(-1) === '#'
  const parts: TemplatePart[] = []
  let literal = ''
  for (let i = 0; i < text.length; i++) {
    const char = text[i] as string
    if (char === '\\' && (text[i + 1] === '{' || text[i + 1] === '}')) {
      literal += text[++i] as string
    } else if (char === '{') {
      const end = text.indexOf('}', i)
      if (end === -1) return { problem: 'has a { without its }; write \\{ for a brace', at: i + 1 }
      const name = text.slice(i + 1, end)
      const part = partOf(name)
      const isUnknown = part === null || (kind === 'bridge' && (part.kind === 'clientid' || part.kind === 'username'))
      if (isUnknown) return { problem: `has a placeholder {${name}}: ${KNOWN[kind]}; write \\{ for a brace`, at: i + 1 }
      const problem = misfit(part, text, i, end, captures, hasRest)
      if (problem !== null) return { problem, at: i + 1 }
      if (literal !== '') parts.push({ kind: 'text', text: literal })
      literal = ''
      parts.push(part)
      i = end
    } else literal += char
  }
  if (literal !== '' || parts.length === 0) parts.push({ kind: 'text', text: literal })
  return {
    parts,
    isPlain: parts.length === 1 && parts[0]?.kind === 'text',
    isPersonal: parts.some(({ kind }) => kind === 'clientid' || kind === 'username'),
  }
}

function partOf(name: string): TemplatePart | null {
  if (NUMBER.test(name)) return { kind: 'capture', number: Number(name) }
  return WORDS.get(name) ?? null
}

function misfit(
  part: TemplatePart,
  text: string,
  start: number,
  end: number,
  captures: number,
  hasRest: boolean,
): string | null {
  if (part.kind === 'capture' && part.number > captures) {
    const has = captures === 0 ? 'no +' : captures === 1 ? 'one +' : `${captures} +`
    return `has {${part.number}}, but the source has ${has}`
  }
  if (part.kind !== 'rest') return null
  if (!hasRest) return 'has {#}, but the source does not end in #'
  const isAlone = (start === 0 || text[start - 1] === '/') && (end === text.length - 1 || text[end + 1] === '/')
  return isAlone ? null : 'has {#} as a part of a level; it stands for whole levels'
}

export function isTemplateProblem(parsed: TopicTemplate | TemplateProblem): parsed is TemplateProblem {
  return 'problem' in parsed
}
