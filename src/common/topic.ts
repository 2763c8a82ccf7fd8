/** What a topic may be at most; OpenEdge's limits by default. */
export interface TopicLimits {
  /** UTF-8 bytes. */
  readonly maxBytes: number
  /** Levels, that is slashes plus one. */
  readonly maxLevels: number
}

export const DEFAULT_TOPIC_LIMITS: TopicLimits = { maxBytes: 255, maxLevels: 9 }

const SLASH = 47 // '/'
const PLUS = 43 // '+'
const HASH = 35 // '#'
const DOLLAR = 36 // '$'

/** True for topics the server keeps for itself, such as `$SYS/...` [MQTT-4.7.2-1]. */
export function startsWithDollar(topic: string): boolean {
  return topic.charCodeAt(0) === DOLLAR
}

/**
 * Why `topic` can't be published to, or null when it can. A leading `$` is not judged here: who may publish there is
 * a matter of configuration.
 */
export function topicNameProblem(topic: string, limits: TopicLimits = DEFAULT_TOPIC_LIMITS): string | null {
  if (topic.length === 0) return 'is empty' // [MQTT-4.7.3-1]
  let levels = 1
  for (let i = 0; i < topic.length; i++) {
    const c = topic.charCodeAt(i)
    if (c === SLASH) levels++
    else if (c === PLUS || c === HASH)
      return 'has a wildcard' // [MQTT-3.3.2-2]
    else if (c === 0) return 'has a null character' // [MQTT-4.7.3-2]
  }
  return sizeProblem(topic, levels, limits)
}

/** Why `filter` can't be subscribed to, or null when it can. */
export function topicFilterProblem(filter: string, limits: TopicLimits = DEFAULT_TOPIC_LIMITS): string | null {
  if (filter.length === 0) return 'is empty' // [MQTT-4.7.3-1]
  let levels = 1
  for (let i = 0; i < filter.length; i++) {
    const c = filter.charCodeAt(i)
    if (c === SLASH) levels++
    else if (c === 0)
      return 'has a null character' // [MQTT-4.7.3-2]
    else if (c === PLUS || c === HASH) {
      const wholeLevel =
        (i === 0 || filter.charCodeAt(i - 1) === SLASH) &&
        (i === filter.length - 1 || filter.charCodeAt(i + 1) === SLASH)
      if (!wholeLevel) return `has a ${String.fromCharCode(c)} that is not a whole level` // [MQTT-4.7.1-2] [MQTT-4.7.1-3]
      if (c === HASH && i !== filter.length - 1) return 'has a # that is not the last level' // [MQTT-4.7.1-2]
    }
  }
  return sizeProblem(filter, levels, limits)
}

function sizeProblem(text: string, levels: number, limits: TopicLimits): string | null {
  if (levels > limits.maxLevels) return `has too many levels (${levels}; ${limits.maxLevels} are allowed)`
  // A UTF-16 unit takes three bytes at most, so short topics need no count.
  if (text.length * 3 > limits.maxBytes) {
    const bytes = Buffer.byteLength(text)
    if (bytes > limits.maxBytes) return `has ${bytes} bytes; ${limits.maxBytes} are allowed`
  }
  return null
}
