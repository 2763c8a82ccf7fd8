/**
 * The fault test of bridges. `npm run test:bridge -- --help` tells its options. Exit code 1: a message was lost or something
 * else was found wrong.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { Random } from '../crash/random.ts'
import { type FaultKind, FULL_COUNTS } from './plan.ts'
import { type BridgeKind, type BrokerKind, PROGRAM } from './programs.ts'
import { findingsOf, summaryOf } from './report.ts'
import { Stage } from './stage.ts'

const HELP = `Sends messages through a bridge in both directions, ends the bridge and both brokers with SIGKILL at random moments,
cuts the network, and looks whether everything that was acknowledged has arrived, in order.

  --minutes N               how long messages flow (default 10)
  --scale N                 times the faults of ten minutes: 20 x remote, 5 x hub, 10 x bridge killed, 2 x network cut,
                            3 x half-open (default: minutes / 10; at least one of each)
  --cut S                   seconds that a cut network stays cut (default 30)
  --remote hub|mosquitto    the broker at the other side (default hub). Mosquitto forgets what it acknowledged when it is
                            killed, so it is ended with SIGTERM
  --bridge own|mosquitto    mosquitto: as a bridge between both; what it loses shows that losses are found (default own)
  --bridge-signal SIGNAL    SIGKILL or SIGTERM (default SIGKILL)
  --rate N                  messages per second and direction at QoS 1 (default 200)
  --rate-qos2 N             the same at QoS 2 (default 40)
  --delay N                 milliseconds that the way to the remote takes (default 0)
  --seed N                  repeats the decisions of a run (or SEED)
  --program FILE            another build than dist/cli/main.js
  --keep                    leave configuration, data and logs behind even when all is well, and tell where
`

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      minutes: { type: 'string', default: '10' },
      scale: { type: 'string' },
      cut: { type: 'string', default: '30' },
      remote: { type: 'string', default: 'hub' },
      bridge: { type: 'string', default: 'own' },
      'bridge-signal': { type: 'string', default: 'SIGKILL' },
      rate: { type: 'string', default: '200' },
      'rate-qos2': { type: 'string', default: '40' },
      delay: { type: 'string', default: '0' },
      seed: { type: 'string', default: process.env['SEED'] ?? String(Date.now() % 1_000_000) },
      program: { type: 'string', default: PROGRAM },
      keep: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) {
    process.stdout.write(HELP)
    return 0
  }
  const minutes = number('minutes', values.minutes)
  const scale = values.scale === undefined ? minutes / 10 : number('scale', values.scale)
  const seed = number('seed', values.seed)
  const counts = Object.fromEntries(
    Object.entries(FULL_COUNTS).map(([kind, count]) => [kind, Math.max(1, Math.round(count * scale))]),
  ) as Record<FaultKind, number>
  const dir = mkdtempSync(join(tmpdir(), 'openedge-bridge-faults-'))
  console.log(`fault test of bridges: ${minutes} minutes, SEED=${seed}, ${dir}`)
  const outcome = await Stage.run({
    dir,
    program: values.program,
    bridge: oneOf<BridgeKind>('bridge', values.bridge, ['own', 'mosquitto']),
    remote: oneOf<BrokerKind>('remote', values.remote, ['hub', 'mosquitto']),
    bridgeSignal: oneOf('bridge-signal', values['bridge-signal'], ['SIGKILL', 'SIGTERM']),
    seconds: minutes * 60,
    counts,
    cutMs: number('cut', values.cut) * 1000,
    rate: number('rate', values.rate),
    rateQos2: number('rate-qos2', values['rate-qos2']),
    delayMs: number('delay', values.delay),
    stillMs: 15_000,
    random: new Random(seed),
    log: line => console.log(line),
  })
  console.log(`\n${summaryOf(outcome)}\n`)
  const findings = findingsOf(outcome)
  for (const line of findings) console.log(line)
  if (findings.length === 0) console.log('nothing was lost')
  else console.log(`SEED=${seed} repeats the decisions of the run`)
  if (findings.length > 0 || values.keep) console.log(`logs and data are in ${dir}`)
  else rmSync(dir, { recursive: true, force: true })
  return findings.length === 0 ? 0 : 1
}

function number(name: string, text: string): number {
  const value = Number(text)
  if (text.trim() === '' || !Number.isFinite(value) || value < 0)
    throw new Error(`--${name} takes a number, not ${text}`)
  return value
}

function oneOf<T extends string>(name: string, text: string, words: readonly T[]): T {
  const found = words.find(word => word === text)
  if (found === undefined) throw new Error(`--${name} is one of ${words.join(', ')}; not ${text}`)
  return found
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130))
process.exitCode = await main()
