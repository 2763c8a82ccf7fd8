/** Routes without the bridge that publishes: kept, however many bridges there are, and counted once. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { LocalSubscriptions } from '../../../src/broker/local-subscriptions.ts'
import { type Route, RouteCache } from '../../../src/broker/route.ts'
import type { Session } from '../../../src/broker/session.ts'
import { SessionRegistry } from '../../../src/broker/session-registry.ts'
import { EMBEDDED_SETTINGS } from '../../../src/broker/settings.ts'
import { HubState } from '../../../src/broker/state.ts'

class Site {
  readonly state = new HubState(EMBEDDED_SETTINGS)
  readonly bridges: Session[]
  readonly plain: Session
  readonly routes: RouteCache

  constructor(count: number, others = 0) {
    const sessions = new SessionRegistry(this.state)
    const made = (id: string): Session => {
      const session = sessions.create(id, true)
      sessions.subscribe(session, 'a/#', 1)
      return session
    }
    this.bridges = Array.from({ length: count }, (_, i) => made(`bridge-${i}`))
    for (const bridge of this.bridges) bridge.isBridge = true
    this.plain = made('plain')
    for (let i = 0; i < others; i++) made(`other-${i}`)
    this.routes = new RouteCache(this.state, sessions.tree, new LocalSubscriptions(this.state).tree)
  }

  /** The route of a topic with the receivers of now. */
  readonly fresh = (topic: string): Route => {
    const route = this.routes.of(topic)
    if (route.epoch !== this.state.epoch) this.routes.refresh(route, this.state.epoch)
    return route
  }
}

suite('the parts of a route', () => {
  test('have the receivers that are meant', () => {
    const { bridges, plain, routes, fresh } = new Site(3)
    const route = fresh('a/x')
    const [first, ...rest] = bridges as [Session, ...Session[]]
    assert.deepEqual(routes.part(route, first, 'all').sessions, [...rest, plain])
    assert.deepEqual(routes.part(route, first, 'bridges').sessions, rest)
    assert.deepEqual(routes.part(route, first, 'others').sessions, [plain])
    assert.deepEqual(routes.part(route, null, 'bridges').sessions, bridges)
    assert.equal(routes.part(route, null, 'all'), route)
  })

  test('of 200 bridges are not made anew each time', () => {
    const { bridges, routes, fresh } = new Site(200)
    const route = fresh('a/x')
    const made = bridges.map(bridge => routes.part(route, bridge, 'all'))
    for (const [i, bridge] of bridges.entries()) {
      assert.equal(routes.part(route, bridge, 'all'), made[i], `the part without bridge ${i} is the same`)
      assert.equal(made[i]?.sessions.includes(bridge), false)
      assert.equal(made[i]?.sessions.length, 200)
    }
  })

  test('that are too many to be kept are right all the same', () => {
    const { bridges, routes, fresh } = new Site(40, 3000)
    const route = fresh('a/x')
    for (let round = 0; round < 2; round++) {
      for (const bridge of bridges) {
        const { sessions } = routes.part(route, bridge, 'all')
        assert.equal(sessions.length, 40 + 3000)
        assert.equal(sessions.includes(bridge), false)
      }
    }
  })

  test('that were made anew often do not push out all routes', () => {
    const { state, bridges, routes, fresh } = new Site(100)
    const known = fresh('b/known')
    for (let round = 0; round < 120; round++) {
      state.epoch++ // somebody has subscribed
      const route = fresh('a/x')
      for (const bridge of bridges) routes.part(route, bridge, 'all')
    }
    assert.equal(routes.of('b/known'), known)
  })
})
