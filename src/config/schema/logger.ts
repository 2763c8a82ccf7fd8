import type * as v from 'valibot'
import { block, choice, count, text } from './fields.ts'
import { renamed } from './renamed.ts'

/** The `logger` block, the same in the file of every service. */
export const loggerSchema = renamed(
  block(
    {
      path: text({
        kind: 'path',
        description: 'The log file. Its folder is made when absent. Empty: no file.',
        reload: 'restart',
      }),
      level: choice(['debug', 'info', 'warn', 'error'], {
        default: 'info',
        description: 'The least important lines that are still written.',
        reload: 'hot',
      }),
      format: choice(['text', 'json'], {
        default: 'text',
        description: 'How a line looks: `key=value` text, or one JSON object.',
        reload: 'restart',
      }),
      age: block(
        {
          max: count({
            default: 15,
            min: 1,
            description: 'Days after which a rotated file is deleted. 0 means the default.',
            reload: 'restart',
          }),
        },
        'Age of rotated files.',
      ),
      size: block(
        {
          max: count({
            default: 50,
            min: 1,
            description: 'Megabytes at which the file is rotated. 0 means the default.',
            reload: 'restart',
          }),
        },
        'Size of the log file.',
      ),
      backup: block(
        {
          max: count({
            default: 15,
            min: 1,
            description: 'Rotated files that are kept. 0 means the default.',
            reload: 'restart',
          }),
        },
        'Number of rotated files.',
      ),
    },
    'Where log lines go, which, and how long they are kept.',
  ),
  {
    path: 'path',
    level: 'level',
    format: 'format',
    maxAgeDays: 'age.max',
    maxSizeMb: 'size.max',
    maxBackups: 'backup.max',
  },
)

export type LoggerConfig = v.InferOutput<typeof loggerSchema>
