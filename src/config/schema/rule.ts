import * as v from 'valibot'
import { list, show, text, wrongBlock } from './fields.ts'

function qos(description: string) {
  return v.pipe(
    v.nullish(
      v.picklist([0, 1, 2], issue => `must be 0, 1 or 2, got ${show(issue.input)}`),
      0,
    ),
    v.metadata({ kind: '0 | 1 | 2', defaultText: '0', description, reload: 'hot' }),
  )
}

const source = v.nullish(
  v.object(
    {
      topic: text({ description: 'Topic filter of the messages that are forwarded.', required: true, reload: 'hot' }),
      qos: qos('Highest QoS that messages are taken with.'),
    },
    wrongBlock,
  ),
  {},
)

const target = v.nullish(
  v.object(
    {
      topic: text({ description: 'Topic they are published to, without wildcards.', required: true, reload: 'hot' }),
      qos: qos('QoS of the forwarded message, unless it was taken with QoS 0: then 0.'),
    },
    wrongBlock,
  ),
  {},
)

export const ruleSchema = v.nullish(v.object({ source, target }, wrongBlock), {})

export const rulesSchema = list(ruleSchema, {
  kind: 'list',
  description:
    'Rules of the router: a message whose topic matches the source is also published to the target. Rules may follow each other but not in a circle, and each pair of source and target may occur once. No effect in this version: rules are checked but not run.',
  reload: 'hot',
})

export type RuleConfig = v.InferOutput<typeof ruleSchema>
