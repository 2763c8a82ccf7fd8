import { freePort, freePorts } from '../e2e/broker-site.ts'
import type { Sync } from '../e2e/brokers.ts'
import { startBridge, startHub } from './chains.ts'
import { BENCH } from './configs.ts'
import type { Chain } from './load/job.ts'
import { endpoint, type Stage } from './stage.ts'

/** What the last remote does: it works, refuses connections, or takes them and says nothing. */
export const deadRemotes = ['none', 'refusing', 'silent'] as const
export type DeadRemote = (typeof deadRemotes)[number]

export const REMOTES = 20

/** Attempts come as often as is allowed, and give up soon. */
const EAGER = ['timeout: 1s', 'interval: 1s']

/** A rule for each of 20 remotes, which are listeners of one hub, but for the last one if it is dead. */
export async function openRemotes(stage: Stage, dead: DeadRemote, sync: Sync): Promise<Chain> {
  const [hubPort = 0, ...ports] = await freePorts(1 + (dead === 'none' ? REMOTES : REMOTES - 1))
  const hub = await startHub(stage, 'hub', [hubPort], sync)
  const remote = await startHub(stage, 'remote', ports, sync)
  if (dead === 'refusing') ports.push(await freePort())
  if (dead === 'silent') ports.push(await stage.silentPort())
  const { pid } = await startBridge(stage, {
    hubPort,
    remotePorts: ports,
    rules: ports.map((_, number) => ({ name: `rule${number}`, remote: number, filters: { out: `bench/${number}/#` } })),
    qos: 1,
    remoteKeys: EAGER,
  })
  return {
    source: endpoint(hubPort, BENCH),
    sink: endpoint(ports[0] as number, BENCH),
    forwarder: pid,
    brokers: [hub.pid, remote.pid],
  }
}
