import * as v from 'valibot'
import { block, choice, count, list, text, wrongBlock } from './fields.ts'
import { renamed } from './renamed.ts'
import { limitSchema, qos } from './rule.ts'

const subscriptionSchema = v.nullish(
  v.object(
    {
      topic: text({
        description: 'Topic filter of the messages that are forwarded.',
        required: true,
        reload: 'hot',
      }),
      qos: qos('Highest QoS that messages are taken with. Of several filters that take a message, the highest counts.'),
      target: v.nullish(
        v.object(
          {
            topic: text({
              description:
                'Topic they are published to on the other side. Empty: the same topic. `{1}`, `{2}` ... stand for what the first, second ... `+` of the filter matches, `{#}` for the levels that its `#` matches, `{topic}` for the whole topic. `\\{` is a brace. Quote a target that begins with `{`, which YAML takes for a block.',
              reload: 'hot',
            }),
            qos: qos('QoS that they are published with, unless they were taken with less.', 2),
            retain: choice(['keep', 'clear'], {
              default: 'keep',
              description:
                'RETAIN of what is published. `keep`: as it came, as in OpenEdge. `clear`: it is never retained.',
              reload: 'hot',
            }),
          },
          wrongBlock,
        ),
        {},
      ),
      limit: limitSchema,
    },
    wrongBlock,
  ),
  {},
)

function subscriptions(description: string) {
  return list(subscriptionSchema, { kind: 'list', description, reload: 'hot' })
}

function clientId(description: string) {
  return text({ description, reload: 'hot' })
}

const hubSideSchema = renamed(
  v.nullish(
    v.object(
      {
        clientid: clientId('Client identifier on the hub. Empty: the one on the remote. Unique among the rules.'),
        subscriptions: subscriptions('What goes from the hub to the remote.'),
      },
      wrongBlock,
    ),
    {},
  ),
  { clientId: 'clientid', subscriptions: 'subscriptions' },
)

const remoteSideSchema = renamed(
  v.nullish(
    v.object(
      {
        name: text({ description: 'Which of the remotes.', required: true, reload: 'hot' }),
        clientid: clientId(
          'Client identifier on the remote. Empty: the one of the remote, or else its name. Unique among the rules of the remote.',
        ),
        subscriptions: subscriptions('What goes from the remote to the hub.'),
      },
      wrongBlock,
    ),
    {},
  ),
  { name: 'name', clientId: 'clientid', subscriptions: 'subscriptions' },
)

export const bridgeRuleSchema = v.nullish(
  v.object(
    {
      name: text({
        description:
          'What figures, log lines and the status topic call the rule. Characters other than letters and digits of ASCII, `.`, `_` and `-` become `_`. Empty: its client identifier on the hub. Unique.',
        reload: 'hot',
      }),
      hub: hubSideSchema,
      remote: remoteSideSchema,
      offline: block(
        {
          max: count({
            default: 0,
            zero: 'kept',
            max: 1_000_000,
            description:
              'Messages of QoS 0 that are kept in memory for each direction while its target is away; the oldest go first. 0: none is kept. Messages of QoS 1 and 2 wait in the broker they come from.',
            reload: 'hot',
          }),
        },
        'While a side is away.',
      ),
    },
    wrongBlock,
  ),
  {},
)

export type BridgeRuleConfig = v.InferOutput<typeof bridgeRuleSchema>
export type BridgeSubscriptionConfig = v.InferOutput<typeof subscriptionSchema>
