/** A listener in a process of its own, for a test that takes its file descriptors away. */
import { createListener } from '../../src/broker/listeners/index.ts'
import { silentLogger } from '../../src/common/index.ts'
import { addressOf } from './listener-harness.ts'

const listener = createListener(addressOf('tcp'), {
  accept: stream => stream.pipe(stream),
  maxConnections: () => true,
  log: silentLogger,
})
await listener.start(new AbortController().signal)
process.send?.(listener.url)
process.on('disconnect', () => process.exit())
