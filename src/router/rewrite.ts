import type { TopicTemplate } from '../config/index.ts'

/** Who published, as far as a template asks. */
export interface TopicContext {
  readonly clientId: string
  readonly username: string
}

/** What can't stand for a level of a topic. */
const NOT_IN_LEVEL = /[/+#\0]/

/** Why there is no topic, as a clause such as `{clientid} is not known`. */
export interface RewriteProblem {
  readonly problem: string
}

/** The topic that a template makes of a message that the source filter matches. It may not be a valid one. */
export function renderTopic(
  template: TopicTemplate,
  source: string,
  topic: string,
  publisher: TopicContext | null,
): string | RewriteProblem {
  const levels = topic.split('/')
  const pattern = source.split('/')
  let text = ''
  /** The piece before was `{#}` of no levels: the slash behind it goes. */
  let isGone = false
  for (const part of template.parts) {
    switch (part.kind) {
      case 'text':
        text += isGone && text === '' ? part.text.slice(1) : part.text
        isGone = false
        break
      case 'capture':
        text += levels[plusAt(pattern, part.number)] as string
        break
      case 'rest': {
        const rest = levels.slice(pattern.length - 1)
        if (rest.length > 0) text += rest.join('/')
        else if (text.endsWith('/')) text = text.slice(0, -1)
        else isGone = true
        break
      }
      case 'topic':
        text += topic
        break
      case 'clientid':
      case 'username': {
        const value = part.kind === 'clientid' ? publisher?.clientId : publisher?.username
        if (value === undefined || value === '') return { problem: `{${part.kind}} is not known` }
        if (NOT_IN_LEVEL.test(value)) return { problem: `{${part.kind}} has a character that no level may have` }
        text += value
      }
    }
  }
  return text
}

/** The level of the n-th `+`. */
function plusAt(pattern: readonly string[], number: number): number {
  let at = -1
  for (let i = 0; i < number; i++) at = pattern.indexOf('+', at + 1)
  return at
}
