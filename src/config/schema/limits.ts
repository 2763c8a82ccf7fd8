import type * as v from 'valibot'
import { block, choice, count, duration, size } from './fields.ts'
import { renamed } from './renamed.ts'

/** What any configuration allows at most; also what topics are judged by when `limits` itself is wrong. */
export const MAX_TOPIC_BYTES = 65_535
export const MAX_TOPIC_LEVELS = 100

const topic = block(
  {
    length: count({
      default: 255,
      min: 1,
      max: MAX_TOPIC_BYTES,
      zero: 'refused',
      description: 'Bytes of a topic or topic filter.',
      reload: 'hot',
    }),
    levels: count({
      default: 9,
      min: 1,
      max: MAX_TOPIC_LEVELS,
      zero: 'refused',
      description: 'Levels of a topic or topic filter: its slashes plus one.',
      reload: 'hot',
    }),
    dollar: choice(['deny', 'allow'], {
      default: 'deny',
      description:
        'Whether clients may publish to topics that begin with `$`, which belong to the server. `allow` still asks for permission.',
      reload: 'hot',
    }),
  },
  'Topics and topic filters.',
)

const clientid = block(
  {
    length: count({
      default: 128,
      min: 1,
      max: 65_535,
      zero: 'refused',
      description: 'Bytes of a client identifier.',
      reload: 'hot',
    }),
    charset: choice(['openedge', 'any'], {
      default: 'openedge',
      description:
        'Characters of a client identifier. `openedge`: letters and digits of ASCII, `_` and `-`. `any`: any that MQTT allows.',
      reload: 'hot',
    }),
  },
  'Client identifiers.',
)

const packets = block(
  {
    before_connect: count({
      default: 42,
      zero: 'kept',
      description:
        'Packets of one client that wait behind its CONNECT until that is answered. One more ends the connection; 0: none may wait.',
      reload: 'hot',
    }),
  },
  'Packets.',
)

const retained = block(
  {
    count: count({
      default: 25_000,
      zero: 'kept',
      description: 'Retained messages that are kept. One more is delivered but not kept; 0: none is kept.',
      reload: 'hot',
    }),
    bytes: size({
      default: '16m',
      zero: 'kept',
      description:
        'Bytes of all retained messages, topics and payloads. What comes on top is delivered but not kept; 0: none is kept.',
      reload: 'hot',
    }),
  },
  'Retained messages.',
)

export const limitsSchema = renamed(
  block(
    {
      topic,
      clientid,
      packets,
      connections: count({
        default: 10_000,
        min: 1,
        zero: 'refused',
        description: 'Connections at a time. One more is closed at once.',
        reload: 'hot',
      }),
      filters: count({
        default: 1_000,
        min: 1,
        zero: 'refused',
        description: 'Topic filters that one client may subscribe to at a time. One more is refused.',
        reload: 'hot',
      }),
      retained,
      connect: block(
        {
          timeout: duration({
            default: '10s',
            min: '1ms',
            zero: 'refused',
            description: 'Time a connection has to send a whole CONNECT, else it is closed. 0 is refused.',
            reload: 'hot',
          }),
        },
        'Connecting.',
      ),
      drain: block(
        {
          timeout: duration({
            default: '60s',
            min: '1ms',
            zero: 'kept',
            description:
              'Time a client has to take what waits for it. One that has not by then is closed. 0: there is no limit.',
            reload: 'hot',
          }),
        },
        'Clients that do not read.',
      ),
    },
    'What clients may use up. OpenEdge has no such block; the defaults are its fixed limits, or safe on a device with 256 MB.',
  ),
  {
    topicLength: 'topic.length',
    topicLevels: 'topic.levels',
    topicDollar: 'topic.dollar',
    clientIdLength: 'clientid.length',
    clientIdCharset: 'clientid.charset',
    packetsBeforeConnect: 'packets.before_connect',
    connections: 'connections',
    filters: 'filters',
    retainedCount: 'retained.count',
    retainedBytes: 'retained.bytes',
    connectTimeoutMs: 'connect.timeout',
    drainTimeoutMs: 'drain.timeout',
  },
)

export type LimitsConfig = v.InferOutput<typeof limitsSchema>
