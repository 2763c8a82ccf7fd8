/** Rules of a configuration that is replaced while messages pass. */
import assert from 'node:assert/strict'
import { suite, type TestContext, test } from 'node:test'
import { HubService } from '../../src/broker/index.ts'
import { type HubConfig, parseHubConfig } from '../../src/config/index.ts'
import type { ConnectOptions } from '../support/packets.ts'
import { openRawClient, type RawClient } from '../support/raw-client.ts'
import { heard, publishAtOnce, ruleOf } from '../support/rules.ts'

const QOS = [0, 1, 2] as const

interface File {
  rules: readonly object[]
  /** What the clerk may publish to. */
  clerk?: string
  levels?: number
  dollar?: 'allow' | 'deny'
}

function configOf({ rules, clerk = 'out/#', levels = 9, dollar = 'deny' }: File): HubConfig {
  const everything = [
    { action: 'pub', permit: ['#'] },
    { action: 'sub', permit: ['#', '$own/#'] },
  ]
  const file = {
    listen: ['tcp://127.0.0.1:0'],
    storage: { dir: '' },
    anonymous: { permissions: everything },
    principals: [
      { username: 'pump', password: 'pw', permissions: everything },
      {
        username: 'clerk',
        password: 'pw',
        permissions: [
          { action: 'sub', permit: ['in/#'] },
          { action: 'pub', permit: [clerk] },
        ],
      },
    ],
    limits: { topic: { levels, dollar } },
    subscriptions: rules,
  }
  return parseHubConfig(JSON.stringify(file), { file: 'service.yml', env: {} }).config
}

interface Scene {
  service: HubService
  reader: RawClient
  publisher: RawClient
  reload: (file: File) => Promise<void>
}

async function scene(t: TestContext, file: File, options: ConnectOptions = {}): Promise<Scene> {
  const service = new HubService(configOf(file))
  await service.start(new AbortController().signal)
  const clients: RawClient[] = []
  t.after(async () => {
    // What the hub drops when it stops must not look like a failure.
    try {
      for (const client of clients) client.finish()
    } finally {
      await service.stop()
    }
  })
  const port = Number(new URL(service.urls[0] as string).port)
  for (const connect of [{ clientId: 'reader' }, { clientId: 'publisher', ...options }]) {
    const client = await openRawClient(t, { transport: 'tcp', host: '127.0.0.1', port })
    clients.push(client)
    assert.equal((await client.connect(connect)).returnCode, 0)
  }
  const [reader, publisher] = clients as [RawClient, RawClient]
  await reader.subscribe(['#', 2], ['$own/#', 2])
  return { service, reader, publisher, reload: next => service.reload(configOf(next)) }
}

const rule = (source: string, target: string, more: object = {}): object => ({
  source: { topic: source, qos: 2 },
  target: { topic: target, qos: 2 },
  ...more,
})

suite('a reload', () => {
  for (const qos of QOS) {
    test(`adds, changes and removes rules for clients that stay, QoS ${qos}`, async t => {
      const { service, reader, publisher, reload } = await scene(t, { rules: [rule('in/+', 'out/{1}')] })
      const say = (payload: string): Promise<void> => publishAtOnce(publisher, 'in/a', qos, [payload, payload])
      const lines = (payload: string, ...topics: string[]): string[] =>
        ['in/a', ...topics].flatMap(topic => Array<string>(2).fill(`${topic} ${qos} ${payload}`)).sort()
      await say('1')
      assert.deepEqual(await heard(reader), lines('1', 'out/a'))
      await reload({ rules: [rule('in/+', 'out/{1}'), rule('out/#', 'far/{#}')] })
      await say('2')
      assert.deepEqual(await heard(reader), lines('2', 'out/a', 'far/a'))
      assert.equal(ruleOf(service, 'in/+ -> out/{1}').forwarded, 4, 'what stays goes on counting')
      await reload({ rules: [rule('in/+', 'other/{1}')] })
      await say('3')
      assert.deepEqual(await heard(reader), lines('3', 'other/a'))
      await reload({ rules: [] })
      await say('4')
      assert.deepEqual(await heard(reader), lines('4'))
    })
  }

  test('with rules in a circle changes nothing', async t => {
    const { reader, publisher, reload } = await scene(t, { rules: [rule('in/+', 'out/{1}')] })
    assert.throws(() => void reload({ rules: [rule('in/+', 'out/{1}'), rule('out/#', 'in/{#}')] }), /found cycle/)
    await publisher.publish({ topic: 'in/a', payload: 'm', qos: 1 })
    assert.deepEqual(await heard(reader), ['in/a 1 m', 'out/a 1 m'])
  })

  test('changes what the principal of a rule may do, though the rule is as before', async t => {
    const rules = [rule('in/+', 'out/{1}', { authorize: true, principal: 'clerk' })]
    const { service, reader, publisher, reload } = await scene(t, { rules })
    for (const [clerk, isPermitted] of [
      ['out/#', true],
      ['else/#', false],
      ['out/+', true],
    ] as const) {
      await reload({ rules, clerk })
      await publisher.publish({ topic: 'in/a', payload: 'm', qos: 1 })
      assert.deepEqual(await heard(reader), ['in/a 1 m', ...(isPermitted ? ['out/a 1 m'] : [])], clerk)
    }
    assert.equal(ruleOf(service, 'in/+ -> out/{1}').dropped, 1)
  })

  test('changes which targets are topics, though the rule is as before', async t => {
    const rules = [rule('in/#', '1/2/3/{#}'), rule('own/+/x', '{1}/far')]
    const { reader, publisher, reload } = await scene(t, { rules })
    for (const [levels, wanted] of [
      [9, ['1/2/3/4/5 1 m', 'in/4/5 1 m']],
      [4, ['in/4/5 1 m']],
      [5, ['1/2/3/4/5 1 m', 'in/4/5 1 m']],
    ] as const) {
      await reload({ rules, levels })
      await publisher.publish({ topic: 'in/4/5', payload: 'm', qos: 1 })
      assert.deepEqual(await heard(reader), wanted, `${levels} levels`)
    }
    for (const [dollar, wanted] of [
      ['deny', ['own/$own/x 1 m']],
      ['allow', ['$own/far 1 m', 'own/$own/x 1 m']],
      ['deny', ['own/$own/x 1 m']],
    ] as const) {
      await reload({ rules, dollar })
      await publisher.publish({ topic: 'own/$own/x', payload: 'm', qos: 1 })
      assert.deepEqual(await heard(reader), wanted, dollar)
    }
  })

  test('a client is still the principal that a rule asks for', async t => {
    const rules = [rule('in/#', 'out/{username}/{#}', { source: { topic: 'in/#', qos: 2, principal: 'pump' } })]
    const who = { username: 'pump', password: 'pw' }
    const { reader, publisher, reload } = await scene(t, { rules }, who)
    for (const clerk of ['a', 'b']) {
      await publisher.publish({ topic: 'in/a', payload: clerk, qos: 1 })
      assert.deepEqual(await heard(reader), [`in/a 1 ${clerk}`, `out/pump/a 1 ${clerk}`])
      await reload({ rules, clerk })
    }
    await publisher.quiet()
  })
})
