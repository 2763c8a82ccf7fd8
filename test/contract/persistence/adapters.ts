// The stores that a hub may stand on, and what each is known not to do.
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { ClassicLevel } from 'classic-level'
import type { HubOptions } from '../../../src/broker/index.ts'
import { memoryPersistence } from '../aedes/plugins.ts'

/** Behaviours that not every store has. All others hold for all. */
export type Optional =
  | 'a session without subscriptions'
  | 'messages for a QoS 0 subscription'
  | 'overlapping filters in the life of the hub that took them'
  | 'retained topics with empty levels'

export interface Adapter {
  readonly name: string
  /** What the store does not do -> why. */
  readonly lacks: Readonly<Partial<Record<Optional, string>>>
  /** Its state lies on disk: a hub's process may be killed, and the next one finds it. */
  readonly outlivesProcess: boolean
  /** State that is empty yet and lies below this directory, unless it lies in memory. */
  state(dir: string): State
}

/** What outlives a hub. */
export interface State {
  /** For one hub at a time; release it when that hub is closed. */
  open(): Promise<OpenState>
}

interface OpenState {
  readonly options: HubOptions
  release(): Promise<void>
}

const require = createRequire(import.meta.url)
const levelPersistence = require('aedes-persistence-level') as (db: ClassicLevel) => object

/** How soon hubs on plugged stores notice that another hub has died. Milliseconds. */
const HEARTBEAT_MS = 20

const memory: Adapter = {
  name: 'aedes-persistence',
  lacks: {
    'a session without subscriptions': 'the interface knows a client by its subscriptions and messages alone',
    'messages for a QoS 0 subscription': 'the interface finds and stores for subscriptions of QoS 1 and 2 only',
    'retained topics with empty levels': 'a wildcard of its topic index does not match an empty level',
  },
  outlivesProcess: false,
  state() {
    const persistence = memoryPersistence()
    return {
      open: async () => ({
        options: { persistence, heartbeatInterval: HEARTBEAT_MS },
        release: async () => {},
      }),
    }
  },
}

/** Its keys sort by the hub's id, then by the message's number: a hub's successor needs an id that sorts behind. */
const laterId = (): string => `hub-${(performance.timeOrigin + performance.now()).toFixed(3)}`

const level: Adapter = {
  name: 'aedes-persistence-level',
  lacks: {
    'a session without subscriptions': 'the interface knows a client by its subscriptions and messages alone',
    'messages for a QoS 0 subscription': 'the interface finds and stores for subscriptions of QoS 1 and 2 only',
    'overlapping filters in the life of the hub that took them':
      'its index takes a filter for a topic: a new filter removes those of the same client that match it, until it is read anew',
  },
  outlivesProcess: true,
  state: dir => ({
    open: async () => {
      const db = new ClassicLevel(join(dir, 'level'))
      await db.open()
      return {
        options: { persistence: levelPersistence(db), heartbeatInterval: HEARTBEAT_MS, id: laterId() },
        release: () => db.close(),
      }
    },
  }),
}

const own: Adapter = {
  name: 'the store of the hub',
  lacks: {},
  outlivesProcess: true,
  state: dir => ({
    open: async () => ({
      options: { storage: { dir: join(dir, 'store'), sync: 'never' } },
      release: async () => {},
    }),
  }),
}

export const adapters: readonly Adapter[] = [memory, level, own]
