import type { BrokerName, BrokerSetup, Sync } from '../e2e/brokers.ts'

/** A broker and how it is set up to store. */
export interface Variant {
  name: string
  broker: BrokerName
  setup: BrokerSetup
  /** How long after a change it may be unsaved though acknowledged: what wants to find it saved waits so long. */
  saveDelayMs: number
}

/** mosquitto compares whole seconds, so that its autosave comes up to a second late; then it takes its time. */
const AUTOSAVE_MARGIN_MS = 2000

/** Limits that no measurement reaches, so that nothing is dropped. */
export interface Room {
  /** Messages of one queue, with a payload of less than a kilobyte. */
  messages: number
  /** Retained topics. */
  retained: number
}

export function oursWith(sync: Sync, { messages, retained }: Room): Variant {
  const hub = [`queue: { max: { messages: ${messages}, bytes: ${messages}k } }`]
  if (retained > 0) hub.push(`limits: { retained: { count: ${retained}, bytes: ${retained}k } }`)
  return { name: `ours, sync ${sync}`, broker: 'ours', setup: { sync, hub }, saveDelayMs: 0 }
}

/** With the time between two saves in seconds; null for its default, half an hour. */
export function mosquittoWith(autosaveSeconds: number | null): Variant {
  const mosquitto = ['max_queued_messages 0', 'max_queued_bytes 0']
  if (autosaveSeconds !== null) mosquitto.push(`autosave_interval ${autosaveSeconds}`)
  const saveDelayMs = autosaveSeconds === null ? 0 : autosaveSeconds * 1000 + AUTOSAVE_MARGIN_MS
  const name = autosaveSeconds === null ? 'mosquitto' : `mosquitto, autosave ${autosaveSeconds} s`
  return { name, broker: 'mosquitto', setup: { sync: 'interval', mosquitto }, saveDelayMs }
}
