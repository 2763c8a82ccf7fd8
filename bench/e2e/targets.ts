import type { ScenarioName } from './scenarios.ts'

/**
 * What a result is judged by. `cpu`: microseconds of broker CPU for each delivered message; `p50` and `p99`: delivery
 * latency in microseconds; `kib`: KiB of resident memory for each idle connection; `ms`: SUBSCRIBE until retained message;
 * `rate`: deliveries a second.
 */
export type Metric = 'cpu' | 'p50' | 'p99' | 'kib' | 'ms' | 'rate'

/**
 * The most our hub may take: a share of what mosquitto takes in the same run, or a figure of its own. Or the least it
 * has to reach, which is asked for on a disk that needs `fsyncMs` for one fsync; a slower disk lowers it in proportion.
 */
export interface Target {
  scenario: ScenarioName
  metric: Metric
  limit: { timesMosquitto: number } | { atMost: number } | { atLeast: number; fsyncMs?: number }
}

export const targets: readonly Target[] = [
  { scenario: 'q0_1to1_64', metric: 'cpu', limit: { timesMosquitto: 1 / 12 } },
  { scenario: 'q0_1to1_1k', metric: 'cpu', limit: { timesMosquitto: 1 / 8 } },
  { scenario: 'q1_1to1', metric: 'cpu', limit: { timesMosquitto: 1 / 18 } },
  { scenario: 'q0_fanout', metric: 'cpu', limit: { timesMosquitto: 1 / 12 } },
  { scenario: 'q1_fanout', metric: 'cpu', limit: { timesMosquitto: 1 / 8 } },
  { scenario: 'q0_fanin', metric: 'cpu', limit: { timesMosquitto: 1 / 4 } },
  { scenario: 'wild1000', metric: 'cpu', limit: { timesMosquitto: 1 } },
  { scenario: 'pairs1000_q0', metric: 'cpu', limit: { timesMosquitto: 1.2 } },
  { scenario: 'ping_q0', metric: 'p50', limit: { timesMosquitto: 1.3 } },
  { scenario: 'ping_q1', metric: 'p50', limit: { timesMosquitto: 1.3 } },
  { scenario: 'paced5k_q1', metric: 'p99', limit: { timesMosquitto: 1 } },
  { scenario: 'idle10k', metric: 'kib', limit: { atMost: 12 } },
  { scenario: 'retained100k', metric: 'ms', limit: { atMost: 1 } },
  { scenario: 'durable_never', metric: 'rate', limit: { atLeast: 80_000 } },
  { scenario: 'durable_always', metric: 'rate', limit: { atLeast: 30_000, fsyncMs: 2 } },
  { scenario: 'durable_2ms', metric: 'rate', limit: { atLeast: 30_000, fsyncMs: 2 } },
]
