import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { bridgeBanner } from '../../../src/cli/bridge/banner.ts'
import { parseBridgeConfig } from '../../../src/config/index.ts'

function banner(yaml: string): string[] {
  const { config } = parseBridgeConfig(yaml, { env: {}, file: 'bridge.yml' })
  return bridgeBanner(config, { version: '1.2.3', file: 'etc/bridge.yml' }).split('\n')
}

const HEAD = `
hub: { address: 'tcp://0.0.0.0:1883' }
remotes:
  - { name: cloud, address: 'ssl://broker.example:8883' }
  - { name: web, address: 'wss://broker.example/mqtt?token=secret' }
`

describe('the banner of a bridge', () => {
  test('tells who is connected with whom, and what goes which way', () => {
    const yaml = `${HEAD}
rules:
  - name: plant1
    hub: { subscriptions: [{ topic: 'a/#', qos: 1, target: { topic: 'plant1/a/{#}' } }, { topic: b }] }
    remote: { name: cloud, clientid: one, subscriptions: [{ topic: c/+, qos: 2, target: { qos: 1 } }] }
  - name: plant2
    hub: { clientid: two }
    remote: { name: web, clientid: two, subscriptions: [{ topic: '#' }] }
`
    assert.deepEqual(banner(yaml), [
      'OpenEdge 1.2.3 bridge, configured by etc/bridge.yml, forwards',
      '  plant1: hub tcp://0.0.0.0:1883 -> cloud ssl://broker.example:8883',
      '    out a/# -> plant1/a/{#} (QoS 1), b (QoS 0)',
      '    in  c/+ (QoS 1)',
      '  plant2: hub tcp://0.0.0.0:1883 -> web wss://broker.example/mqtt',
      '    in  # (QoS 0)',
    ])
  })

  test('says so when there is nothing to do', () => {
    assert.deepEqual(banner(HEAD), [
      'OpenEdge 1.2.3 bridge, configured by etc/bridge.yml, forwards',
      '  nothing: no rules in the configuration',
    ])
  })

  test('has an end, however many rules and filters there are', () => {
    const filters = Array.from({ length: 50 }, (_, i) => `{ topic: t${i} }`).join(', ')
    const rules = Array.from(
      { length: 100 },
      (_, i) => `  - { name: r${i}, hub: { subscriptions: [${filters}] }, remote: { name: cloud, clientid: c${i} } }\n`,
    )
    const lines = banner(`${HEAD}rules:\n${rules.join('')}`)
    assert.equal(lines.length, 42)
    assert.equal(lines.at(-1), '  and 80 more rules')
    assert.match(lines[2] ?? '', /^ {4}out t0 \(QoS 0\), .*t7 \(QoS 0\), and 42 more$/)
  })
})
