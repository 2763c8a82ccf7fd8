import * as v from 'valibot'
import { anonymousSchema, certificateSchema, principalsSchema } from './access.ts'
import { block, duration, flag, list, text, wrongBlock } from './fields.ts'
import { limitsSchema } from './limits.ts'
import { loggerSchema } from './logger.ts'
import { messageSchema } from './message.ts'
import { queueSchema } from './queue.ts'
import { renamed } from './renamed.ts'
import { rulesSchema } from './rule.ts'
import { sessionSchema } from './session.ts'
import { storageSchema } from './storage.ts'

const listenSchema = list(v.nullish(v.string('must be text'), ''), {
  kind: 'list of URLs',
  description:
    'Addresses to accept connections on: `tcp://HOST:PORT` (or `mqtt`), `ssl://HOST:PORT` (or `tls`, `mqtts`), `ws://HOST:PORT/PATH`, `wss://HOST:PORT/PATH`, `unix:///PATH`. No host: every address of the machine. Port 0: a free one. An IPv6 address stands in brackets. WebSockets are accepted on any path.',
  reload: 'hot',
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

const metricsSchema = renamed(
  block(
    {
      report: block(
        {
          interval: duration({
            default: '1m',
            min: '1ms',
            description:
              'Time between two reports of the figures of the hub on `$SYS/broker/...`. 0 means the default.',
            reload: 'hot',
          }),
        },
        'Reports.',
      ),
      listen: text({
        kind: 'URL',
        description:
          'Where the figures are served for Prometheus: `http://HOST:PORT`, such as `http://127.0.0.1:9090`. Paths: `/metrics`, `/healthz`, `/readyz`. Port 0: a free one. Nobody is asked for a password, so a host other than loopback is warned of. Empty: nowhere.',
        reload: 'hot',
      }),
      events: flag({
        default: false,
        description:
          'Tell of clients that connect, disconnect or are refused on `$SYS/broker/events/client/connected`, `.../disconnected` and `.../refused`.',
        reload: 'hot',
      }),
    },
    'Figures of the hub.',
  ),
  { reportIntervalMs: 'report.interval', listen: 'listen', events: 'events' },
)

const controlSchema = block(
  {
    socket: text({
      kind: 'path',
      description:
        'Unix socket by which `openedge hub reload` and `openedge hub top` reach the hub, relative to the working directory. `auto`: one below the folder for temporary files, found by the names of the configuration file and the working directory. `none`: none.',
      default: 'auto',
      reload: 'restart',
    }),
  },
  'The way in for commands.',
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
    control: controlSchema,
    logger: loggerSchema,
    limits: limitsSchema,
  },
  wrongBlock,
)

/** The `service.yml` of the hub. In: what the YAML file says. Out: {@link HubConfig}. */
export const hubSchema = renamed(
  v.pipe(v.nullish(hubBlock, {}), v.metadata({ title: 'OpenEdge hub', description: 'The service.yml of the hub.' })),
  {
    listen: 'listen',
    certificate: 'certificate',
    principals: 'principals',
    anonymous: 'anonymous',
    subscriptions: 'subscriptions',
    message: 'message',
    queue: 'queue',
    session: 'session',
    storage: 'storage',
    shutdownTimeoutMs: 'shutdown.timeout',
    metrics: 'metrics',
    control: 'control',
    logger: 'logger',
    limits: 'limits',
  },
)

/** The blocks of the file, each to be judged for itself. */
export const hubEntries = hubBlock.entries

/** The configuration of a hub: every key present, times in milliseconds, sizes in bytes. */
export type HubConfig = v.InferOutput<typeof hubSchema>
