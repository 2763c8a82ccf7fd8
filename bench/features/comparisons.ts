import { freePort } from '../e2e/broker-site.ts'
import type { BrokerSetup } from '../e2e/brokers.ts'
import type { LoadOptions, Work } from '../e2e/load/job.ts'
import { COPIES, ruleLines } from './rule-lines.ts'

/** A hub and what it gets to do. */
export interface Side {
  what: string
  setup: BrokerSetup
  work: Work
  /** Where its figures are fetched each second, null for not at all. */
  scrapes: string | null
  /** How many copies its rules have to make of a message to `bench/0`. */
  copies: number
}

/** Two hubs that do the same, with and without a feature. */
export interface Comparison {
  what: string
  base: Side
  other: Side
  /** The least throughput of the other, as a share of the base's. */
  atLeast: number
}

export const comparisonNames = ['rules_q0', 'rules_q1', 'copies_q0', 'copies_q1', 'metrics_q0', 'metrics_q1'] as const
export type ComparisonName = (typeof comparisonNames)[number]

export interface ComparisonOptions {
  rules: number
  warmupMs: number
  durationMs: number
}

/** Publishers, each with a topic of its own. */
const TOPICS = 10
const RULES_AT_LEAST = 0.8
const METRICS_AT_LEAST = 0.97

export async function makeComparisons({
  rules,
  warmupMs,
  durationMs,
}: ComparisonOptions): Promise<Record<ComparisonName, Comparison>> {
  const load = (qos: number, options: Partial<LoadOptions> = {}): Work => ({
    kind: 'load',
    publishers: TOPICS,
    subscribers: TOPICS,
    topics: TOPICS,
    topic: 'bench/%d',
    filter: 'bench/%d',
    qos,
    size: 64,
    window: 100,
    rate: 0,
    warmupMs,
    durationMs,
    stallMs: 3000,
    ...options,
  })
  const plain = (what: string, work: Work): Side => ({ what, setup: {}, work, scrapes: null, copies: 0 })
  const ruled = (work: Work): Side => ({
    what: `${rules} rules`,
    setup: { hub: ruleLines(rules, TOPICS) },
    work,
    scrapes: null,
    copies: COPIES.length,
  })
  const subscribers = TOPICS * (1 + COPIES.length)
  const unheard = (qos: number): Comparison => ({
    what: `QoS ${qos}, 10 to 10, 64 B; each message matches three rules, nobody hears the copies`,
    base: plain('no rules', load(qos)),
    other: ruled(load(qos)),
    atLeast: RULES_AT_LEAST,
  })
  const heard = (qos: number): Comparison => ({
    what: `QoS ${qos}, 10 publishers, 64 B; a subscriber of each topic, and with rules of each of its three copies`,
    base: plain('no rules', load(qos)),
    other: ruled(load(qos, { subscribers, copies: COPIES })),
    atLeast: RULES_AT_LEAST,
  })
  const port = await freePort()
  const metrics = `metrics: { listen: 'http://127.0.0.1:${port}' }`
  const watched = (qos: number): Comparison => ({
    what: `QoS ${qos}, 10 to 10, 64 B; figures for Prometheus each second`,
    base: plain('metrics off', load(qos)),
    other: {
      ...plain('metrics on', load(qos)),
      setup: { hub: [metrics] },
      scrapes: `http://127.0.0.1:${port}/metrics`,
    },
    atLeast: METRICS_AT_LEAST,
  })
  return {
    rules_q0: unheard(0),
    rules_q1: unheard(1),
    copies_q0: heard(0),
    copies_q1: heard(1),
    metrics_q0: watched(0),
    metrics_q1: watched(1),
  }
}
