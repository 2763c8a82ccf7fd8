/** Limits of a running hub: obeyed at once, also by those who are connected. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { suite, test } from 'node:test'
import { payloadsOf, until } from '../../support/embedded-hub.ts'
import { OPEN_TO_ALL } from '../../support/hub.ts'
import { puback, publish, subscribe } from '../../support/packets.ts'
import { account, as, ReloadedHub, TCP, temporaryDirectory } from './reloaded-hub.ts'

function withLines(...lines: string[]): string {
  return [TCP, OPEN_TO_ALL, ...lines].join('\n')
}

suite('of a connected client', () => {
  test('the size of packets', async t => {
    const running = await ReloadedHub.start(t, withLines())
    const [one, two] = [await running.connect(t, 'one'), await running.connect(t, 'two')]
    const large = publish({ topic: 'x', payload: Buffer.alloc(1000), qos: 1, packetId: 1 })
    one.send(large)
    await one.expect('puback')
    await running.reload(withLines('message: { length: { max: 500 } }'))
    one.send(large)
    await one.closed()
    await running.reload(withLines())
    two.send(large)
    await two.expect('puback')
  })

  test('the window, smaller and larger', async t => {
    const window = (size: number): string => withLines(`message: { egress: { qos1: { buffer: { size: ${size} } } } }`)
    const running = await ReloadedHub.start(t, window(8))
    const reader = await running.connect(t, 'reader')
    await reader.subscribe(['x', 1])
    const writer = await running.connect(t, 'writer')
    for (let i = 0; i < 40; i++) await writer.publish({ topic: 'x', payload: `${i}`, qos: 1 })
    const first = (await reader.everything()).flatMap(packet => (packet.type === 'publish' ? [packet] : []))
    assert.equal(first.length, 10, 'the window and two')
    await running.reload(window(3))
    const ids = first.map(packet => (packet.qos > 0 ? packet.packetId : 0))
    for (const id of ids.slice(0, 5)) reader.send(puback(id))
    assert.deepEqual(payloadsOf(await reader.everything()), [], 'it is still as full as the new one may be')
    for (const id of ids.slice(5)) reader.send(puback(id))
    assert.equal(payloadsOf(await reader.everything()).length, 5, 'as many as the new one takes')
    await running.reload(window(18))
    assert.equal(payloadsOf(await reader.everything()).length, 15, 'room for more is used at once')
  })

  test('the levels of topics, and topics with $', async t => {
    const permits = ['#', '$x']
    const withLimits = (limits: string): string =>
      [TCP, 'principals:', account('a', { pub: permits, sub: permits }), `limits: ${limits}`].join('\n')
    const running = await ReloadedHub.start(t, withLimits('{}'))
    const one = await running.connect(t, 'one', as('a'))
    await one.subscribe(['a', 0], ['$x', 0])
    const two = await running.connect(t, 'two', as('a'))
    for (const client of [one, two]) {
      client.send(publish({ topic: 'a/b/c', payload: '1', qos: 1, packetId: 1 }))
      await client.expect('puback')
    }
    await running.reload(withLimits('{ topic: { levels: 2, dollar: allow } }'))
    two.send(publish({ topic: 'a/b/c', payload: '2', qos: 1, packetId: 2 }))
    await two.closed()
    one.send(subscribe(2, ['a/b/c', 0]))
    assert.deepEqual((await one.expect('suback')).returnCodes, [128], 'too many levels')
    one.send(publish({ topic: '$x', payload: 'dollar', qos: 0 }))
    assert.deepEqual(payloadsOf(await one.everything()), ['dollar'], 'it may be published to now')
    await running.reload(withLimits('{}'))
    one.send(publish({ topic: '$x', payload: 'dollar', qos: 0 }))
    await one.closed()
  })

  test('the time after which a message is sent again', async t => {
    const running = await ReloadedHub.start(t, withLines())
    const reader = await running.connect(t, 'reader')
    await reader.subscribe(['x', 1])
    await (await running.connect(t, 'writer')).publish({ topic: 'x', payload: '1', qos: 1 })
    assert.equal((await reader.expect('publish')).dup, false, 'the first time')
    await running.reload(withLines('message: { egress: { qos1: { retry: { interval: 50ms } } } }'))
    assert.equal((await reader.expect('publish')).dup, true, 'again')
  })

  test('what may wait', async t => {
    const queue = (max: number): string => withLines(`queue: { max: { messages: ${max} } }`)
    const running = await ReloadedHub.start(t, queue(1000))
    const kept = await running.connect(t, 'kept', { cleanSession: false })
    await kept.subscribe(['x', 1])
    await kept.disconnect()
    const writer = await running.connect(t, 'writer')
    for (let i = 0; i < 20; i++) await writer.publish({ topic: 'x', payload: `${i}`, qos: 1 })
    await running.reload(queue(5))
    await writer.publish({ topic: 'x', payload: 'last', qos: 1 })
    assert.equal(running.hub.sessions.get('kept')?.queued, 5, 'the oldest go')
  })
})

suite('of the hub', () => {
  test('the time a connection has for CONNECT', async t => {
    const running = await ReloadedHub.start(t, withLines())
    const silent = await running.open(t)
    await running.reload(withLines('limits: { connect: { timeout: 50ms } }'))
    await silent.closed()
  })

  test('the number of connections', async t => {
    const running = await ReloadedHub.start(t, withLines())
    const [one, two] = [await running.connect(t, 'one'), await running.connect(t, 'two')]
    await running.reload(withLines('limits: { connections: 1 }'))
    const third = await running.open(t)
    await third.closed()
    await one.quiet()
    await two.quiet()
  })

  test('when absent sessions are forgotten', async t => {
    const running = await ReloadedHub.start(t, withLines())
    const kept = await running.connect(t, 'kept', { cleanSession: false })
    await kept.disconnect()
    await until(() => running.hub.clients['kept'] === undefined, 'it leaves')
    await running.reload(withLines('session: { expiry: 100ms }'))
    await until(() => running.hub.sessions.size === 0, 'it is forgotten')
    await running.reload(withLines())
    const again = await running.connect(t, 'kept', { cleanSession: false })
    await again.disconnect()
    await new Promise(resolve => setTimeout(resolve, 300))
    assert.equal(running.hub.sessions.size, 1, 'it is kept again')
  })

  test('when messages that wait are deleted', async t => {
    const dir = join(temporaryDirectory(t), 'data')
    const running = await ReloadedHub.start(t, withLines(), { dir })
    const kept = await running.connect(t, 'kept', { cleanSession: false })
    await kept.subscribe(['x', 1])
    await kept.disconnect()
    await (await running.connect(t, 'writer')).publish({ topic: 'x', payload: '1', qos: 1 })
    const session = running.hub.sessions.get('kept')
    assert.equal(session?.queued, 1, 'it waits')
    await running.reload(withLines('message: { ingress: { qos1: { cleanup: { retention: 1ms, interval: 20ms } } } }'))
    await until(() => session?.queued === 0, 'it is deleted')
  })

  test('client identifiers', async t => {
    const running = await ReloadedHub.start(t, withLines())
    await running.reload(withLines('limits: { clientid: { charset: any } }'))
    await running.connect(t, 'with spaces')
  })
})

test('rules: the same go on counting, others come and go', async t => {
  const rules = (...targets: string[]): string =>
    withLines('subscriptions:', ...targets.map(topic => `  - { source: { topic: in }, target: { topic: ${topic} } }`))
  const running = await ReloadedHub.start(t, rules('one'))
  const client = await running.connect(t, 'client')
  await client.subscribe(['one', 0], ['two', 0])
  const topics = async (): Promise<string[]> => {
    client.send(publish({ topic: 'in', payload: '', qos: 0 }))
    return (await client.everything()).flatMap(packet => (packet.type === 'publish' ? [packet.topic] : []))
  }
  assert.deepEqual(await topics(), ['one'], 'the first rule')
  await running.reload(rules('one', 'two'))
  assert.deepEqual((await topics()).toSorted(), ['one', 'two'], 'both')
  const { rules: both } = running.hub.state.rules
  assert.deepEqual(
    Object.fromEntries(both.map(rule => [rule.config.target.topic, rule.forwarded])),
    { one: 2, two: 1 },
    'counts',
  )
  await running.reload(rules('two'))
  assert.deepEqual(await topics(), ['two'], 'the second')
  await running.reload(withLines())
  assert.deepEqual(await topics(), [], 'none')
})
