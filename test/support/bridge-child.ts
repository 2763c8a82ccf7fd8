/** A bridge in a process of its own. Its configuration comes in the environment. */
import { BridgeService } from '../../src/bridge/index.ts'
import { parseBridgeConfig } from '../../src/config/index.ts'

const { config } = parseBridgeConfig(process.env['BRIDGE_YAML'] ?? '', { file: 'bridge.yml', env: {} })
const service = new BridgeService(config)
await service.start(new AbortController().signal)
process.on('SIGTERM', () => {
  void service.stop().finally(() => process.exit())
})
process.on('disconnect', () => process.exit())
process.send?.('ready')
