import * as v from 'valibot'
import { block, count, duration, size } from './fields.ts'

const ZERO = '0 means the default.'
// For the keys that size what lies between the stages of OpenEdge.
const NO_BUFFER =
  'Accepted for compatibility, without effect: the hub has no such buffer, it routes and acknowledges within a turn.'
const NO_BATCH =
  'Accepted for compatibility, without effect: the hub has no such batch, it routes and acknowledges within a turn.'

function bufferSize(fallback: number, description: string, max?: number) {
  const limits = max === undefined ? {} : { max }
  const size = count({ default: fallback, min: 1, ...limits, description: `${description} ${ZERO}`, reload: 'restart' })
  return block({ size }, 'Buffer.')
}

function batchMax(fallback: number, description: string, max?: number) {
  const limits = max === undefined ? {} : { max }
  return block(
    { max: count({ default: fallback, min: 1, ...limits, description: `${description} ${ZERO}`, reload: 'restart' }) },
    'Batch.',
  )
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
      reload: 'restart',
    }),
    interval: duration({
      default: '1m',
      min: '1ms',
      description: `Time between two searches for messages to delete. ${ZERO}`,
      reload: 'restart',
    }),
  },
  'Deletion of old messages.',
)

const ingress = block(
  {
    qos0: block({ buffer: bufferSize(10_000, NO_BUFFER) }, 'QoS 0.'),
    qos1: block(
      {
        buffer: bufferSize(100, NO_BUFFER),
        batch: batchMax(50, NO_BATCH),
        cleanup,
      },
      'QoS 1.',
    ),
  },
  'From publishers to the hub.',
)

const egress = block(
  {
    qos0: block(
      {
        buffer: bufferSize(10_000, 'QoS 0 messages that wait for one session; what comes on top is dropped.'),
      },
      'QoS 0.',
    ),
    qos1: block(
      {
        buffer: bufferSize(
          100,
          'Messages of QoS 1 or 2 that may be sent to one session and not acknowledged yet; two more than this, as with OpenEdge.',
          65_535,
        ),
        batch: batchMax(50, NO_BATCH, 10_000),
        retry: block(
          {
            interval: duration({
              default: '20s',
              min: '1ms',
              description: `Time after which the oldest message that is not acknowledged is sent again. ${ZERO}`,
              reload: 'restart',
            }),
          },
          'Sending again.',
        ),
      },
      'QoS 1 and 2.',
    ),
  },
  'From the hub to subscribers.',
)

const offset = block(
  {
    buffer: bufferSize(10_000, NO_BUFFER),
    batch: batchMax(100, NO_BATCH),
  },
  'How far each session has acknowledged.',
)

export const messageSchema = v.pipe(
  block({ length, ingress, egress, offset }, 'Messages on their way through the hub.'),
  v.transform(({ length, ingress, egress, offset }) => ({
    maxBytes: length.max,
    ingress: {
      qos0BufferSize: ingress.qos0.buffer.size,
      qos1BufferSize: ingress.qos1.buffer.size,
      qos1BatchMax: ingress.qos1.batch.max,
      qos1RetentionMs: ingress.qos1.cleanup.retention,
      qos1CleanupIntervalMs: ingress.qos1.cleanup.interval,
    },
    egress: {
      qos0BufferSize: egress.qos0.buffer.size,
      qos1BufferSize: egress.qos1.buffer.size,
      qos1BatchMax: egress.qos1.batch.max,
      qos1RetryIntervalMs: egress.qos1.retry.interval,
    },
    offset: { bufferSize: offset.buffer.size, batchMax: offset.batch.max },
  })),
)

export type MessageConfig = v.InferOutput<typeof messageSchema>
