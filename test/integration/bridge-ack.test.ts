/** Who publishes is told that a message is safe only when it is: at the far end of the bridge. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import type { FakeBroker, FakeConnection } from '../support/bridge-fake.ts'
import { lineOf, sentLines } from '../support/bridge-packets.ts'
import { type BridgeLines, oneRule, Stage, type SubscriptionLines, type TestBridge } from '../support/bridge-stage.ts'
import { puback, pubcomp, publish, pubrec, pubrel } from '../support/packets.ts'
import type { Cleanup } from '../support/raw-client.ts'

type Direction = 'out' | 'in'

const DIRECTIONS = ['out', 'in'] as const
const QOS2: readonly SubscriptionLines[] = [{ topic: 't/#', qos: 2 }]

interface Scene {
  bridge: TestBridge
  source: FakeBroker
  target: FakeBroker
  /** The link to the source, and the one to the target. */
  from: FakeConnection
  to: FakeConnection
}

interface Options extends Partial<Pick<BridgeLines, 'message' | 'shutdown'>> {
  subscriptions?: readonly SubscriptionLines[]
  target?: Readonly<Record<string, unknown>>
  source?: Readonly<Record<string, unknown>>
  offline?: { max: number }
}

async function scene(t: Cleanup, direction: Direction, options: Options = {}): Promise<Scene> {
  const { subscriptions = QOS2, source: sourceLines, target: targetLines, offline, ...more } = options
  const stage = new Stage(t)
  const [hub, remote] = [await stage.fake(), await stage.fake()]
  const [source, target] = direction === 'out' ? [hub, remote] : [remote, hub]
  const sides = [
    { address: source.address, ...sourceLines },
    { address: target.address, ...targetLines },
  ] as const
  const [hubSide, remoteSide] = direction === 'out' ? sides : ([sides[1], sides[0]] as const)
  const flows = { [direction]: subscriptions, ...(offline === undefined ? {} : { offline }) }
  const bridge = await stage.connectedBridge(oneRule(hubSide, remoteSide, flows, more))
  return { bridge, source, target, from: await source.ready(), to: await target.next() }
}

function send(from: FakeConnection, first: number, last: number, qos = 1, topic = 't/1'): void {
  const packets: Buffer[] = []
  for (let i = first; i <= last; i++) packets.push(publish({ topic, payload: `${i}`, qos, packetId: i }))
  from.send(Buffer.concat(packets))
}

const numbers = (first: number, last: number): string[] =>
  Array.from({ length: last - first + 1 }, (_, i) => `${first + i}`)

/** Packet identifiers of the next acknowledgements of a type. */
async function ids(
  at: FakeConnection,
  type: 'puback' | 'pubrec' | 'pubrel' | 'pubcomp',
  count: number,
): Promise<number[]> {
  const found: number[] = []
  while (found.length < count) found.push((await at.expect(type)).packetId)
  return found
}

const idsOf = (messages: readonly { packetId: number }[]): number[] => messages.map(({ packetId }) => packetId)

