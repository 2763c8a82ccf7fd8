import * as v from 'valibot'
import { choice, count, flag, list, requiredCount, show, text, wrongBlock } from './fields.ts'

/** A QoS. Zero is a value, also where the default is another one. */
export function qos(description: string, fallback: 0 | 1 | 2 = 0) {
  return v.pipe(
    v.nullish(
      v.picklist([0, 1, 2], issue => `must be 0, 1 or 2, got ${show(issue.input)}`),
      fallback,
    ),
    v.metadata({ kind: '0 | 1 | 2', defaultText: String(fallback), description, reload: 'hot' }),
  )
}

const source = v.nullish(
  v.object(
    {
      topic: text({ description: 'Topic filter of the messages that are forwarded.', required: true, reload: 'hot' }),
      qos: qos('Highest QoS that messages are taken with.'),
      principal: text({
        description:
          'Only messages that this principal publishes, named by its username; `anonymous`: clients without a username. Empty: from everybody.',
        reload: 'hot',
      }),
    },
    wrongBlock,
  ),
  {},
)

const target = v.nullish(
  v.object(
    {
      topic: text({
        description:
          'Topic they are published to, without wildcards. `{1}`, `{2}` ... stand for what the first, second ... `+` of the source matches, `{#}` for the levels that its `#` matches, `{topic}`, `{clientid}` and `{username}` for the topic and the publisher of the message. `\\{` is a brace. Quote a target that begins with `{`, which YAML takes for a block.',
        required: true,
        reload: 'hot',
      }),
      qos: qos('QoS of the forwarded message, unless it came, or was taken, with less.'),
      retain: choice(['clear', 'keep', 'set'], {
        default: 'clear',
        description:
          'RETAIN of the forwarded message. `clear`: it is never retained, as in OpenEdge. `keep`: it is when the original was published with RETAIN. `set`: always.',
        reload: 'hot',
      }),
    },
    wrongBlock,
  ),
  {},
)

/** How much of what a rule or a subscription takes is forwarded. */
export const limitSchema = v.pipe(
  v.nullish(
    v.object(
      {
        rate: requiredCount({
          min: 1,
          description: 'Messages a second that are forwarded at most; more are dropped and counted.',
          reload: 'hot',
        }),
        burst: count({
          default: 0,
          zero: 'kept',
          description: 'Messages that may come at once after a pause. 0: as many as `rate`.',
          reload: 'hot',
        }),
      },
      wrongBlock,
    ),
    null,
  ),
  v.metadata({ kind: 'block', defaultText: 'none', description: 'Present: how much is forwarded.', reload: 'hot' }),
)

export const ruleSchema = v.nullish(
  v.object(
    {
      source,
      target,
      limit: limitSchema,
      authorize: flag({
        default: false,
        description:
          'Forward only what `principal` may hear (`sub` on the topic of the message) and say (`pub` on the target topic). Without it rules are above all permissions, as in OpenEdge.',
        reload: 'hot',
      }),
      principal: text({ description: 'Whose permissions count with `authorize`.', reload: 'hot' }),
    },
    wrongBlock,
  ),
  {},
)

export const rulesSchema = list(ruleSchema, {
  kind: 'list',
  description:
    'Rules of the router: a message whose topic matches the source is also published to the target. Rules may follow each other but not in a circle, and each pair of source and target may occur once.',
  reload: 'hot',
})

export type RuleConfig = v.InferOutput<typeof ruleSchema>
