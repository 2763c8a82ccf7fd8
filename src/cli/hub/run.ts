import { HubControl, HubService } from '../../broker/index.ts'
import { changedFields, type HubConfig } from '../../config/index.ts'
import { configuredBanner, openBanner } from '../banner.ts'
import type { Arguments, Shell } from '../command.ts'
import { servicePlace } from '../service/place.ts'
import { runService } from '../service/run.ts'
import { certificateMark } from './certificate-mark.ts'
import { type HubRead, readConfiguration } from './configuration.ts'
import { hubKind } from './kind.ts'

/** Runs a hub until the process is told to stop. */
export async function runHub(args: Arguments, shell: Shell): Promise<number> {
  const place = servicePlace(hubKind, args)
  const { baseDir, file } = place
  return runService<HubConfig, HubRead>({
    place,
    shell,
    load: () => readConfiguration(place, args, shell.env),
    changes: changedFields,
    mark: config => certificateMark(config, baseDir),
    make({ config, store }, log, version) {
      const service = new HubService(config, log, baseDir, { version })
      return {
        service,
        control: (spot, reload) => new HubControl(service.hub, { ...spot, version, reload }),
        banner() {
          const started = { version, urls: service.urls, program: shell.program, store }
          return file === null ? openBanner(started) : configuredBanner(started, file)
        },
        about: { storage: 'dir' in store ? store.dir : 'none' },
      }
    },
  })
}
