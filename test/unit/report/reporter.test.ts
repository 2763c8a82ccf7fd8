import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import type { Hub, HubOptions } from '../../../src/broker/index.ts'
import { Reporter } from '../../../src/broker/report/index.ts'
import { configOf, type EmbeddedHub, embedHub, until } from '../../support/embedded-hub.ts'
import { subscribe } from '../../support/packets.ts'
import type { Cleanup, RawClient } from '../../support/raw-client.ts'
import { rule } from '../../support/rules.ts'

const NEVER_MS = 3_600_000
const ALL = '$SYS/broker/#'
const BROKER = '$SYS/broker/'
/** What the load topics are made of. */
const LOADS =
  'messages/received messages/sent publish/received publish/sent publish/dropped bytes/received bytes/sent sockets connections'
const TOPICS = [
  ...(
    'version,uptime,clients/total,clients/connected,clients/disconnected,clients/maximum,clients/expired,' +
    'messages/received,messages/sent,messages/stored,store/messages/count,store/messages/bytes,' +
    'publish/messages/received,publish/messages/sent,publish/messages/dropped,publish/bytes/received,' +
    'publish/bytes/sent,bytes/received,bytes/sent,subscriptions/count,retained messages/count,heap/current,' +
    'heap/maximum,rules/forwarded,rules/dropped'
  ).split(','),
  ...LOADS.split(' ').flatMap(name => ['1min', '5min', '15min'].map(span => `load/${name}/${span}`)),
]

interface Reported extends EmbeddedHub {
  readonly reporter: Reporter
}

async function reporting(t: Cleanup, intervalMs: number, options: HubOptions = {}): Promise<Reported> {
  const embedded = await embedHub(t, options)
  const reporter = new Reporter(embedded.hub, { intervalMs, version: '1.2.3' })
  t.after(() => reporter.stop())
  return { ...embedded, reporter }
}

/** What is retained on `$SYS/broker/`, by the rest of the topic. */
function retainedOn(hub: Hub): Map<string, string> {
  const { messages, stored } = hub.retained.find([{ topic: ALL, qos: 0 }])
  assert.equal(stored.size, 0, 'none of it is stored')
  return new Map([...messages.keys()].map(({ topic, payload }) => [topic.slice(BROKER.length), payload.toString()]))
}

/** What a client is told of `$SYS` by the end of a PINGREQ. */
async function told(client: RawClient): Promise<Map<string, string>> {
  const found = new Map<string, string>()
  for (const packet of await client.everything())
    if (packet.type === 'publish') found.set(packet.topic.replace(BROKER, ''), packet.payload.toString())
  return found
}

