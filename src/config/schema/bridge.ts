import * as v from 'valibot'
import { resolveRules } from '../bridge-names.ts'
import { bridgeRuleSchema } from './bridge-rule.ts'
import { hubClientSchema, remoteSchema } from './client.ts'
import { block, duration, list, size, text, wrongBlock } from './fields.ts'
import { loggerSchema } from './logger.ts'
import { renamed } from './renamed.ts'

const remotesSchema = list(remoteSchema, {
  kind: 'list',
  description: 'The brokers that the hub is bridged with.',
  reload: 'hot',
})

const rulesSchema = list(bridgeRuleSchema, {
  kind: 'list',
  description:
    'What is forwarded between the hub and a remote. Each rule has a connection of its own to each of the two.',
  reload: 'hot',
})

const messageSchema = renamed(
  block(
    {
      length: block(
        {
          max: size({
            default: '4m',
            min: 1,
            max: 268_435_455,
            description:
              'Largest MQTT packet that is forwarded, in bytes, its fixed header included. A larger one is acknowledged, dropped and counted: otherwise it would come again for ever. 0 means the default.',
            reload: 'hot',
          }),
        },
        'Length of a packet.',
      ),
    },
    'Messages on their way through the bridge.',
  ),
  { maxBytes: 'length.max' },
)

const statusSchema = block(
  {
    topic: text({
      default: '$SYS/bridge/{rule}/state',
      description:
        'Topic of the hub on which each rule tells, retained, whether its connections are up. `{rule}` stands for the name of the rule. `none`: it is not told.',
      reload: 'hot',
    }),
  },
  'What the hub is told of the bridge.',
)

const shutdownSchema = block(
  {
    timeout: duration({
      default: '10s',
      min: '1ms',
      description: 'Time that a stop waits for acknowledgements of what is on its way. 0 means the default.',
      reload: 'hot',
    }),
  },
  'The end of the bridge.',
)

const metricsSchema = block(
  {
    listen: text({
      kind: 'URL',
      description:
        'Where the figures are served for Prometheus: `http://HOST:PORT`, such as `http://127.0.0.1:9091`. Paths: `/metrics`, `/healthz`, `/readyz`. Port 0: a free one. Nobody is asked for a password, so a host other than loopback is warned of. Empty: nowhere.',
      reload: 'hot',
    }),
  },
  'Figures of the bridge.',
)

const controlSchema = block(
  {
    socket: text({
      kind: 'path',
      description:
        'Unix socket by which commands such as `openedge bridge reload` reach the bridge, relative to the working directory. `auto`: one below the folder for temporary files, found by the names of the configuration file and the working directory. `none`: none.',
      default: 'auto',
      reload: 'restart',
    }),
  },
  'The way in for commands.',
)

const bridgeBlock = v.object(
  {
    hub: hubClientSchema,
    remotes: remotesSchema,
    rules: rulesSchema,
    message: messageSchema,
    status: statusSchema,
    shutdown: shutdownSchema,
    metrics: metricsSchema,
    control: controlSchema,
    logger: loggerSchema,
  },
  wrongBlock,
)

/** The `service.yml` of a bridge. In: what the YAML file says. Out: {@link BridgeConfig}. */
export const bridgeSchema = v.pipe(
  renamed(
    v.pipe(
      v.nullish(bridgeBlock, {}),
      v.metadata({ title: 'OpenEdge bridge', description: 'The service.yml of a bridge.' }),
    ),
    {
      hub: 'hub',
      remotes: 'remotes',
      rules: 'rules',
      message: 'message',
      status: 'status',
      shutdownTimeoutMs: 'shutdown.timeout',
      metrics: 'metrics',
      control: 'control',
      logger: 'logger',
    },
  ),
  v.transform(config => ({ ...config, rules: resolveRules(config.remotes, config.rules) })),
)

/** The blocks of the file, each to be judged for itself. */
export const bridgeEntries = bridgeBlock.entries

/** The configuration of a bridge: every key present, times in milliseconds, sizes in bytes, client identifiers resolved. */
export type BridgeConfig = v.InferOutput<typeof bridgeSchema>
