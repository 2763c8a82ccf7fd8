import { block, choice, duration, size, text } from './fields.ts'
import { renamed } from './renamed.ts'

export const storageSchema = renamed(
  block(
    {
      dir: text({
        kind: 'path',
        default: 'var/db/openedge/data',
        empty: 'kept',
        description:
          'Folder of what outlives a stop: kept sessions, the messages that wait for them, retained messages. It is made when absent and belongs to one hub at a time. No value means the default; empty text (`""`): nothing is kept on disk.',
        reload: 'restart',
      }),
      sync: choice(['always', 'interval', 'never'], {
        default: 'always',
        description:
          'When what was written is forced to the disk. `always`: before it is acknowledged, so that a power cut loses nothing acknowledged. `interval`: every `storage.interval`. `never`: when the operating system does. A crash or kill of the hub itself loses nothing acknowledged with any of them.',
        reload: 'restart',
      }),
      interval: duration({
        default: '1s',
        min: '10ms',
        max: '1h',
        zero: 'refused',
        description:
          'For `sync: interval`: time between two moments at which all is on the disk, and so what a power cut can take. 10ms to 1h.',
        reload: 'restart',
      }),
      max: block(
        {
          bytes: size({
            default: '4g',
            min: 16_777_216,
            max: 1_125_899_906_842_624,
            zero: 'kept',
            description:
              'Disk space for what is stored, the reserve not counted; at least 16m. When it is used up, messages that would have to be stored are neither delivered nor acknowledged until consumers have made room. 0: there is no limit.',
            reload: 'restart',
          }),
        },
        'Limits of the store.',
      ),
      reserve: size({
        default: '16m',
        max: 1_073_741_824,
        zero: 'kept',
        description:
          'Size of a file in `storage.dir` that is given up when the disk is full, so that what consumers acknowledge can still be stored; with less free disk space than this nothing new is stored. At most 1g. 0: there is no reserve.',
        reload: 'restart',
      }),
    },
    'What outlives a stop of the hub, and how safe it is.',
  ),
  {
    dir: 'dir',
    sync: 'sync',
    intervalMs: 'interval',
    maxBytes: 'max.bytes',
    reserveBytes: 'reserve',
  },
)
