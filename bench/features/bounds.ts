import { median } from '../e2e/summary.ts'
import type { Part } from './options.ts'
import { cpuRatio, type Results, rateRatio } from './results.ts'

const BOUNDS = { startMs: 1000, rateShare: 0.98, growthKb: 16 * 1024 }

export interface Verdict {
  what: string
  asked: string
  measured: string
  isMet: boolean
}

/** How the hub does. What could not be measured is a miss. */
export function judge(
  parts: readonly Part[],
  { compared, starts, reload, failures }: Results,
  rate: number,
): Verdict[] {
  const verdicts = compared.flatMap(each => {
    const { name, comparison, failures: faults } = each
    return [
      atLeast(`${name}: throughput by CPU for each delivery`, cpuRatio(each), comparison.atLeast, 3),
      atLeast(`${name}: deliveries a second`, rateRatio(each), comparison.atLeast, 3),
      atMost(`${name}: measurements that failed`, faults.length, 0),
    ]
  })
  if (parts.includes('start')) {
    const own = starts.filter(({ rules }) => rules > 0)
    const rules = own[0]?.rules ?? 0
    const startMs = median(own.map(({ readyMs }) => readyMs))
    verdicts.push(
      atMost(`start: ms to check ${rules} rules`, median(own.map(({ checkMs }) => checkMs)), BOUNDS.startMs),
      atMost(`start: ms to the first CONNACK with ${rules} rules`, startMs, BOUNDS.startMs),
    )
  }
  if (parts.includes('reload')) {
    verdicts.push(
      atLeast('reload: messages a second meanwhile', reload?.perSecond ?? null, rate * BOUNDS.rateShare),
      atMost('reload: messages lost or otherwise wrong', reload?.faults ?? null, 0),
      atMost('reload: growth of RSS in KiB', reload && reload.rssAfterKb - reload.rssBeforeKb, BOUNDS.growthKb),
    )
  }
  if (failures.length > 0) verdicts.push(atMost('measurements that failed', failures.length, 0))
  return verdicts
}

function atMost(what: string, value: number | null, limit: number, digits = 0): Verdict {
  return verdict(what, `at most ${format(limit, digits)}`, value, value !== null && value <= limit, digits)
}

function atLeast(what: string, value: number | null, limit: number, digits = 0): Verdict {
  return verdict(what, `at least ${format(limit, digits)}`, value, value !== null && value >= limit, digits)
}

function verdict(what: string, asked: string, value: number | null, isMet: boolean, digits: number): Verdict {
  return { what, asked, measured: value === null ? 'not measured' : format(value, digits), isMet }
}

function format(value: number, digits: number): string {
  return value.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits })
}
