// The plug-ins of aedes as tests use them: the in-memory ones, watched or made to fail.
import { createRequire } from 'node:module'

/** What aedes calls a persistence; only the methods that tests call themselves are told apart. */
export interface Persistence {
  setup(broker: unknown): Promise<void>
  subscriptionsByClient(client: { id: string }): Promise<{ topic: string; qos: number }[]>
  getWill(client: { id: string }): Promise<{ topic: string } | undefined>
  incomingGetPacket(client: { id: string }, packet: { messageId: number }): Promise<unknown>
}

/** What aedes calls an mq. */
export interface Queue {
  on(topic: string, listener: (packet: { topic: string }, done: () => void) => void, done?: () => void): this
  emit(packet: object, done?: (error?: Error) => void): this
  removeListener(topic: string, listener: unknown, done?: () => void): this
  close(done?: () => void): this
}

const require = createRequire(import.meta.url)

/** The persistence that aedes uses when it is given none. */
export function memoryPersistence(): Persistence {
  const make = require('aedes-persistence') as () => Persistence
  return make()
}

/** The mq that aedes uses when it is given none. */
export function memoryQueue(): Queue {
  const make = require('mqemitter') as (options: object) => Queue
  return make({ concurrency: 100, matchEmptyLevels: true })
}

/** One call of a method of a plug-in. */
export interface Call {
  method: string
  values: unknown[]
}

type Method = (...values: unknown[]) => unknown

/** The same plug-in, with each of its methods passed through `wrap`. */
function wrapped<T extends object>(target: T, wrap: (method: string, original: Method) => Method): T {
  return new Proxy(target, {
    get(inner, property) {
      const value: unknown = Reflect.get(inner, property, inner)
      if (typeof value !== 'function') return value
      const method = wrap(String(property), (...values) => Reflect.apply(value, inner, values))
      // aedes wants setup to be an async function by its kind, not only by its result.
      return property === 'setup' ? async (...values: unknown[]) => await method(...values) : method
    },
  })
}

/** Writes down every call of a plug-in. Arguments are copied: packets go on changing afterwards. */
export function watched<T extends object>(target: T): { plugin: T; calls: Call[] } {
  const calls: Call[] = []
  const plugin = wrapped(target, (method, original) => (...values) => {
    calls.push({ method, values: values.map(copy) })
    return original(...values)
  })
  return { plugin, calls }
}

/** Lets one method of a plug-in reject from the moment that `failing.now` is true. */
export function failing<T extends object>(
  target: T,
  name: string,
  error: Error,
): { plugin: T; switch: { on: boolean } } {
  const state = { on: false }
  const plugin = wrapped(target, (method, original) => (...values) => {
    if (method === name && state.on) return Promise.reject(error)
    return original(...values)
  })
  return { plugin, switch: state }
}

function copy(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(copy)
  if (Object.prototype.toString.call(value) !== '[object Object]' || typeof value !== 'object') return value
  return value !== null && 'conn' in value ? value : { ...value }
}

/** The calls of one method. */
export function callsOf(calls: Call[], method: string): unknown[][] {
  return calls.filter(call => call.method === method).map(call => call.values)
}
