/** Reloads in a row, in the way of each other, in the way of a stop, and by the hundred. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { suite, type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { HubService } from '../../../src/broker/index.ts'
import { silentLogger } from '../../../src/common/index.ts'
import { defaultHubConfig } from '../../../src/config/index.ts'
import { bytesHeld } from '../../support/garbage.ts'
import { OPEN_TO_ALL } from '../../support/hub.ts'
import { puback, publish } from '../../support/packets.ts'
import { account, as, ReloadedHub, temporaryDirectory } from './reloaded-hub.ts'

function on(...urls: string[]): string {
  return [`listen: ${JSON.stringify(urls)}`, OPEN_TO_ALL].join('\n')
}

/** Bytes that a hundred reloads may leave: a principal each would be more. */
const MOST_GROWTH = 500_000
const [FREE, WEB] = ['tcp://127.0.0.1:0', 'ws://127.0.0.1:0']

suite('a reload', () => {
  test('waits for the one before: the last one holds', async t => {
    const running = await ReloadedHub.start(t, on(FREE))
    const bad = 'tcp://no-such-host.invalid:1'
    const results = await Promise.allSettled([
      running.reload(on(FREE, WEB)),
      running.reload(on(FREE, bad)),
      running.reload(on(WEB)),
      running.reload(on(FREE, WEB)),
    ])
    assert.deepEqual(
      results.map(({ status }) => status),
      ['fulfilled', 'rejected', 'fulfilled', 'fulfilled'],
      'one fails',
    )
    assert.deepEqual(
      running.urls.map(url => url.slice(0, 2)),
      ['tc', 'ws'],
      'the last',
    )
    await running.connect(t, 'client')
  })

  test('is refused before the start and after the stop', async () => {
    const memory = { ...defaultHubConfig(), storage: { ...defaultHubConfig().storage, dir: '' } }
    const service = new HubService(memory, silentLogger)
    await assert.rejects(service.reload(memory), { code: 'ERR_LIFECYCLE_CLOSED' })
    await service.start(new AbortController().signal)
    await service.reload(memory)
    await service.stop()
    await assert.rejects(service.reload(memory), { code: 'ERR_LIFECYCLE_CLOSED' })
  })

  test('under way gives way to a stop, and leaves nothing open', async t => {
    const running = await ReloadedHub.start(t, on(FREE))
    const results = Promise.allSettled([running.reload(on(FREE, WEB)), running.reload(on(WEB))])
    await running.stop()
    for (const result of await results) {
      if (result.status === 'rejected') assert.equal(result.reason.code, 'ERR_LIFECYCLE_CLOSED', 'it says why')
    }
    assert.equal(running.logged('listener.started'), running.logged('listener.stopped'), 'all are closed')
  })
})

test('a hundred reloads leave nothing behind, and who is connected notices nothing', async t => {
  const yaml = (i: number): string => {
    const readers = Array.from({ length: 50 }, (_, n) => account(`r${n}`, { sub: [`s/${n}/${i}`] }, `p${n}`))
    const rule = `subscriptions: [{ source: { topic: in }, target: { topic: out/${i} } }]`
    const listen = `listen: ['${FREE}'${i % 2 === 0 ? `, '${WEB}', 'unix://${socket}'` : ''}]`
    const metrics = `metrics: { events: ${i % 2 === 0}, listen: '${i % 2 === 0 ? 'http://127.0.0.1:0' : ''}' }`
    const limits = `limits: { connect: { timeout: ${100 + i}ms }, topic: { levels: ${5 + (i % 3)} } }`
    const stays = account('stays', { pub: ['#', `${i}`], sub: ['#'] })
    return [listen, metrics, limits, 'session: { expiry: 1h }', rule, 'principals:', stays, ...readers].join('\n')
  }
  const socket = join(temporaryDirectory(t), 'hub.sock')
  const intervals = countIntervals(t)
  const running = await ReloadedHub.start(t, yaml(1))
  const client = await running.connect(t, 'client', { ...as('stays'), cleanSession: false })
  await client.subscribe(['a/#', 1])
  for (let i = 0; i < 10; i++) await running.connect(t, `r${i}`, { username: `r${i}`, password: `p${i}` })
  const once = async (i: number): Promise<void> => {
    await running.reload(yaml(i))
    client.send(publish({ topic: `a/${i % 10}`, payload: '', qos: 1, packetId: 1 }))
    for (let left = 2; left > 0; left--) {
      const packet = await client.next()
      if (packet.type === 'publish' && packet.qos > 0) client.send(puback(packet.packetId))
    }
  }
  const count = async (): Promise<{ resources: string; intervals: number; bytes: number }> => {
    running.log.lines.length = 0
    await sleep(50) // what was closed is gone a few turns later
    // Handles, not requests: the runtime reads files of its own.
    const handles = process.getActiveResourcesInfo().filter(name => !name.includes('Req'))
    const resources = handles.toSorted().join(' ')
    return { resources, intervals: intervals.size, bytes: await bytesHeld() }
  }
  const grown: number[] = []
  let before = await count()
  // The first hundred also bring what is loaded and compiled once.
  for (let round = 0; round < 4 && (grown.at(-1) ?? MOST_GROWTH) >= MOST_GROWTH; round++) {
    for (let i = 0; i < 100; i++) await once(i)
    await once(1)
    const after = await count()
    assert.equal(after.resources, before.resources, 'sockets, servers and timeouts')
    assert.equal(after.intervals, before.intervals, 'intervals')
    grown.push(after.bytes - before.bytes)
    before = after
  }
  assert.ok((grown.at(-1) ?? 0) < MOST_GROWTH, `each hundred takes more bytes: ${grown.join()}`)
  assert.equal(running.hub.listenerCount('connackSent'), 1, 'the reporter listens once')
  assert.equal(running.hub.connections, 11, 'nobody was disconnected')
})

