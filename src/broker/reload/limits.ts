import type { HubConfig } from '../../config/index.ts'
import type { Hub } from '../hub.ts'
import { forEachClient } from './for-each-client.ts'

/**
 * Has a running hub go by other limits, those included who are connected. What is over a limit already goes on; only more
 * of it is refused.
 */
export function applyLimits(hub: Hub, config: HubConfig): void {
  const before = hub.state.settings
  hub.useSettings(config)
  const { topic, dollarTopics } = hub.state.settings
  const isSame =
    topic.maxBytes === before.topic.maxBytes &&
    topic.maxLevels === before.topic.maxLevels &&
    dollarTopics === before.dollarTopics
  if (!isSame) hub.forgetRoutes()
  for (const session of hub.sessions.all()) session.resizeWindow()
  forEachClient(hub, client => client.obeySettings())
}
