import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ReloadAnswer } from '../../src/control/index.ts'
import { type BrokerProcess, BrokerSite } from '../e2e/broker-site.ts'
import type { Target } from '../e2e/load/job.ts'
import { memoryOf } from '../e2e/load/proc.ts'
import { generate } from '../e2e/measure.ts'
import { median } from '../e2e/summary.ts'
import { askControl } from './control-request.ts'
import { copiesOf } from './witness.ts'

export interface ReloadOptions {
  reloads: number
  /** Messages a second meanwhile. */
  rate: number
}

export interface ReloadResult {
  reloads: number
  /** From asking for one to the answer. */
  medianMs: number
  slowestMs: number
  messages: number
  perSecond: number
  p99Us: number
  /** Messages lost, repeated, out of order or otherwise wrong. A lost connection ends the measurement. */
  faults: number
  firstFault: string | null
  /** Resident while the first and while the last reloads were made, medians. */
  rssBeforeKb: number
  rssAfterKb: number
}

const SOCKET = 'control.sock'
const CONTROL = `control: { socket: ${SOCKET} }`
/** Between the starts of two reloads. */
const STEP_MS = 100
const WARMUP_MS = 1500
/** Rules that come and go. */
const RULES = 200
/** Reloads at the beginning of which the memory is not looked at, and at both ends of the rest of which it is, as shares. */
const SETTLING = 0.25
const SAMPLED = 0.25

/** Changes the configuration of a hub again and again while messages pass through it. */
export async function measureReload({ reloads, rate }: ReloadOptions): Promise<ReloadResult> {
  const site = await BrokerSite.make('ours', { hub: [CONTROL] })
  try {
    const file = join(site.directory, 'service.yml')
    const [base] = readFileSync(file, 'utf8').split(CONTROL)
    const running = await site.start()
    const socket = join(site.directory, SOCKET)
    const loading = generateLoad(running.target, reloads, rate)
    const times: number[] = []
    const memory: number[] = []
    let isOver = false
    loading.finally(() => (isOver = true)).catch(() => {})
    await sleep(WARMUP_MS + 500)
    for (let number = 1; number <= reloads && !isOver; number++) {
      const start = performance.now()
      writeFileSync(file, base + changes(number))
      await reload(socket)
      times.push(performance.now() - start)
      await sleep(Math.max(0, start + STEP_MS - performance.now()))
      memory.push(memoryOf(running.target.pid).rssKb)
    }
    const hurried = isOver
    const load = await loading
    if (hurried) throw new Error(`the load ended after ${times.length} of ${reloads} reloads`)
    await checkInForce(running, reloads)
    const settled = memory.slice(Math.floor(reloads * SETTLING))
    const sampled = Math.max(1, Math.floor(reloads * SAMPLED))
    return {
      reloads,
      medianMs: median(times) ?? 0,
      slowestMs: Math.max(...times),
      messages: load.published,
      perSecond: load.published / load.seconds,
      p99Us: load.latencyUs.p99,
      faults: Object.values(load.faults).reduce((sum, count) => sum + count, 0),
      firstFault: load.firstFault,
      rssBeforeKb: median(settled.slice(0, sampled)) ?? 0,
      rssAfterKb: median(settled.slice(-sampled)) ?? 0,
    }
  } finally {
    await site.remove()
  }
}

/** Keys of the configuration that every reload changes. */
const CHANGED = ['principals', 'subscriptions', 'limits.connections', 'limits.filters', 'logger.level']

async function reload(socket: string): Promise<void> {
  const answer = JSON.parse(await askControl(socket, 'POST', '/v1/reload')) as ReloadAnswer
  if (!answer.ok) throw new Error(`refused: ${answer.problems.join('; ')}`)
  const missing = CHANGED.filter(key => !answer.changed.includes(key))
  if (missing.length > 0) throw new Error(`a reload did not change ${missing.join(', ')}`)
}

async function generateLoad(target: Target, reloads: number, rate: number) {
  const result = await generate({
    target,
    work: {
      kind: 'load',
      publishers: 10,
      subscribers: 10,
      topics: 10,
      topic: 'bench/%d',
      filter: 'bench/%d',
      qos: 1,
      size: 64,
      window: 1000,
      rate,
      warmupMs: WARMUP_MS,
      // Room for reloads that take longer than their step.
      durationMs: reloads * STEP_MS * 1.6 + 2000,
      stallMs: 5000,
    },
  })
  if (result.kind !== 'load') throw new Error('only a load can be reloaded under')
  return result
}

/**
 * What stands in the file for this reload, behind the principals: another permission of the load's own principal, another
 * principal, other rules, other limits, another log level.
 */
function changes(number: number): string {
  const rules = Array.from({ length: RULES }, (_, rule) => {
    const source = `dev/${number}/${rule}/+`
    return `  - { source: { topic: '${source}', qos: 1 }, target: { topic: 'copy/${number}/${rule}/{1}', qos: 1 } }`
  })
  const lines = [
    `      - { action: sub, permit: [ 'news/${number}' ] }`,
    `  - { username: guest${number}, password: guest, permissions: [ { action: sub, permit: [ 'guests/#' ] } ] }`,
    'subscriptions:',
    `  - { source: { topic: 'dev/probe' }, target: { topic: 'copy/reload/${number}' } }`,
    ...rules,
    CONTROL,
    `limits: { connections: ${10_000 + number}, filters: ${1000 + number} }`,
    `logger: { level: ${number % 2 === 0 ? 'error' : 'warn'} }`,
  ]
  return `${lines.join('\n')}\n`
}

/** The rules of the last reload are the ones that count. */
async function checkInForce({ target }: BrokerProcess, reloads: number): Promise<void> {
  const copies = await copiesOf(target, 'dev/probe', 1)
  const expected = `copy/reload/${reloads}`
  if (copies.join() !== expected)
    throw new Error(`not in force after the last reload: ${expected}, got ${copies.join()}`)
}
