// What the comparison of bridges rests on: configurations that are good ones, delays that delay, sums that are right.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import net from 'node:net'
import { describe, type TestContext, test } from 'node:test'
import { judge, WINDOW_RATE } from '../../../bench/bridge/bounds.ts'
import { type Case, makeCases } from '../../../bench/bridge/cases.ts'
import { bridgeLines, hubLines, mosquittoLines } from '../../../bench/bridge/configs.ts'
import { DelayLine } from '../../../bench/bridge/delay-line.ts'
import type { FlowResult } from '../../../bench/bridge/load/flow-result.ts'
import { type Options, parseOptions } from '../../../bench/bridge/options.ts'
import { formatReport } from '../../../bench/bridge/report.ts'
import { bridgeCpu, type MeasuredCase, type Results } from '../../../bench/bridge/results.ts'
import { UsageError } from '../../../bench/e2e/arguments.ts'
import { parseBridgeConfig, parseHubConfig } from '../../../src/config/index.ts'

describe('configurations of the benchmark', () => {
  test('of a hub let the bridge do what it has to', () => {
    const lines = hubLines({ ports: [1, 2], directory: '/data', sync: 'never' })
    const { config, warnings } = parseHubConfig(lines.join('\n'), { file: 'hub.yml', env: {}, strict: true })
    assert.deepEqual(config.listen, ['tcp://127.0.0.1:1', 'tcp://127.0.0.1:2'])
    assert.deepEqual(
      warnings.map(({ path }) => path).filter(path => !path.endsWith('password')),
      [],
    )
  })

  test('of a bridge have a rule for each filter', () => {
    const lines = bridgeLines({
      hubPort: 1,
      remotePorts: [2, 3],
      qos: 1,
      rules: [
        { name: 'up', remote: 0, filters: { out: 'a/#' } },
        { name: 'down', remote: 1, filters: { in: 'b/#' } },
      ],
      remoteKeys: ['timeout: 1s'],
    })
    const { config } = parseBridgeConfig(lines.join('\n'), { file: 'bridge.yml', env: {}, strict: true })
    const topics = config.rules.map(({ name, hub, remote }) => [
      name,
      remote.name,
      hub.subscriptions.map(({ topic, qos }) => `${topic} ${qos}`),
      remote.subscriptions.map(({ topic, qos }) => `${topic} ${qos}`),
    ])
    assert.deepEqual(topics, [
      ['up', 'remote0', ['a/# 1'], []],
      ['down', 'remote1', [], ['b/# 1']],
    ])
    assert.deepEqual(
      config.remotes.map(({ address, timeoutMs }) => [address, timeoutMs]),
      [
        ['tcp://127.0.0.1:2', 1000],
        ['tcp://127.0.0.1:3', 1000],
      ],
    )
  })

  test('of a mosquitto between two hubs bring in from the one and out to the other', () => {
    const bridges = [
      { name: 'source', port: 1, filter: 'a/#', direction: 'in', qos: 1 },
      { name: 'sink', port: 2, filter: 'a/#', direction: 'out', qos: 1 },
    ] as const
    const lines = mosquittoLines(3, bridges, false)
    const own = lines.filter(line => /^(address|topic|user) /.test(line))
    assert.deepEqual(own, ['address 127.0.0.1:1', 'topic a/# in 1', 'address 127.0.0.1:2', 'topic a/# out 1'])
    assert.ok(mosquittoLines(3, [], true).includes('user root'), 'it stays root when it is started so')
  })
})

describe('a delay line', () => {
  /** A server that sends back what it gets, behind a delay line. */
  async function openEcho(t: TestContext, delayMs: number): Promise<net.Socket> {
    const server = net.createServer({ allowHalfOpen: true }, socket => socket.pipe(socket)).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const line = await DelayLine.open((server.address() as net.AddressInfo).port, delayMs)
    const socket = net.connect({ host: '127.0.0.1', port: line.port, allowHalfOpen: true })
    t.after(async () => {
      socket.destroy()
      await line.close()
      server.close()
    })
    await once(socket, 'connect')
    return socket
  }

  test('delays each way, by no less than it is told', async t => {
    const socket = await openEcho(t, 40)
    const start = performance.now()
    socket.write('ping')
    await once(socket, 'data')
    const ms = performance.now() - start
    assert.ok(ms >= 79, `${ms} ms there and back`)
  })

  test('keeps all bytes and their order, and passes the end on', async t => {
    const socket = await openEcho(t, 5)
    const sent = Buffer.alloc(1_000_000, 'abcdefghijk')
    for (let at = 0; at < sent.length; at += 10_000) socket.write(sent.subarray(at, at + 10_000))
    socket.end()
    const got: Buffer[] = []
    for await (const chunk of socket) got.push(chunk as Buffer)
    assert.ok(Buffer.concat(got).equals(sent), 'the same bytes come back')
  })
})

const defaults = parseOptions([]) as Options

/** A case as if it was measured, with one figure or several that differ from the rest. */
function measured(
  part: Case['part'],
  name: Case['name'],
  figures: { rate?: number; cpu?: number; p50Us?: number; p99Us?: number },
  failures: string[] = [],
): MeasuredCase {
  const { rate = 30_000, cpu = 5, p50Us = 1000, p99Us = 2000 } = figures
  const result = {
    deliveredPerSecond: rate,
    forwarderCpuUs: cpu,
    chainCpuUs: cpu * 2,
    latencyUs: { p50: p50Us, p99: p99Us, count: 1 },
    rssPeakKb: 1,
    generatorBusy: 0,
    noise: { otherCpuShare: 0, stealShare: 0 },
  } as FlowResult
  return { part, name, direction: part === 'throughput_in' ? 'in' : 'out', qos: 1, rounds: [result], failures }
}

