/** A hub in a process of its own, for tests that look at its memory. Its configuration comes in the environment. */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { startHub } from '../../src/broker/index.ts'
import { parseHubConfig } from '../../src/config/index.ts'
import type { HubFigures } from './hub-process.ts'

const { config } = parseHubConfig(process.env['HUB_YAML'] ?? '', { file: 'service.yml', env: {} })
const { hub, urls, close } = await startHub({ config })

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

process.on('message', () => {
  // Twice: the memory of buffers is given back a turn after a collection has found that nobody has them.
  collectGarbage()
  setTimeout(tell, 20)
})

function tell(): void {
  collectGarbage()
  const { heapUsed, external, arrayBuffers } = process.memoryUsage()
  const figures: HubFigures = {
    urls,
    counters: hub.state.counters,
    connections: hub.connections,
    connectedClients: hub.connectedClients,
    sessions: hub.sessions.size,
    retainedCount: hub.retained.limited.count,
    retainedBytes: hub.retained.limited.bytes,
    memory: { heapUsed, external, arrayBuffers },
  }
  process.send?.(figures)
}
process.on('disconnect', () => {
  void close().finally(() => process.exit())
})
process.send?.('ready')