test('twenty reloads under load lose nothing and disconnect nobody', async t => {
  const yaml = (i: number): string =>
    [
      `listen: ['${FREE}'${i % 2 === 0 ? '' : `, '${WEB}'`}]`,
      'principals:',
      account('p', { pub: ['load/#', `x/${i}`] }),
      account('s', { sub: ['load/#', `x/${i}`] }),
      `message: { egress: { qos1: { buffer: { size: ${20 + i} } } } }`,
      `limits: { topic: { levels: ${4 + (i % 2)} } }`,
      `subscriptions: [{ source: { topic: 'load/x' }, target: { topic: 'copy/${i}' } }]`,
    ].join('\n')
  const running = await ReloadedHub.start(t, yaml(0), { dir: join(temporaryDirectory(t), 'data') })
  const [subscriber, publisher] = [
    await running.connect(t, 's', { ...as('s'), cleanSession: false }),
    await running.connect(t, 'p', as('p')),
  ]
  await subscriber.subscribe(['load/#', 1])
  let isLoading = true
  let published = 0
  /** Known when the last hundred begin, which is after the last reload. */
  let total = Number.POSITIVE_INFINITY
  const received: number[] = []
  const publishing = (async () => {
    while (published < total) {
      // The queue of the subscriber is not to overflow.
      while (published - received.length > 2000) await sleep(1)
      if (!isLoading) total = published + 100
      const packets = Array.from({ length: 100 }, (_, i) =>
        publish({ topic: `load/${i % 3}`, payload: `${published + i}`, qos: 1, packetId: i + 1 }),
      )
      publisher.send(Buffer.concat(packets))
      for (let i = 0; i < 100; i++) await publisher.expect('puback')
      published += 100
    }
  })()
  const receiving = (async () => {
    while (received.length < total) {
      const packet = await subscriber.expect('publish')
      received.push(Number(packet.payload.toString()))
      if (packet.qos > 0) subscriber.send(puback(packet.packetId))
    }
  })()
  for (let i = 1; i <= 20; i++) {
    await running.reload(yaml(i))
    await sleep(50)
  }
  isLoading = false
  await publishing
  await receiving
  assert.ok(published > 500, `there was load: ${published} messages`)
  assert.deepEqual(
    received,
    Array.from({ length: published }, (_, i) => i),
    'all, once, in their order',
  )
})

/** The intervals that are set from now on and not cleared. */
function countIntervals(t: TestContext): Set<unknown> {
  const set = new Set<unknown>()
  const { setInterval: begin, clearInterval: end } = globalThis
  t.after(() => void Object.assign(globalThis, { setInterval: begin, clearInterval: end }))
  Object.assign(globalThis, {
    setInterval: (...args: Parameters<typeof begin>) => {
      const timer = begin(...args)
      set.add(timer)
      return timer
    },
    clearInterval: (timer: NodeJS.Timeout | undefined) => {
      set.delete(timer)
      end(timer)
    },
  })
  return set
}
