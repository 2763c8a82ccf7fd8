import * as v from 'valibot'
import { anonymousSchema, certificateSchema, principalsSchema } from './access.ts'
import { block, duration, list, wrongBlock } from './fields.ts'
import { limitsSchema } from './limits.ts'
import { loggerSchema } from './logger.ts'
import { messageSchema } from './message.ts'
import { queueSchema } from './queue.ts'
import { rulesSchema } from './rule.ts'
import { sessionSchema } from './session.ts'
import { storageSchema } from './storage.ts'

const listenSchema = list(v.nullish(v.string('must be text'), ''), {
  kind: 'list of URLs',
  description:
    'Addresses to accept connections on: `tcp://HOST:PORT` (or `mqtt`), `ssl://HOST:PORT` (or `tls`, `mqtts`), `ws://HOST:PORT/PATH`, `wss://HOST:PORT/PATH`, `unix:///PATH`. No host: every address of the machine. Port 0: a free one. An IPv6 address stands in brackets. WebSockets are accepted on any path.',
  reload: 'restart',
})

const shutdownSchema = block(
  {
    timeout: duration({
      default: '10m',
      min: '1ms',
      description: 'Time that a stop may take to write out what waits. 0 means the default.',
      reload: 'hot',
    }),
  },
  'The end of the hub.',
)

const metricsSchema = v.pipe(
  block(
    {
      report: block(
        {
          interval: duration({
            default: '1m',
            min: '1ms',
            description:
              'Time between two reports of the figures of the hub. No effect in this version, which makes no reports. 0 means the default.',
            reload: 'hot',
          }),
        },
        'Reports.',
      ),
    },
    'Figures of the hub.',
  ),
  v.transform(({ report }) => ({ reportIntervalMs: report.interval })),
)

const hubBlock = v.object(
  {
    listen: listenSchema,
    certificate: certificateSchema,
    principals: principalsSchema,
    anonymous: anonymousSchema,
    subscriptions: rulesSchema,
    message: messageSchema,
    queue: queueSchema,
    session: sessionSchema,
    storage: storageSchema,
    shutdown: shutdownSchema,
    metrics: metricsSchema,
    logger: loggerSchema,
    limits: limitsSchema,
  },
  wrongBlock,
)

/** The `service.yml` of the hub. In: what the YAML file says. Out: {@link HubConfig}. */
export const hubSchema = v.pipe(
  v.nullish(hubBlock, {}),
  v.metadata({ title: 'OpenEdge hub', description: 'The service.yml of the hub.' }),
  v.transform(({ shutdown, ...config }) => ({ ...config, shutdownTimeoutMs: shutdown.timeout })),
)

/** The blocks of the file, each to be judged for itself. */
export const hubEntries = hubBlock.entries

/** The configuration of a hub: every key present, times in milliseconds, sizes in bytes. */
export type HubConfig = v.InferOutput<typeof hubSchema>