describe('judge', () => {
  const memory = { connectedKb: 100_000, trafficKb: 110_000, peakKb: 200_000, anonKb: 1, messages: 1 }
  const good: Results = {
    cases: [
      measured('throughput_out', 'ours', { rate: 20_000 }),
      measured('throughput_out', 'mosquitto', { rate: 1 }),
      measured('rtt', 'ours', { rate: WINDOW_RATE * 0.8 }),
      measured('latency', 'direct', { p50Us: 500 }),
      measured('latency', 'ours', { p50Us: 2500 }),
      measured('dead_remote', 'none', {}),
      measured('dead_remote', 'silent', { p50Us: 2000, p99Us: 7000 }),
    ],
    memory: [memory],
    failures: [],
  }
  const missed = (results: Results): string[] =>
    judge(results, true).flatMap(({ what, isMet }) => (isMet ? [] : [what]))

  test('is content when each bound is just met', () => {
    assert.deepEqual(missed(good), [])
  })

  test('names each bound that is missed', () => {
    const bad: Results = {
      cases: [
        measured('throughput_in', 'ours', { rate: 19_999 }),
        measured('rtt', 'ours', { rate: WINDOW_RATE * 0.79 }),
        measured('latency', 'direct', { p50Us: 500 }),
        measured('latency', 'ours', { p50Us: 2600 }),
        measured('dead_remote', 'none', {}),
        measured('dead_remote', 'silent', { p50Us: 2100, p99Us: 8000 }),
      ],
      memory: [{ ...memory, trafficKb: 150_000 }],
      failures: ['no'],
    }
    assert.deepEqual(missed(bad), [
      'throughput_in: messages a second at QoS 1',
      'rtt out: share of window / RTT',
      'latency, QoS 1: p50 added, ms',
      'dead_remote, silent: p50 of the others added, ms',
      'dead_remote, silent: p99 of the others added, ms',
      'memory: RSS of 100 rules on 20 remotes, MB',
      'measurements that failed',
    ])
  })

  test('counts what was not measured as missed', () => {
    const none = { ...measured('throughput_out', 'ours', {}), rounds: [] }
    const alone = measured('latency', 'ours', {})
    assert.equal(missed({ cases: [none, alone], memory: [], failures: [] }).length, 3)
  })

  test('does not ask for memory that was not to be measured', () => {
    assert.deepEqual(
      judge({ cases: [], memory: [], failures: [] }, false).map(({ what }) => what),
      ['measurements that failed'],
    )
  })
})

describe('CPU of a bridge', () => {
  const cases = [
    measured('throughput_out', 'ours', { cpu: 4 }),
    measured('throughput_out', 'builtin', { cpu: 9 }),
    measured('throughput_out', 'plain', { cpu: 6 }),
    measured('throughput_in', 'plain', { cpu: 7 }),
  ]

  test('is that of its process', () => {
    assert.equal(bridgeCpu(cases, cases[0] as MeasuredCase), 4)
  })

  test('is what a broker takes more with it than without, in the same direction', () => {
    assert.equal(bridgeCpu(cases, cases[1] as MeasuredCase), 3)
  })

  test('is not known where there is none, or nothing to compare with', () => {
    assert.equal(bridgeCpu(cases, cases[2] as MeasuredCase), null)
    assert.equal(bridgeCpu([], cases[1] as MeasuredCase), null)
  })

  test('is in the report, with a dash for what is not known', () => {
    const report = formatReport({ cases, memory: [], failures: [] })
    assert.match(report, /mosquitto as hub with its bridge \| 30,000 \| 3\.00 \| 18\.00 \|/)
    assert.match(report, /mosquitto as hub, no bridge \| 30,000 \| - \| 12\.00 \|/)
  })
})

describe('cases', () => {
  const namesOf = (args: readonly string[]): string[] =>
    makeCases(parseOptions(args) as Options).map(each => `${each.part} ${each.name} ${each.direction} ${each.qos}`)

  test('have a direct way beside each that latency is measured of', () => {
    assert.deepEqual(namesOf(['--parts', 'latency', '--ways', 'ours,builtin', '--qos', '1']), [
      'latency direct out 1',
      'latency ours out 1',
    ])
  })

  test('differ from each other', () => {
    const all = namesOf([])
    assert.equal(new Set(all).size, all.length, all.join(', '))
    assert.equal(all.length, 20 + 6 + 8 + 3)
  })
})

test('options that make no sense are refused', () => {
  for (const args of [
    ['--parts', 'all'],
    ['--ways', 'emqx'],
    ['--qos', '2'],
    ['--sync', 'no'],
    ['--sync', 'always,never'],
    ['--rounds', '0'],
  ]) {
    assert.throws(() => parseOptions(args), UsageError, args.join(' '))
  }
  assert.equal(defaults.sync, 'always')
  assert.deepEqual(parseOptions(['--parts', 'memory,rtt'])?.parts, ['rtt', 'memory'])
  assert.deepEqual(parseOptions(['--qos', '0'])?.qos, [0])
})
