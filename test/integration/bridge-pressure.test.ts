/** A side that does not keep up: nothing of QoS 1 is lost, and what waits in the bridge has a bound. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import type { FakeBroker, FakeConnection } from '../support/bridge-fake.ts'
import { oneRule, Stage } from '../support/bridge-stage.ts'
import { puback } from '../support/packets.ts'

const MIB = 1024 * 1024

function memory(): number {
  const { arrayBuffers, external } = process.memoryUsage()
  return Math.max(arrayBuffers, external)
}

suite('a remote that does not read', () => {
  test('QoS 1: the source is held back, its link stays, and all comes in the end', async t => {
    const stage = new Stage(t)
    const [hub, remote] = [await stage.fake(), await stage.fake()]
    const hubSide = { address: hub.address, keepalive: '1s' }
    const bridge = await stage.connectedBridge(oneRule(hubSide, remote.address, { out: [{ topic: 't/#', qos: 1 }] }))
    const [from, to] = [await hub.ready(), await remote.next()]
    to.pause()
    const payload = Buffer.alloc(100_000, 'x')
    const before = memory()
    const count = 1000
    for (let packetId = 1; packetId <= count; packetId++) from.publish({ topic: 't/1', payload, qos: 1, packetId })
    const sent = count * payload.length
    await from.until(() => from.all('pingreq').length >= 2, 'pings go on', 8000)
    assert.equal(from.isClosed, false, 'the link to the source stays')
    // What the test itself has not got rid of yet is in this memory too.
    const unwritten = from.unwritten
    const grown = memory() - before - unwritten
    assert.ok(grown < 70 * MIB, `${Math.round(grown / MIB)} MiB in the bridge, of ${Math.round(sent / MIB)}`)
    assert.ok(unwritten > 10 * MIB, `${Math.round(unwritten / MIB)} MiB wait at the source: it is held back`)
    remote.manners.acknowledges = true
    to.resume()
    await to.until(() => to.all('publish').length === count, 'all', 30_000)
    const ids = to.all('publish').map(({ packetId }) => packetId)
    assert.deepEqual(
      ids,
      Array.from({ length: count }, (_, i) => i + 1),
    )
    await bridge.until(() => bridge.flow('out').acknowledged === count, 'all are acknowledged')
    assert.equal(bridge.flow('out').duplicates, 0)
  })

  test('QoS 0: what is too much is dropped and counted, the rest comes in order', async t => {
    const stage = new Stage(t)
    const [hub, remote] = [await stage.fake(), await stage.fake()]
    const bridge = await stage.connectedBridge(oneRule(hub.address, remote.address, { out: [{ topic: 't/#' }] }))
    const [from, to] = [await hub.ready(), await remote.next()]
    to.pause()
    const count = 600
    for (let i = 0; i < count; i++) from.publish({ topic: 't/1', payload: `${i} `.padEnd(100_000, 'x') })
    await bridge.until(() => bridge.flow('out').received === count, 'the source is not held back')
    const { dropped } = bridge.flow('out')
    assert.ok(dropped.offline > 100 && dropped.offline < count, `${dropped.offline} dropped`)
    to.resume()
    await to.until(() => to.all('publish').length + dropped.offline >= count, 'the rest', 20_000)
    const numbers = to.all('publish').map(({ payload }) => Number.parseInt(payload.toString('latin1', 0, 10), 10))
    assert.deepEqual(
      numbers,
      numbers.toSorted((a, b) => a - b),
    )
    from.publish({ topic: 't/1', payload: 'later' })
    await to.until(() => to.all('publish').at(-1)?.payload.toString() === 'later', 'it goes on')
  })
})

suite('both sides at once', () => {
  test('two brokers that send as much as they can to each other do not come to a standstill', async t => {
    const stage = new Stage(t)
    const [hub, remote] = [await stage.fake(), await stage.fake()]
    const flows = { out: [{ topic: 'up', qos: 1 }], in: [{ topic: 'down', qos: 1 }] }
    const bridge = await stage.connectedBridge(oneRule(hub.address, remote.address, flows))
    const count = 400
    const numbered = (i: number): string => `${i} `.padEnd(100_000, 'x')
    const done = (broker: FakeBroker): Set<number> =>
      new Set(broker.connections.flatMap(each => each.all('puback').map(({ packetId }) => packetId)))
    const served = new Set<FakeConnection>()
    /** Sends what is not acknowledged, to whoever has come, as brokers do. */
    const serve = (broker: FakeBroker, topic: string): void => {
      for (const connection of broker.standing) {
        if (served.has(connection) || connection.all('subscribe').length === 0) continue
        served.add(connection)
        const known = done(broker)
        for (let packetId = 1; packetId <= count; packetId++)
          if (!known.has(packetId))
            connection.publish({ topic, payload: numbered(packetId), qos: 1, packetId, dup: served.size > 2 })
      }
    }
    for (const broker of [hub, remote]) {
      const link = await broker.ready()
      link.pause()
      broker.manners.sessionPresent = true
    }
    const serveAll = (): void => {
      serve(hub, 'up')
      serve(remote, 'down')
    }
    serveAll()
    await new Promise(resolve => setTimeout(resolve, 500))
    for (const broker of [hub, remote]) {
      broker.manners.acknowledges = true
      for (const link of broker.standing) link.resume()
    }
    const isOver = (): boolean => {
      serveAll()
      return done(hub).size === count && done(remote).size === count
    }
    await bridge.until(isOver, 'all are acknowledged', 40_000)
    const arrived = (broker: FakeBroker): number =>
      new Set(
        broker.connections.flatMap(each =>
          each.all('publish').map(({ payload }) => Number.parseInt(payload.toString('latin1', 0, 10), 10)),
        ),
      ).size
    assert.deepEqual([arrived(hub), arrived(remote)], [count, count], 'all have come')
  })

  test('acknowledgements get through while messages of the other direction wait', async t => {
    const stage = new Stage(t)
    const [hub, remote] = [await stage.fake(), await stage.fake()]
    const flows = { out: [{ topic: 'up', qos: 1 }], in: [{ topic: 'down', qos: 1 }] }
    const side = { address: remote.address, buffersize: 5 }
    await stage.connectedBridge(oneRule(hub.address, side, flows))
    const [local, far] = [await hub.ready(), await remote.ready()]
    for (let packetId = 1; packetId <= 50; packetId++) local.publish({ topic: 'up', payload: 'm', qos: 1, packetId })
    await far.messages(5)
    far.publish({ topic: 'down', payload: 'm', qos: 1, packetId: 1 })
    const down = await local.expect('publish')
    local.send(puback(down.packetId))
    assert.equal((await far.expect('puback')).packetId, 1)
  })
})
