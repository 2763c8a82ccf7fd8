import { BridgeService, bridgeRoutes } from '../../bridge/index.ts'
import { type BridgeConfig, changedBridgeFields, type Loaded } from '../../config/index.ts'
import { ControlServer } from '../../control/index.ts'
import type { Arguments, Shell } from '../command.ts'
import { servicePlace } from '../service/place.ts'
import { runService } from '../service/run.ts'
import { bridgeBanner } from './banner.ts'
import { readConfiguration } from './configuration.ts'
import { bridgeKind } from './kind.ts'

/** Runs a bridge until the process is told to stop. */
export async function runBridge(args: Arguments, shell: Shell): Promise<number> {
  const place = servicePlace(bridgeKind, args)
  return runService<BridgeConfig, Loaded<BridgeConfig>>({
    place,
    shell,
    load: () => readConfiguration(place, shell.env),
    changes: changedBridgeFields,
    make({ config }, log, version) {
      const service = new BridgeService(config, log, place.baseDir, { version })
      return {
        service,
        control(spot, reload) {
          const routes = bridgeRoutes({ figures: () => service.figures(), version, reload })
          return new ControlServer({ ...spot, kind: 'bridge', routes })
        },
        banner: () => bridgeBanner(config, { version, file: place.file ?? '' }),
        about: { rules: config.rules.length, remotes: config.remotes.length },
      }
    },
  })
}
