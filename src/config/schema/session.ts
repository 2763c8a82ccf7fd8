import { block, durationOrNever } from './fields.ts'
import { renamed } from './renamed.ts'

export const sessionSchema = renamed(
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
  { expiryMs: 'expiry' },
)