suite('$SYS/broker', () => {
  test('all topics are there at once, for those who come later too, and go with the reporter', async t => {
    const { hub, connect, reporter } = await reporting(t, NEVER_MS)
    await reporter.start()
    await reporter.start()
    const client = await connect('late')
    client.send(subscribe(1, [ALL, 0]))
    const figures = await told(client)
    assert.deepEqual([...figures.keys()].sort(), TOPICS.toSorted())
    assert.equal(figures.get('version'), 'openedge version 1.2.3')
    assert.match(figures.get('uptime') ?? '', /^\d+ seconds$/)
    for (const [topic, figure] of figures) {
      if (topic.startsWith('load/')) assert.equal(figure, '0.00', topic)
      else if (topic !== 'version' && topic !== 'uptime') assert.match(figure, /^\d+$/, topic)
    }
    assert.ok(Number(figures.get('heap/current')) > 1_000_000, `heap ${figures.get('heap/current')}`)
    assert.ok(Number(figures.get('heap/maximum')) >= Number(figures.get('heap/current')), 'the maximum')
    await reporter.stop()
    await reporter.stop()
    assert.equal(hub.retained.count, 0)
    await client.quiet()
    await reporter.start()
    assert.equal(retainedOn(hub).size, TOPICS.length, 'all again')
  })

  test('they neither take the room of what clients retain nor are dropped for it', async t => {
    const { hub, connect, reporter } = await reporting(t, NEVER_MS, {
      settings: { retainedCount: 2, retainedBytes: 100 },
    })
    await reporter.start()
    assert.equal(retainedOn(hub).size, TOPICS.length, 'all are retained')
    const client = await connect('client')
    for (const topic of ['a', 'b', 'c']) await client.publish({ topic, payload: 'x'.repeat(40), retain: true })
    const kept = (): string[] =>
      [...hub.retained.find([{ topic: '#', qos: 0 }]).messages.keys()].map(({ topic }) => topic).sort()
    assert.deepEqual(kept(), ['a', 'b'], 'as many as the limit allows')
    await client.publish({ topic: 'a', payload: 'x'.repeat(80), retain: true })
    assert.deepEqual(kept(), ['b'], 'as many bytes as the limit allows')
    assert.equal(hub.state.counters.droppedRetained, 2)
    reporter.setInterval(20)
    await until(() => retainedOn(hub).get('publish/messages/received') === '4', 'the hub goes on telling')
    assert.equal(retainedOn(hub).size, TOPICS.length)
    assert.equal(hub.retained.count, TOPICS.length + 1, 'all count as retained')
    await reporter.stop()
    assert.deepEqual([hub.retained.count, hub.retained.bytes], [1, 43])
    await client.publish({ topic: 'c', payload: 'x'.repeat(40), retain: true })
    assert.deepEqual(kept(), ['b', 'c'])
  })

  test('only what has changed is said again', async t => {
    const { hub, connect, reporter } = await reporting(t, NEVER_MS)
    const said: string[] = []
    hub.subscribe(ALL, (packet, done) => {
      said.push(packet.topic.slice(BROKER.length))
      done()
    })
    await reporter.start()
    await until(() => said.length >= TOPICS.length, 'all is said at first')
    assert.deepEqual(said.toSorted(), TOPICS.toSorted())
    said.length = 0
    reporter.setInterval(30)
    await connect('somebody')
    await until(() => said.includes('load/connections/1min'), 'the connection is noticed')
    const changed = new Set(said)
    for (const topic of ['clients/connected', 'bytes/received', 'messages/sent', 'load/sockets/15min'])
      assert.ok(changed.has(topic), `${topic} has changed`)
    for (const topic of [
      'version',
      'clients/expired',
      'rules/dropped',
      'publish/messages/sent',
      'load/publish/sent/1min',
    ])
      assert.ok(!changed.has(topic), `${topic} has not changed`)
  })

  test('the figures are those of the traffic', async t => {
    const { hub, connect, reporter } = await reporting(t, NEVER_MS)
    hub.useRules([rule('news -> copies'), rule('news -> few', { limit: { rate: 1, burst: 1 } })])
    await reporter.start()
    const away = await connect('away', { cleanSession: false })
    await away.subscribe(['news', 1])
    await away.disconnect()
    const reader = await connect('reader')
    await reader.subscribe(['news', 0], ['copies', 0])
    const writer = await connect('writer')
    await writer.publish({ topic: 'kept', payload: 'x', retain: true })
    for (let i = 0; i < 10; i++) await writer.publish({ topic: 'news', payload: `${i}`, qos: 1 })
    assert.equal((await reader.everything()).length, 20)
    await until(() => hub.connections === 2, 'one has gone')
    reporter.setInterval(20)
    await until(() => retainedOn(hub).get('publish/messages/received') === '11', 'the report')
    const figures = retainedOn(hub)
    const { counters, waitingBytes } = hub.state
    const expected: Record<string, number> = {
      'clients/total': 3,
      'clients/connected': 2,
      'clients/disconnected': 1,
      'clients/maximum': 2,
      'messages/received': counters.messagesReceived + counters.controlReceived,
      'messages/sent': counters.messagesSent + counters.controlSent,
      'publish/messages/sent': 20,
      'bytes/received': counters.bytesReceived,
      'bytes/sent': counters.bytesSent,
      'publish/bytes/received': counters.publishBytesReceived,
      'subscriptions/count': 3,
      'rules/forwarded': 11,
      'rules/dropped': 9,
    }
    for (const [topic, figure] of Object.entries(expected)) assert.equal(figures.get(topic), `${figure}`, topic)
    assert.ok(waitingBytes > 0, 'messages wait for who is away')
    // Ten wait, one is retained, and so is each of these topics but for the last that were said.
    assert.ok(
      Number(figures.get('messages/stored')) >= 10 + 1 + TOPICS.length,
      `${figures.get('messages/stored')} stored`,
    )
    assert.equal(figures.get('retained messages/count'), `${TOPICS.length + 1}`)
    assert.ok(Number(figures.get('load/publish/received/1min')) > 0, 'the load')
    // Of the connections of this test a minute's average has seen a part, a fifteen minutes' a smaller one.
    const [one, fifteen] = ['1min', '15min'].map(span => Number(figures.get(`load/connections/${span}`)))
    assert.ok((one ?? 0) > (fifteen ?? 0) && (fifteen ?? 0) > 0, `loads of connections ${one}, ${fifteen}`)
  })

  test('a client that is refused counts among the connections', async t => {
    const { hub, open, reporter } = await reporting(t, 20, { config: configOf('', 'principals: []') })
    await reporter.start()
    const stranger = await open()
    const { returnCode } = await stranger.connect({ clientId: 'stranger' })
    assert.notEqual(returnCode, 0)
    await stranger.closed()
    await until(() => Number(retainedOn(hub).get('load/connections/1min')) > 0, 'it counts')
    assert.equal(retainedOn(hub).get('clients/maximum'), '0')
  })
})

test('only who has permission for $SYS by name hears of it', async t => {
  const config = configOf(
    '',
    `
principals:
  - username: everything
    password: pw
    permissions: [{ action: sub, permit: ['#'] }, { action: pub, permit: ['#'] }]
  - username: watcher
    password: pw
    permissions: [{ action: sub, permit: ['$SYS/#'] }]
`,
  )
  const { connect, reporter } = await reporting(t, NEVER_MS, { config })
  await reporter.start()
  const everything = await connect('everything', { username: 'everything', password: 'pw' })
  for (const filter of [ALL, '$SYS/broker/uptime', '$SYS/+/uptime']) {
    everything.send(subscribe(7, [filter, 0]))
    assert.deepEqual(await everything.next(), { type: 'suback', packetId: 7, returnCodes: [0x80] }, filter)
  }
  await everything.subscribe(['#', 0], ['+/broker/uptime', 0])
  const watcher = await connect('watcher', { username: 'watcher', password: 'pw' })
  watcher.send(subscribe(8, [ALL, 0]))
  assert.deepEqual(await watcher.next(), { type: 'suback', packetId: 8, returnCodes: [0] })
  assert.equal((await told(watcher)).size, TOPICS.length)
  reporter.setInterval(20)
  await until(async () => (await told(watcher)).has('bytes/sent'), 'the watcher hears of what changes')
  await everything.quiet()
})
