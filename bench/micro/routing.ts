import type { Bench } from 'tinybench'
import type { LocalSubscriber } from '../../src/broker/local-subscriptions.ts'
import { RouteCache } from '../../src/broker/route.ts'
import type { Session } from '../../src/broker/session.ts'
import { EMBEDDED_SETTINGS } from '../../src/broker/settings.ts'
import { HubState } from '../../src/broker/state.ts'
import { SubscriptionTree } from '../../src/router/index.ts'

/** The route of a topic, looked up by the bytes of a PUBLISH. */
export function addRouting(bench: Bench): void {
  for (const count of [10, 1000, 100_000]) {
    const routes = new RouteCache(
      new HubState(EMBEDDED_SETTINGS),
      new SubscriptionTree<Session>(),
      new SubscriptionTree<LocalSubscriber>(),
    )
    const topics = Array.from({ length: count }, (_, i) => Buffer.from(`dev/${i}/x/status`))
    let next = 0
    bench.add(`routes: ${count.toLocaleString('en-US')} topics in turn`, () => {
      const topic = topics[next] as Buffer
      next = next + 1 === count ? 0 : next + 1
      routes.find(topic, 0, topic.length)
    })
  }
}
