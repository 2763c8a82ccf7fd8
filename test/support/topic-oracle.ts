/** Topics and filters to draw from, and section 4.7 of MQTT 3.1.1 said as plainly as it can be, to compare with. */
import fc from 'fast-check'

/** Few and short, so that what is drawn often matches; with everything that is easily confused. */
const name = fc.constantFrom('', 'a', 'b', '$', '$a', 'a$', ' ', '\u{1F600}')

export const topicName: fc.Arbitrary<string> = fc
  .array(name, { minLength: 1, maxLength: 4 })
  .map(levels => levels.join('/'))
  .filter(text => text !== '')

export const topicFilter: fc.Arbitrary<string> = fc
  .tuple(fc.array(fc.oneof(name, fc.constant('+')), { maxLength: 4 }), fc.boolean())
  .map(([levels, multi]) => [...levels, ...(multi ? ['#'] : [])].join('/'))
  .filter(text => text !== '')

/** Whether a topic name matches a topic filter. */
export function matchesNaively(filter: string, topic: string): boolean {
  // A filter that starts with a wildcard does not match a topic that starts with $ [MQTT-4.7.2-1].
  if (topic.startsWith('$') && (filter.startsWith('+') || filter.startsWith('#'))) return false
  return levelsMatch(filter.split('/'), topic.split('/'))
}

function levelsMatch(filter: readonly string[], topic: readonly string[]): boolean {
  const [wanted, ...otherWanted] = filter
  const [level, ...otherLevels] = topic
  if (wanted === undefined) return level === undefined
  if (wanted === '#') return true // the parent and any number of levels below
  if (level === undefined) return false
  return (wanted === '+' || wanted === level) && levelsMatch(otherWanted, otherLevels)
}
