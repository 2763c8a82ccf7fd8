import { type BrokerName, type BrokerSetup, brokerNames } from './brokers.ts'
import type { LoadOptions, Work } from './load/job.ts'

export interface Scenario {
  /** What it does, for the report. */
  what: string
  work: Work
  setup: BrokerSetup
  /** Who takes part. */
  brokers: readonly BrokerName[]
}

export interface Durations {
  warmupMs: number
  durationMs: number
}

export const scenarioNames = [
  'q0_1to1_64',
  'q0_1to1_1k',
  'q1_1to1',
  'q0_fanout',
  'q1_fanout',
  'q0_fanin',
  'wild1000',
  'pairs1000_q0',
  'ping_q0',
  'ping_q1',
  'paced5k_q1',
  'idle10k',
  'retained100k',
  'durable_never',
  'durable_always',
  'durable_2ms',
] as const

export type ScenarioName = (typeof scenarioNames)[number]

/** What is measured, for this long each. */
export function makeScenarios({ warmupMs, durationMs }: Durations): Record<ScenarioName, Scenario> {
  const load = (what: string, options: Partial<LoadOptions>): Scenario => {
    const publishers = options.publishers ?? 1
    const work: Work = {
      kind: 'load',
      publishers,
      subscribers: 1,
      topics: publishers,
      topic: 'bench/%d',
      filter: 'bench/%d',
      qos: 0,
      size: 64,
      window: 100,
      rate: 0,
      warmupMs,
      durationMs,
      stallMs: 3000,
      ...options,
    }
    return { what, work, setup: {}, brokers: brokerNames }
  }
  const tenToTen = { publishers: 10, subscribers: 10 }
  const durable = (what: string, setup: BrokerSetup): Scenario => ({
    ...load(what, { ...tenToTen, qos: 1, keepSessions: true }),
    setup,
    // aedes stores nothing by itself.
    brokers: ['mosquitto', 'ours'],
  })
  const fanOut = { subscribers: 100, window: 50 }
  const wildcards = { topics: 1000, topic: 'dev/%d/x/status', filter: 'dev/%d/+/status' }
  return {
    q0_1to1_64: load('QoS 0, 10 publishers to 10 subscribers, own topics, 64 B, window 100', tenToTen),
    q0_1to1_1k: load('the same with 1 KiB', { ...tenToTen, size: 1024 }),
    q1_1to1: load('QoS 1 in and out, 10 to 10, 64 B, window 100', { ...tenToTen, qos: 1 }),
    q0_fanout: load('QoS 0, 1 publisher to 100 subscribers of one topic, window 50', fanOut),
    q1_fanout: load('QoS 1 in and out, 1 to 100, window 50', { ...fanOut, qos: 1 }),
    q0_fanin: load('QoS 0, 100 publishers to 1 subscriber of bench/#, window 8', {
      publishers: 100,
      filter: 'bench/#',
      window: 8,
    }),
    wild1000: load('QoS 0, 1,000 subscribers of dev/<i>/+/status, 10 publishers over 1,000 topics, window 100', {
      publishers: 10,
      subscribers: 1000,
      ...wildcards,
    }),
    pairs1000_q0: load('QoS 0, 1,000 publishers to 1,000 subscribers, one message in flight each', {
      publishers: 1000,
      subscribers: 1000,
      window: 1,
    }),
    ping_q0: load('QoS 0, one message in flight', { window: 1 }),
    ping_q1: load('QoS 1, one message in flight, the next after both delivery and PUBACK', { window: 1, qos: 1 }),
    paced5k_q1: load('QoS 1, 10 to 10, 5,000 messages a second, latency from due time', {
      ...tenToTen,
      qos: 1,
      rate: 5000,
    }),
    idle10k: {
      what: '10,000 idle connections',
      work: { kind: 'idle', connections: 10_000, sourceAddresses: 20, settleMs: 1500 },
      setup: {},
      brokers: brokerNames,
    },
    retained100k: {
      what: 'SUBSCRIBE that matches 1 of 100,000 retained topics',
      work: { kind: 'retained', topics: 100_000, subscribes: 200, limitMs: durationMs },
      setup: { hub: ['limits:', '  retained: { count: 100000, bytes: 64m }'] },
      brokers: brokerNames,
    },
    durable_never: durable(
      'QoS 1, 10 to 10, Clean Session 0, 64 B, window 100; storage.sync never, mosquitto with persistence',
      { sync: 'never' },
    ),
    durable_always: durable('the same with storage.sync always', { sync: 'always' }),
    durable_2ms: durable('the same with every fsync drawn out to 2 ms', { sync: 'always', fsyncMs: 2 }),
  }
}
