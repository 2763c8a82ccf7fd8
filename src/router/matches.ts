import { startsWithDollar } from '../common/index.ts'

/** Whether a valid topic filter matches a topic name (section 4.7). For single questions; many are the trees' work. */
export function filterMatches(filter: string, topic: string): boolean {
  const wanted = filter.split('/')
  const levels = topic.split('/')
  if (startsWithDollar(topic) && (wanted[0] === '#' || wanted[0] === '+')) return false // [MQTT-4.7.2-1]
  for (let i = 0; i < wanted.length; i++) {
    if (wanted[i] === '#') return true
    if (i >= levels.length || (wanted[i] !== '+' && wanted[i] !== levels[i])) return false
  }
  return wanted.length === levels.length
}
