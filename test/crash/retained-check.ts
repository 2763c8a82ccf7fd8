import { setTimeout as sleep } from 'node:timers/promises'
import type { PacketOf } from '../support/packets.ts'
import { Reader } from './bystanders.ts'
import type { World } from './client.ts'
import { decodePayload, type Stream } from './stream.ts'
import { until } from './wait.ts'

const PATIENCE_MS = 5000
/** Behind the last message that has to come, for one that must not. */
const AFTERMATH_MS = 60

/** What may be retained of a topic whose messages up to `acknowledged` are acknowledged. */
interface Expected {
  readonly stream: Stream
  readonly acknowledged: number
}

/**
 * Subscribes to the retained messages and compares them with what was acknowledged before: each topic has the last
 * acknowledged value or a newer one, and a topic that was cleared has none. A kill in between ends it without a verdict.
 */
export async function checkRetained(filter: string, streams: readonly Stream[], world: World): Promise<void> {
  const { broker, ledger } = world
  const start = broker.starts
  const got = new Map<string, PacketOf<'publish'>>()
  const reader = new Reader(`reader-${ledger.tick()}`, filter, message => void got.set(message.topic, message), world)
  const expected: Expected[] = streams.map(stream => ({ stream, acknowledged: stream.highestAcknowledged }))
  const isOver = (): boolean => broker.starts !== start || !broker.isRunning
  reader.goOnline()
  await until(() => isOver() || expected.every(one => got.has(one.stream.topic) || mayBeAbsent(one)), PATIENCE_MS)
  await sleep(AFTERMATH_MS)
  reader.goOffline(false)
  if (isOver() || reader.connections === 0) return
  for (const one of expected) {
    const problem = problemOf(one, got.get(one.stream.topic))
    if (problem !== null) ledger.violation('retained', `${one.stream.topic} ${problem}`)
  }
}

/** Sent since, they may have been stored and not acknowledged. */
function newest(stream: Stream): number {
  return stream.length - 1
}

function mayBeAbsent({ stream, acknowledged }: Expected): boolean {
  if (acknowledged < 0 || stream.isClear(acknowledged)) return true
  return stream.clears && newest(stream) > acknowledged
}

function problemOf(one: Expected, message: PacketOf<'publish'> | undefined): string | null {
  const { stream, acknowledged } = one
  if (message === undefined) return mayBeAbsent(one) ? null : `${acknowledged} was acknowledged and none is retained`
  if (message.payload.length === 0) return null // a live message that clears
  const decoded = decodePayload(message.payload)
  if (decoded?.stream !== stream.index || decoded.number > newest(stream)) return 'has what nobody published'
  if (decoded.number >= acknowledged) return null
  return `has ${decoded.number} and ${acknowledged} was acknowledged`
}
