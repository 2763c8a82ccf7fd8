/** The configuration files of what takes part, as lines. */
import type { Sync } from '../e2e/brokers.ts'
import type { Credentials } from '../e2e/load/packets.ts'

/** `out`: from the hub to the remote; `in`: from the remote to the hub. */
export type Direction = 'out' | 'in'

export const BENCH: Credentials = { username: 'bench', password: 'bench' }
const BRIDGE: Credentials = { username: 'bridge', password: 'bridge' }

/** What all brokers and bridges have in flight to one client. */
export const WINDOW = 100

export interface BridgeRule {
  name: string
  /** The number of its remote. */
  remote: number
  filters: Readonly<Partial<Record<Direction, string>>>
}

export interface BridgeSetup {
  hubPort: number
  /** The port of each remote. */
  remotePorts: readonly number[]
  rules: readonly BridgeRule[]
  qos: number
  /** Further keys of each remote. */
  remoteKeys?: readonly string[]
}

export interface HubSetup {
  ports: readonly number[]
  directory: string
  sync: Sync
}

/** A hub as it comes, with a principal for the load and one for the bridge. */
export function hubLines({ ports, directory, sync }: HubSetup): string[] {
  return [
    `listen: [ ${ports.map(port => `'tcp://127.0.0.1:${port}'`).join(', ')} ]`,
    `storage: { dir: '${directory}', sync: ${sync} }`,
    'principals:',
    ...principalLines(BENCH, ['bench/#']),
    ...principalLines(BRIDGE, ['bench/#', '$SYS/bridge/#']),
  ]
}

function principalLines({ username, password }: Credentials, publishes: readonly string[]): string[] {
  return [
    `  - username: ${username}`,
    `    password: ${password}`,
    '    permissions:',
    `      - { action: pub, permit: [ ${publishes.map(topic => `'${topic}'`).join(', ')} ] }`,
    "      - { action: sub, permit: [ 'bench/#' ] }",
  ]
}

/** Our bridge, with a window as large as that of the hub. */
export function bridgeLines({ hubPort, remotePorts, rules, qos, remoteKeys = [] }: BridgeSetup): string[] {
  const client = (port: number): string[] => [
    `address: tcp://127.0.0.1:${port}`,
    `username: ${BRIDGE.username}`,
    `password: ${BRIDGE.password}`,
    `buffersize: ${WINDOW}`,
  ]
  const subscriptions = (filter: string | undefined): string =>
    filter === undefined ? '[]' : `[ { topic: '${filter}', qos: ${qos} } ]`
  return [
    'hub:',
    ...client(hubPort).map(line => `  ${line}`),
    'remotes:',
    ...remotePorts.flatMap((port, remote) => [
      `  - name: remote${remote}`,
      ...[...client(port), ...remoteKeys].map(line => `    ${line}`),
    ]),
    'rules:',
    ...rules.flatMap(({ name, remote, filters }) => [
      `  - name: ${name}`,
      `    hub: { clientid: ${name}-hub, subscriptions: ${subscriptions(filters.out)} }`,
      `    remote: { name: remote${remote}, clientid: ${name}-remote, subscriptions: ${subscriptions(filters.in)} }`,
    ]),
  ]
}

/** A mosquitto that stores nothing and writes at once, with bridges if there are any. */
export function mosquittoLines(port: number, bridges: readonly MosquittoBridge[], isRoot: boolean): string[] {
  return [
    `listener ${port} 127.0.0.1`,
    'allow_anonymous true',
    'persistence false',
    `max_inflight_messages ${WINDOW}`,
    'max_queued_messages 0',
    'set_tcp_nodelay true',
    'log_dest stderr',
    'log_type error',
    'log_type warning',
    // Started by root it would change to a user of its own, which is no part of the comparison.
    ...(isRoot ? ['user root'] : []),
    ...bridges.flatMap(bridgeConnectionLines),
  ]
}

export interface MosquittoBridge {
  name: string
  port: number
  filter: string
  direction: Direction
  qos: number
}

function bridgeConnectionLines({ name, port, filter, direction, qos }: MosquittoBridge): string[] {
  return [
    `connection ${name}`,
    `address 127.0.0.1:${port}`,
    `topic ${filter} ${direction} ${qos}`,
    `remote_clientid ${name}-remote`,
    `remote_username ${BRIDGE.username}`,
    `remote_password ${BRIDGE.password}`,
    'cleansession false',
    'notifications false',
    'try_private false',
    'bridge_protocol_version mqttv311',
  ]
}

/** What the bridge of peers/forwarder.mjs is told. */
export interface ForwarderJob extends Credentials {
  sourcePort: number
  sinkPort: number
  filter: string
  qos: number
}

export function forwarderJob(sourcePort: number, sinkPort: number, filter: string, qos: number): ForwarderJob {
  return { ...BRIDGE, sourcePort, sinkPort, filter, qos }
}
