import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { text } from 'node:stream/consumers'
import { BrokerSite } from '../e2e/broker-site.ts'
import { pinned } from '../e2e/pinning.ts'
import { untilConnack } from '../store/restart.ts'
import { ruleLines } from './rule-lines.ts'

export interface StartResult {
  rules: number
  /** From the start of `openedge check` to its end. */
  checkMs: number
  /** From the start of the hub to its first CONNACK. */
  readyMs: number
}

const OPENEDGE = resolve(import.meta.dirname, '../../dist/cli/main.js')
const LIMIT_MS = 60_000

/** How long a hub with so many rules takes to start. */
export async function measureStart(rules: number): Promise<StartResult> {
  const lines = rules === 0 ? [] : ruleLines(rules, 10)
  const checkMs = await timeCheck(lines)
  const site = await BrokerSite.make('ours', { hub: lines })
  try {
    const start = performance.now()
    await untilConnack(site.launch(), LIMIT_MS)
    return { rules, checkMs, readyMs: performance.now() - start }
  } finally {
    await site.remove()
  }
}

async function timeCheck(lines: readonly string[]): Promise<number> {
  const directory = mkdtempSync(join(tmpdir(), 'bench-check-'))
  try {
    const path = join(directory, 'service.yml')
    writeFileSync(path, `${lines.join('\n')}\n`)
    const [file, ...args] = pinned('broker', [process.execPath, OPENEDGE, 'check', '-w', directory, path])
    const start = performance.now()
    const child = spawn(file as string, args, { stdio: ['ignore', 'ignore', 'pipe'] })
    const [stderr] = await Promise.all([text(child.stderr), once(child, 'close')])
    if (child.exitCode !== 0) throw new Error(`openedge check ended with ${child.exitCode}: ${stderr.slice(0, 300)}`)
    return performance.now() - start
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}
