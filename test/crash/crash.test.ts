/** The short version of the crash test: `npm run test:crash` is the long one. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite, type TestContext, test } from 'node:test'
import { runDiskFull } from './disk-full.ts'
import { runFailingSync } from './failing-sync.ts'
import { runPlain, type TrialOptions } from './plain.ts'
import { runPowerCut } from './power-cut.ts'
import { Random } from './random.ts'
import { findingsOf, violationsOf } from './report.ts'
import type { Outcome } from './stage.ts'

const SEED = Number(process.env['SEED'] ?? Date.now() % 1_000_000)
/** Messages per second. */
const RATE = 400

type Run = (options: TrialOptions) => Promise<Outcome | string>

/** Null when the machine can't do it; the test is then skipped. */
async function play(t: TestContext, run: Run, options: Partial<TrialOptions>): Promise<Outcome | null> {
  const dir = mkdtempSync(join(tmpdir(), 'openedge-crash-'))
  t.diagnostic(`SEED=${SEED}`)
  try {
    const random = new Random(SEED).fork(t.name)
    const outcome = await run({
      rounds: 2,
      random,
      rate: RATE,
      broker: { kind: 'hub' },
      dir,
      log: () => {},
      ...options,
    })
    if (typeof outcome !== 'string') return outcome
    t.skip(outcome)
    return null
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
}

async function keepsItsPromises(t: TestContext, run: Run, rounds: number): Promise<void> {
  const outcome = await play(t, run, { rounds })
  if (outcome === null) return
  assert.ok(outcome.delivered > 0, 'messages are delivered')
  assert.equal(violationsOf(outcome), 0, `SEED=${SEED}\n${findingsOf(outcome).join('\n')}`)
}

suite('what is acknowledged is stored', { concurrency: true }, () => {
  test('the hub is killed', t => keepsItsPromises(t, runPlain, 3))

  test('the hub is killed and what it has not synced is lost', t => keepsItsPromises(t, runPowerCut, 2))

  test('the disk is full', t => keepsItsPromises(t, runDiskFull, 2))

  test('fsync fails', t => keepsItsPromises(t, runFailingSync, 2))

  test('a hub without a store is found to lose messages, sessions and retained values', async t => {
    const outcome = await play(t, runPlain, { rounds: 1, broker: { kind: 'memory' }, stillMs: 500 })
    assert.ok(outcome !== null, 'needs nothing that a machine may not have')
    for (const kind of ['lost', 'session', 'retained'] as const) {
      assert.ok((outcome.violations.get(kind) ?? 0) > 0, `${kind} is found`)
    }
  })
})