for (const direction of DIRECTIONS) {
  suite(`acknowledgements, ${direction}`, () => {
    test('QoS 1: PUBACK only after that of the target, with the identifiers of the source', async t => {
      const { bridge, from, to } = await scene(t, direction)
      from.publish({ topic: 't/1', payload: 'm', qos: 1, packetId: 700 })
      const message = await to.expect('publish')
      assert.deepEqual([lineOf(message), message.packetId], ['t/1 1 m', 700])
      await from.nothing()
      const { received, forwarded, acknowledged, inFlight } = bridge.flow(direction)
      assert.deepEqual(
        { received, forwarded, acknowledged, inFlight },
        { received: 1, forwarded: 1, acknowledged: 0, inFlight: 1 },
      )
      to.send(puback(700))
      assert.deepEqual(await ids(from, 'puback', 1), [700])
      await bridge.until(() => bridge.flow(direction).acknowledged === 1, 'it is counted')
      assert.equal(bridge.flow(direction).inFlight, 0)
    })

    test('QoS 0 goes through, and nothing is acknowledged', async t => {
      const { from, to } = await scene(t, direction)
      for (const payload of ['1', '2']) from.publish({ topic: 't/1', payload, qos: 0 })
      assert.deepEqual(sentLines(await to.messages(2)), ['t/1 0 1', 't/1 0 2'])
      await from.nothing(50)
    })

    test('a hundred are on their way before the first is acknowledged, the others follow one by one', async t => {
      const { bridge, from, to } = await scene(t, direction)
      send(from, 1, 150)
      const first = await to.messages(100)
      assert.deepEqual(
        sentLines(first),
        numbers(1, 100).map(n => `t/1 1 ${n}`),
      )
      await to.nothing()
      await from.nothing(20)
      assert.deepEqual([bridge.flow(direction).inFlight, bridge.flow(direction).waiting], [100, 50])
      to.send(puback(1))
      assert.deepEqual(sentLines(await to.messages(1)), ['t/1 1 101'])
      await to.nothing(50)
      to.send(...idsOf(first.slice(1)).map(puback))
      assert.deepEqual(
        sentLines(await to.messages(49)),
        numbers(102, 150).map(n => `t/1 1 ${n}`),
      )
      assert.deepEqual(await ids(from, 'puback', 100), numbers(1, 100).map(Number))
    })

    test('acknowledgements that come in another order are passed on as they come', async t => {
      const { from, to } = await scene(t, direction)
      send(from, 1, 4)
      await to.messages(4)
      to.send(puback(3), puback(1))
      assert.deepEqual(await ids(from, 'puback', 2), [3, 1])
      to.send(Buffer.concat([puback(4), puback(2)]))
      assert.deepEqual(await ids(from, 'puback', 2), [4, 2])
    })

    test('QoS 2 is passed on step by step', async t => {
      const { bridge, from, to } = await scene(t, direction)
      from.publish({ topic: 't/1', payload: 'm', qos: 2, packetId: 5 })
      assert.equal(lineOf(await to.expect('publish')), 't/1 2 m')
      await from.nothing(50)
      to.send(pubrec(5))
      assert.deepEqual(await ids(from, 'pubrec', 1), [5])
      await to.nothing(50)
      from.send(pubrel(5))
      assert.deepEqual(await ids(to, 'pubrel', 1), [5])
      await from.nothing(50)
      to.send(pubcomp(5))
      assert.deepEqual(await ids(from, 'pubcomp', 1), [5])
      await bridge.until(() => bridge.flow(direction).acknowledged === 1, 'it is counted')
    })

    test('QoS 2 that goes on at QoS 1: PUBREC after the PUBACK of the target', async t => {
      const subscriptions = [{ topic: 't/#', qos: 2, target: { qos: 1 } }]
      const { from, to } = await scene(t, direction, { subscriptions })
      from.publish({ topic: 't/1', payload: 'm', qos: 2, packetId: 5 })
      assert.equal(lineOf(await to.expect('publish')), 't/1 1 m')
      await from.nothing(50)
      to.send(puback(5))
      assert.deepEqual(await ids(from, 'pubrec', 1), [5])
      from.send(pubrel(5))
      assert.deepEqual(await ids(from, 'pubcomp', 1), [5])
      await to.nothing(50)
      from.publish({ topic: 't/1', payload: 'next', qos: 2, packetId: 5 })
      assert.equal(lineOf(await to.expect('publish')), 't/1 1 next')
    })

    for (const qos of [1, 2]) {
      test(`QoS ${qos} that goes on at QoS 0 is acknowledged at once`, async t => {
        const subscriptions = [{ topic: 't/#', qos: 2, target: { qos: 0 } }]
        const { target, from, to } = await scene(t, direction, { subscriptions })
        target.manners.acknowledges = true // it may be asked about an identifier that it does not know
        from.publish({ topic: 't/1', payload: 'm', qos, packetId: 5 })
        assert.equal(lineOf(await to.expect('publish')), 't/1 0 m')
        assert.deepEqual(await ids(from, qos === 1 ? 'puback' : 'pubrec', 1), [5])
        if (qos === 1) return
        from.send(pubrel(5))
        assert.deepEqual(await ids(from, 'pubcomp', 1), [5])
      })
    }

    test('however the bytes are cut', async t => {
      const { from, to } = await scene(t, direction)
      const payload = 'x'.repeat(300)
      const packets = numbers(1, 9).map(n =>
        publish({ topic: 't/1', payload: n + payload, qos: 1, packetId: Number(n) }),
      )
      const bytes = Buffer.concat(packets)
      for (let at = 0, size = 1; at < bytes.length; at += size, size = (size % 7) + 1) {
        from.send(bytes.subarray(at, at + size))
        if (at % 3 === 0) await new Promise(resolve => setImmediate(resolve))
      }
      const messages = await to.messages(9)
      assert.deepEqual(
        messages.map(message => message.payload.toString()),
        numbers(1, 9).map(n => n + payload),
      )
      for (const byte of Buffer.concat(idsOf(messages).map(puback))) {
        to.send(Buffer.from([byte]))
        await new Promise(resolve => setImmediate(resolve))
      }
      assert.deepEqual(await ids(from, 'puback', 9), numbers(1, 9).map(Number))
    })

    test('too long a message is acknowledged, dropped and counted; what is about as long as permitted is not', async t => {
      const { bridge, target, from, to } = await scene(t, direction, { message: { length: { max: '1m' } } })
      const long = Buffer.alloc(1024 * 1024, 'x')
      from.publish({ topic: 't/long', payload: long, qos: 1, packetId: 1 })
      from.publish({ topic: 't/long', payload: long, qos: 2, packetId: 2 })
      from.publish({ topic: 't/long', payload: long, qos: 0 })
      from.publish({ topic: 't/most', payload: long.subarray(0, -100), qos: 1, packetId: 3 })
      const message = await to.expect('publish')
      assert.deepEqual([message.topic, message.payload.length], ['t/most', long.length - 100])
      assert.deepEqual(await ids(from, 'puback', 1), [1])
      assert.deepEqual(await ids(from, 'pubrec', 1), [2])
      target.manners.acknowledges = true
      from.send(pubrel(2))
      assert.deepEqual(await ids(from, 'pubcomp', 1), [2])
      assert.equal(bridge.flow(direction).dropped.oversize, 3)
    })
  })

  suite(`the target comes back, ${direction}`, () => {
    test('what it has not acknowledged comes again, with DUP, in order, and only that', async t => {
      const { bridge, target, from, to } = await scene(t, direction)
      send(from, 1, 5)
      await to.messages(5)
      to.send(puback(2), puback(4))
      assert.deepEqual(await ids(from, 'puback', 2), [2, 4])
      target.manners.sessionPresent = true
      to.destroy()
      const again = await target.next()
      const messages = await again.messages(3)
      assert.deepEqual(sentLines(messages), ['t/1 1 1 DUP', 't/1 1 3 DUP', 't/1 1 5 DUP'])
      assert.deepEqual(idsOf(messages), [1, 3, 5], 'with the same identifiers')
      await from.nothing(50)
      again.send(...[1, 3, 5].map(puback))
      assert.deepEqual(await ids(from, 'puback', 3), [1, 3, 5])
      await again.nothing(50)
      assert.equal(bridge.flow(direction).duplicates, 3)
    })

    test('what came in the meantime follows what comes again', async t => {
      const { target, from, to } = await scene(t, direction)
      send(from, 1, 2)
      await to.messages(2)
      await target.turnOff()
      send(from, 3, 4)
      await from.nothing()
      await target.turnOn()
      const again = await target.next()
      assert.deepEqual(sentLines(await again.messages(4)), ['t/1 1 1 DUP', 't/1 1 2 DUP', 't/1 1 3', 't/1 1 4'])
    })

    test('QoS 2: PUBREL is sent again for what has been received, PUBLISH for what has not', async t => {
      const { target, from, to } = await scene(t, direction)
      send(from, 1, 2, 2)
      await to.messages(2)
      to.send(pubrec(1))
      assert.deepEqual(await ids(from, 'pubrec', 1), [1])
      from.send(pubrel(1))
      assert.deepEqual(await ids(to, 'pubrel', 1), [1])
      target.manners.sessionPresent = true
      to.destroy()
      const again = await target.next()
      const came = [await again.next(), await again.next()]
      const types = came.map(sent => `${sent.type} ${'packetId' in sent ? sent.packetId : ''}`)
      assert.deepEqual(types.sort(), ['publish 2', 'pubrel 1'])
      assert.deepEqual(sentLines(came), ['t/1 2 2 DUP'])
      again.send(pubcomp(1), pubrec(2))
      assert.deepEqual(await ids(from, 'pubcomp', 1), [1])
      assert.deepEqual(await ids(from, 'pubrec', 1), [2])
    })

    test('again and again: nothing is lost and the window stays', async t => {
      const { target, from, to } = await scene(t, direction, { target: { buffersize: 10 } })
      send(from, 1, 30)
      await to.messages(10)
      to.destroy()
      for (let done = 0; done < 4; done++) {
        const again = await target.next()
        const wanted = numbers(done + 1, done + 10).map(n => `t/1 1 ${n} DUP`)
        assert.deepEqual(sentLines(await again.messages(10)), wanted)
        await again.nothing(50)
        again.send(puback(done + 1))
        assert.deepEqual(await ids(from, 'puback', 1), [done + 1])
        assert.deepEqual(sentLines(await again.messages(1)), [`t/1 1 ${done + 11}`])
        again.destroy()
      }
      target.manners.acknowledges = true
      const last = await target.next()
      await last.until(() => last.all('publish').length === 26, 'the other 26')
      const payloads = last.all('publish').map(({ payload }) => payload.toString())
      assert.deepEqual(payloads, numbers(5, 30))
      assert.deepEqual(await ids(from, 'puback', 26), numbers(5, 30).map(Number))
    })

    test('QoS 0 is dropped and counted while it is away', async t => {
      const { bridge, target, from } = await scene(t, direction)
      await target.turnOff()
      const side = direction === 'out' ? 'remote' : 'hub'
      await bridge.until(() => bridge.link(side).phase !== 'connected', 'the target is away')
      for (const payload of ['1', '2', '3']) from.publish({ topic: 't/1', payload })
      await bridge.until(() => bridge.flow(direction).dropped.offline === 3, 'they are counted')
      await target.turnOn()
      const again = await target.next()
      from.publish({ topic: 't/1', payload: '4' })
      assert.deepEqual(sentLines(await again.messages(1)), ['t/1 0 4'])
    })

    test('offline.max: so many of QoS 0 are kept, the oldest go first', async t => {
      const { bridge, target, from } = await scene(t, direction, { offline: { max: 3 } })
      await target.turnOff()
      const side = direction === 'out' ? 'remote' : 'hub'
      await bridge.until(() => bridge.link(side).phase !== 'connected', 'the target is away')
      for (const payload of numbers(1, 5)) from.publish({ topic: 't/1', payload })
      await bridge.until(() => bridge.flow(direction).dropped.offline === 2, 'two are counted')
      await target.turnOn()
      const again = await target.next()
      assert.deepEqual(sentLines(await again.messages(3)), ['t/1 0 3', 't/1 0 4', 't/1 0 5'])
    })

    test('one that hangs is found within one and a half keepalives', async t => {
      const { bridge, target, from, to } = await scene(t, direction, { target: { keepalive: '2s' } })
      send(from, 1, 1)
      await to.messages(1)
      target.manners.answersPings = false
      const began = performance.now()
      await to.closed(10_000)
      const ms = performance.now() - began
      assert.ok(ms > 900 && ms < 4500, `found after ${ms} ms`)
      target.manners.answersPings = true
      const again = await target.next()
      assert.deepEqual(sentLines(await again.messages(1)), ['t/1 1 1 DUP'])
      const side = direction === 'out' ? 'remote' : 'hub'
      assert.equal(bridge.link(side).lastErrorCode, 'ERR_BRIDGE_KEEPALIVE')
    })
  })
}
