import * as v from 'valibot'
import { anonymousSchema, certificateSchema, principalsSchema } from './access.ts'
import { block, count, duration, list, size, text, wrongBlock } from './fields.ts'
import { limitsSchema } from './limits.ts'
import { loggerSchema } from './logger.ts'
import { messageSchema } from './message.ts'
import { rulesSchema } from './rule.ts'

const listenSchema = list(v.nullish(v.string('must be text'), ''), {
  kind: 'list of URLs',
  description:
    'Addresses to accept connections on: `tcp://HOST:PORT` (or `mqtt`), `ssl://HOST:PORT` (or `tls`, `mqtts`), `ws://HOST:PORT/PATH`, `wss://HOST:PORT/PATH`, `unix:///PATH`. No host: every address of the machine. Port 0: a free one. An IPv6 address stands in brackets. WebSockets are accepted on any path.',
  reload: 'restart',
})

const queueSchema = v.pipe(
  block(
    {
      max: block(
        {
          messages: count({
            default: 10_000,
            min: 1,
            zero: 'refused',
            description: 'Messages that wait for one session. One more of QoS 1 or 2, and the oldest is dropped.',
            reload: 'hot',
          }),
          bytes: size({
            default: '4m',
            min: 1,
            zero: 'refused',
            description:
              'Bytes of the messages that wait for one session. More of QoS 1 or 2, and the oldest are dropped.',
            reload: 'hot',
          }),
        },
        'Limits of one queue.',
      ),
      total: block(
        {
          bytes: size({
            default: '64m',
            min: 1,
            zero: 'refused',
            description:
              'Bytes of all messages that wait in memory for absent or slow clients, together. Beyond it the session that gets one more message drops its oldest.',
            reload: 'hot',
          }),
        },
        'Limits of all queues together.',
      ),
    },
    'The queue of a session: what it gets when it reads again or comes back.',
  ),
  v.transform(({ max, total }) => ({ maxMessages: max.messages, maxBytes: max.bytes, maxTotalBytes: total.bytes })),
)

const storageSchema = block(
  {
    dir: text({
      kind: 'path',
      default: 'var/db/openedge/data',
      description: 'Folder of what outlives a restart. No effect in this version, which keeps everything in memory.',
      reload: 'restart',
    }),
  },
  'What outlives a restart: nothing in this version.',
)

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
