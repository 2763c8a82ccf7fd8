import * as v from 'valibot'
import { block, durationOrNever } from './fields.ts'

export const sessionSchema = v.pipe(
  block(
    {
      expiry: durationOrNever({
        min: '1ms',
        max: '876000h',
        description:
          'Time after its disconnect at which a kept session (Clean Session 0) is removed, with its subscriptions and the messages that wait for it. `never`: it waits for its client for ever. 0 is refused.',
        reload: 'hot',
      }),
    },
    'Sessions of clients that are away.',
  ),
  v.transform(({ expiry }) => ({ expiryMs: expiry })),
)
