/** What every message published to `bench/<i>` is copied to; `%d` stands for the number of the topic. */
export const COPIES: readonly string[] = ['copy/all/%d', 'copy/one/%d', 'copy/own/%d']

/**
 * So many rules, as lines of a configuration, of which each message to `bench/<i>`, with i below `topics`, matches
 * three: one with `#`, one with `+`, and one of its own topic. The others wait for messages that nobody publishes.
 */
export function ruleLines(count: number, topics: number): string[] {
  const rules = [rule('bench/#', 'copy/all/{#}'), rule('bench/+', 'copy/one/{1}')]
  for (let topic = 0; topic < topics; topic++) rules.push(rule(`bench/${topic}`, `copy/own/${topic}`))
  for (let number = 0; rules.length < count; number++) {
    const place = placeOf(number)
    switch (number % 4) {
      case 0:
        rules.push(rule(`m/${place}/state`, `c/${place}/state`))
        break
      case 1:
        rules.push(rule(`m/${place}/+/state`, `c/${place}/{1}`))
        break
      case 2:
        rules.push(rule(`m/${place}/#`, `c/${place}/{#}`))
        break
      default:
        // Two steps: what the rule before this one makes goes on from there.
        rules.push(rule(`c/${placeOf(number - 1)}/+`, `c/${place}/{1}/x`))
    }
  }
  return ['subscriptions:', ...rules]
}

/** A machine at one of a hundred sites. Short, since a configuration file has a limit. */
function placeOf(number: number): string {
  return `${number % 100}/${number}`
}

function rule(source: string, target: string): string {
  return `- {source: {topic: '${source}', qos: 1}, target: {topic: '${target}', qos: 1}}`
}
