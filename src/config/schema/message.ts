import type * as v from 'valibot'
import { block, count, duration, size } from './fields.ts'
import { renamed } from './renamed.ts'

const ZERO = '0 means the default.'
// For the keys that size what lies between the stages of OpenEdge.
const NO_BUFFER =
  'Accepted for compatibility, without effect: the hub has no such buffer, it routes and acknowledges within a turn.'
const NO_BATCH =
  'Accepted for compatibility, without effect: the hub has no such batch, it routes and acknowledges within a turn.'

function bufferSize(about: { default: number; description: string; reload: 'hot' | 'restart'; max?: number }) {
  return block({ size: count({ ...about, min: 1, description: `${about.description} ${ZERO}` }) }, 'Buffer.')
}

function batchMax(about: { default: number; reload: 'hot' | 'restart'; max?: number }) {
  return block({ max: count({ ...about, min: 1, description: `${NO_BATCH} ${ZERO}` }) }, 'Batch.')
}

const length = block(
  {
    max: size({
      default: '32k',
      min: 1,
      max: 268_435_455,
      description: `Largest MQTT packet accepted, in bytes, its fixed header included. A larger one ends the connection. ${ZERO}`,
      reload: 'hot',
    }),
  },
  'Length of a packet.',
)

const cleanup = block(
  {
    retention: duration({
      default: '48h',
      min: '1ms',
      max: '876000h',
      description: `Age at which a message of QoS 1 or 2 that still waits for a session is deleted. Retained messages stay. ${ZERO}`,
      reload: 'hot',
    }),
    interval: duration({
      default: '1m',
      min: '1ms',
      description: `Time between two searches for messages to delete. ${ZERO}`,
      reload: 'hot',
    }),
  },
  'Deletion of old messages.',
)

const ingress = renamed(
  block(
    {
      qos0: block({ buffer: bufferSize({ default: 10_000, description: NO_BUFFER, reload: 'restart' }) }, 'QoS 0.'),
      qos1: block(
        {
          buffer: bufferSize({ default: 100, description: NO_BUFFER, reload: 'restart' }),
          batch: batchMax({ default: 50, reload: 'restart' }),
          cleanup,
        },
        'QoS 1.',
      ),
    },
    'From publishers to the hub.',
  ),
  {
    qos0BufferSize: 'qos0.buffer.size',
    qos1BufferSize: 'qos1.buffer.size',
    qos1BatchMax: 'qos1.batch.max',
    qos1RetentionMs: 'qos1.cleanup.retention',
    qos1CleanupIntervalMs: 'qos1.cleanup.interval',
  },
)

const egress = renamed(
  block(
    {
      qos0: block(
        {
          buffer: bufferSize({
            default: 10_000,
            description: 'QoS 0 messages that wait for one session; what comes on top is dropped.',
            reload: 'hot',
          }),
        },
        'QoS 0.',
      ),
      qos1: block(
        {
          buffer: bufferSize({
            default: 100,
            description:
              'Messages of QoS 1 or 2 that may be sent to one session and not acknowledged yet; two more than this, as with OpenEdge.',
            reload: 'hot',
            max: 65_535,
          }),
          batch: batchMax({ default: 50, reload: 'hot', max: 10_000 }),
          retry: block(
            {
              interval: duration({
                default: '20s',
                min: '1ms',
                description: `Time after which the oldest message that is not acknowledged is sent again. ${ZERO}`,
                reload: 'hot',
              }),
            },
            'Sending again.',
          ),
        },
        'QoS 1 and 2.',
      ),
    },
    'From the hub to subscribers.',
  ),
  {
    qos0BufferSize: 'qos0.buffer.size',
    qos1BufferSize: 'qos1.buffer.size',
    qos1BatchMax: 'qos1.batch.max',
    qos1RetryIntervalMs: 'qos1.retry.interval',
  },
)

const offset = renamed(
  block(
    {
      buffer: bufferSize({ default: 10_000, description: NO_BUFFER, reload: 'restart' }),
      batch: batchMax({ default: 100, reload: 'restart' }),
    },
    'How far each session has acknowledged.',
  ),
  { bufferSize: 'buffer.size', batchMax: 'batch.max' },
)

export const messageSchema = renamed(
  block({ length, ingress, egress, offset }, 'Messages on their way through the hub.'),
  { maxBytes: 'length.max', ingress: 'ingress', egress: 'egress', offset: 'offset' },
)

export type MessageConfig = v.InferOutput<typeof messageSchema>
