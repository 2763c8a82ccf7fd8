import assert from 'node:assert/strict'
import type { Readable } from 'node:stream'
import { describe, test } from 'node:test'
import type { Usable } from '../../../src/cli/check/check-file.ts'
import { checkCircles } from '../../../src/cli/check/circles.ts'
import { type BridgeConfig, parseBridgeConfig, parseHubConfig } from '../../../src/config/index.ts'

/** A hub that sends up what came down. */
function hub(name: string, port: number): Usable {
  const yaml = `listen: ['tcp://:${port}']\nsubscriptions: [{ source: { topic: down/# }, target: { topic: 'up/{#}' } }]\n`
  return { kind: 'hub', name, file: name, config: parseHubConfig(yaml, { env: {}, file: name }).config }
}

/** A bridge whose remote sends down what goes up. */
function bridge(name: string, port: number): Usable {
  const yaml = `
hub: { address: 'tcp://localhub:${port}' }
remotes: [{ name: cloud, address: 'tcp://broker.example' }]
rules:
  - { name: out, hub: { clientid: a, subscriptions: [{ topic: up/# }] }, remote: { name: cloud, clientid: a } }
  - name: back
    hub: { clientid: b }
    remote: { name: cloud, clientid: b, subscriptions: [{ topic: up/#, target: { topic: 'down/{#}' } }] }
`
  const config: BridgeConfig = parseBridgeConfig(yaml, { env: {}, file: name }).config
  return { kind: 'bridge', name, file: name, config }
}

function check(...usable: Usable[]): { isRight: boolean; lines: string[] } {
  const lines: string[] = []
  const stdin = process.stdin as Readable
  const isRight = checkCircles(usable, {
    env: {},
    stdin,
    stdout: process.stdout,
    program: 'openedge',
    out: line => lines.push(`out: ${line}`),
    err: line => lines.push(line),
  })
  return { isRight, lines }
}

describe('circles of what is checked together', () => {
  test('go through the hub and the bridge', () => {
    const { isRight, lines } = check(hub('hub', 1883), bridge('bridge', 1883))
    assert.equal(isRight, false)
    assert.match(lines.join('\n'), /^messages run in a circle: .*\bout\b.*\bback\b/m)
  })

  test('are none without one of them', () => {
    assert.deepEqual(check(hub('hub', 1883)), { isRight: true, lines: [] })
    assert.deepEqual(check(bridge('bridge', 1883)), { isRight: true, lines: [] })
    assert.deepEqual(check(), { isRight: true, lines: [] })
  })

  test('of several hubs are those of the one that the bridge leads to', () => {
    assert.equal(check(hub('one', 1883), hub('two', 1884), bridge('bridge', 1884)).isRight, false)
    assert.deepEqual(check(hub('one', 1883), hub('two', 1884), bridge('bridge', 1885)), { isRight: true, lines: [] })
  })
})
