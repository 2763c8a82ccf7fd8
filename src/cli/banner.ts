import { formatDuration } from '../common/index.ts'
import type { HubConfig } from '../config/index.ts'

/** Where the hub stores, as people typed it; or why it stores nothing. */
export type StoreNote =
  | ({ readonly dir: string } & Pick<HubConfig['storage'], 'sync' | 'intervalMs'>)
  /** `flag`: --memory. `config`: an empty storage.dir. `nowhere`: neither a configuration nor a work directory. */
  | { readonly because: 'flag' | 'config' | 'nowhere' }

export interface Started {
  readonly version: string
  /** As bound, with the real ports. */
  readonly urls: readonly string[]
  /** How this program was called. */
  readonly program: string
  readonly store: StoreNote
}

/** What a hub says at its start that was configured. */
export function configuredBanner({ version, urls, program, store }: Started, file: string): string {
  const listen = urls.length === 0 ? ['  nothing: no listen in the configuration'] : urls.map(url => `  ${url}`)
  const title = `OpenEdge ${version} hub, configured by ${file}, listens on`
  return [title, ...listen, storeNote(store, program)].join('\n')
}

/** What a hub without configuration says: what is open, how to try it, what is kept, how to secure it. */
export function openBanner({ version, urls, program, store }: Started): string {
  const tcp = urls.find(url => url.startsWith('tcp:'))
  const ws = urls.find(url => url.startsWith('ws:'))
  const port = tcp === undefined ? '1883' : new URL(tcp).port
  return `OpenEdge ${version} hub, without a configuration file, listens on
${urls.map(url => `  ${url}`).join('\n')}
Open: every program on this machine may publish and subscribe to every topic. Other machines can't connect.
${storeNote(store, program)}

Try it, in two other terminals:
  mosquitto_sub -h 127.0.0.1 -p ${port} -t 'test/#' -v
  mosquitto_pub -h 127.0.0.1 -p ${port} -t test/hello -m hi
or with MQTT.js (npm install mqtt) over a WebSocket:
  node -e "const c = require('mqtt').connect('${ws}'); c.publish('test/hello', 'hi', () => c.end())"

Watch it:
  ${program} hub top    what it does, each second
  mosquitto_sub -h 127.0.0.1 -p ${port} -t '$SYS/#' -v

Secure it, before it listens on a network:
  ${program} passwd alice    hashes a password and prints a principal
  ${program} certs           makes certificates for ssl:// and wss://
Both go into etc/openedge/service.yml, as README.md shows step by step.

Ctrl+C stops the hub.`
}

function storeNote(store: StoreNote, program: string): string {
  if (!('dir' in store)) {
    const note = 'In memory: nothing survives a stop, neither sessions nor queued or retained messages'
    if (store.because === 'flag') return `${note} (--memory).`
    if (store.because === 'config') return `${note} (storage.dir is empty).`
    return `${note}.\n  ${program} hub -w DIR    keeps them on disk, below the folder DIR`
  }
  const where = `Stored in ${store.dir} (sync: ${store.sync})`
  if (store.sync === 'always') return `${where}: what is acknowledged survives a stop, a crash and a power cut.`
  const loss = store.sync === 'interval' ? `the last ${formatDuration(store.intervalMs)}` : 'the last seconds'
  return `${where}: what is acknowledged survives a stop and a crash; a power cut may take ${loss} of it.`
}
