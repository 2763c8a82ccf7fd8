/** The short version of the fault test of bridges: `npm run test:bridge` is the long one. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { PROGRAM } from '../bridge/programs.ts'
import { findingsOf, summaryOf } from '../bridge/report.ts'
import { Stage } from '../bridge/stage.ts'
import { Random } from '../crash/random.ts'

const SEED = Number(process.env['SEED'] ?? Date.now() % 1_000_000)
const SECONDS = 50

test('both brokers, the bridge and the network fail, and nothing is lost', { timeout: 240_000 }, async t => {
  const dir = mkdtempSync(join(tmpdir(), 'openedge-bridge-faults-'))
  t.diagnostic(`SEED=${SEED}`)
  const outcome = await Stage.run({
    dir,
    program: PROGRAM,
    bridge: 'own',
    remote: 'hub',
    bridgeSignal: 'SIGKILL',
    seconds: SECONDS,
    counts: { 'remote killed': 4, 'hub killed': 2, 'bridge killed': 3, 'network cut': 1, 'half-open': 1 },
    cutMs: 3000,
    rate: 200,
    rateQos2: 40,
    delayMs: 0,
    stillMs: 10_000,
    random: new Random(SEED),
    log: () => {},
  })
  const findings = findingsOf(outcome)
  for (const line of summaryOf(outcome).split('\n')) t.diagnostic(line)
  assert.deepEqual(findings, [], `SEED=${SEED}; logs and data are in ${dir}\n${findings.join('\n')}`)
  assert.equal(outcome.faults.length, 11, 'every fault came')
  const least = 0.7 * SECONDS * 200
  for (const direction of ['out', 'in'] as const) {
    const arrived = outcome.ledger.of('q1', direction).reduce((sum, stream) => sum + stream.arrived, 0)
    assert.ok(arrived > least, `${arrived} messages went ${direction}, more than ${least} were to go`)
  }
  rmSync(dir, { recursive: true, force: true })
})
