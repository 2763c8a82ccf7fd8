import { block, choice, count, size } from './fields.ts'
import { renamed } from './renamed.ts'

export const queueSchema = renamed(
  block(
    {
      max: block(
        {
          messages: count({
            default: 10_000,
            min: 1,
            zero: 'refused',
            description:
              'Messages that wait for one session. One more of QoS 1 or 2, and `queue.overflow` says what becomes of it.',
            reload: 'hot',
          }),
          bytes: size({
            default: '4m',
            min: 1,
            zero: 'refused',
            description:
              'Bytes of the messages that wait for one session. With more of QoS 1 or 2, `queue.overflow` says what becomes of them.',
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
              'Bytes of memory for the messages that wait for absent or slow clients, all together. Beyond it the session that gets one more message drops its oldest from memory; what is stored is read again from the disk.',
            reload: 'hot',
          }),
        },
        'Limits of all queues together.',
      ),
      overflow: choice(['drop-oldest', 'drop-newest', 'reject-publish'], {
        default: 'drop-oldest',
        description:
          'When a message of QoS 1 or 2 finds the queue of a session full. `drop-oldest`: the oldest in that queue gives way. `drop-newest`: that session does not get it. `reject-publish`: no session gets it and its publisher gets no acknowledgement.',
        reload: 'hot',
      }),
    },
    'The queue of a session: what it gets when it reads again or comes back.',
  ),
  {
    maxMessages: 'max.messages',
    maxBytes: 'max.bytes',
    maxTotalBytes: 'total.bytes',
    overflow: 'overflow',
  },
)
