// A measurement of what is stored that overlooks a loss would praise a store that loses.
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { measureFsync } from '../../../bench/e2e/fsync-time.ts'
import { Client, ReadSpace } from '../../../bench/e2e/load/client.ts'
import { connectPacket, publishPacket } from '../../../bench/e2e/load/packets.ts'
import { retainedPayload, retainedTopic } from '../../../bench/e2e/load/retained-topics.ts'
import { Sender } from '../../../bench/e2e/load/sender.ts'
import { Tally } from '../../../bench/e2e/load/tally.ts'
import type { BacklogResult, Phase } from '../../../bench/store/backlog.ts'
import { judge } from '../../../bench/store/bounds.ts'
import { diskUsage } from '../../../bench/store/disk-usage.ts'
import { Collector } from '../../../bench/store/load/collector.ts'
import { follow, reach } from '../../../bench/store/load/follow.ts'
import { Publishing } from '../../../bench/store/load/publishing.ts'
import { RetainedCollector } from '../../../bench/store/load/retained-collector.ts'
import { parseOptions } from '../../../bench/store/options.ts'
import { startFaultyRelay } from './faulty-relay.ts'

const RUN = 0xcafe0001
const HEADER_BYTES = 2

/** A sender that has sent so many messages over three topics, and the packet of each. */
function sent(count: number): { sender: Sender; packets: Buffer[] } {
  const topics = ['bench/0', 'bench/1', 'bench/2'].map(name => ({ name, receivers: 0 }))
  const sender = new Sender({ run: RUN, publisher: 0, topics, qos: 1, size: 64, window: 6 }, new Tally(), [])
  const packets: Buffer[] = []
  for (let number = 0; number < count; number++) {
    sender.make(0)
    packets.push(...sender.takeUnwritten().map(bytes => Buffer.from(bytes)))
    sender.puback((number % sender.slots) + 1)
  }
  return { sender, packets }
}

function give(collector: Pick<Collector, 'publish'> | RetainedCollector, packet: Buffer): void {
  const view = new DataView(packet.buffer, packet.byteOffset, packet.length)
  collector.publish(packet[0] as number, packet, view, HEADER_BYTES, packet.length)
}

describe('Collector', () => {
  test('takes every message in order, however often the ring came round', () => {
    const { sender, packets } = sent(100)
    const collector = new Collector(sender, RUN)
    for (const packet of packets) give(collector, packet)
    assert.equal(collector.arrived, 100)
    assert.equal(collector.missing(100), 0)
    assert.ok(collector.isFaultless, 'no fault')
  })

  test('a second delivery with DUP is no fault of the flags, but counts as a duplicate', () => {
    const { sender, packets } = sent(1)
    const collector = new Collector(sender, RUN)
    const again = Buffer.from(packets[0] as Buffer)
    again[0] = (again[0] as number) | 8
    give(collector, packets[0] as Buffer)
    give(collector, again)
    assert.deepEqual(collector.faults, { duplicates: 1, disordered: 0, wrong: 0 })
    assert.equal(collector.arrived, 1)
  })

  test('counts what is missing below a number only', () => {
    const { sender, packets } = sent(10)
    const collector = new Collector(sender, RUN)
    for (const number of [0, 1, 3, 4, 8]) give(collector, packets[number] as Buffer)
    assert.equal(collector.missing(5), 1)
    assert.equal(collector.missing(10), 5)
    assert.ok(collector.isFaultless, 'a gap alone is no fault of what came')
  })

  test('sees a message that comes late', () => {
    const { sender, packets } = sent(3)
    const collector = new Collector(sender, RUN)
    for (const number of [0, 2, 1]) give(collector, packets[number] as Buffer)
    assert.deepEqual(collector.faults, { duplicates: 0, disordered: 1, wrong: 0 })
    assert.equal(collector.missing(3), 0)
  })

  const spoilt: [string, (packet: Buffer) => void][] = [
    ['a changed payload', packet => packet.writeUInt8((packet.at(-1) as number) ^ 1, packet.length - 1)],
    ['another topic', packet => packet.writeUInt8((packet[10] as number) ^ 1, 10)],
    ['another QoS', packet => packet.writeUInt8(0x34, 0)],
    ['RETAIN', packet => packet.writeUInt8(0x33, 0)],
  ]
  for (const [what, spoil] of spoilt) {
    test(`sees ${what}`, () => {
      const { sender, packets } = sent(2)
      const collector = new Collector(sender, RUN)
      spoil(packets[1] as Buffer)
      for (const packet of packets) give(collector, packet)
      assert.deepEqual(collector.faults, { duplicates: 0, disordered: 0, wrong: 1 })
      assert.equal(collector.missing(2), 1)
    })
  }

  test('of a session with a share sees messages of another session', () => {
    const { sender, packets } = sent(12)
    const collector = new Collector(sender, RUN, { first: 1, step: 3 })
    for (const number of [1, 4, 7, 10]) give(collector, packets[number] as Buffer)
    assert.equal(collector.missing(12), 0)
    assert.ok(collector.isFaultless, 'its own four')
    give(collector, packets[5] as Buffer)
    assert.equal(collector.faults.wrong, 1)
  })
})

test('a CONNECT asks for a kept session or a clean one', () => {
  const flagsOf = (cleanSession: boolean) => connectPacket({ clientId: 'a', credentials: null, cleanSession })[9]
  assert.deepEqual([flagsOf(true), flagsOf(false)], [0x02, 0])
})

test('RetainedCollector counts each topic once and sees what is wrong', () => {
  const packetOf = (number: number, payload = retainedPayload(number), retain = true): Buffer =>
    publishPacket({ topic: retainedTopic(number), payload: Buffer.from(payload), qos: 1, retain, packetId: 1 })
  const collector = new RetainedCollector(3)
  for (const number of [2, 0]) give(collector, packetOf(number))
  assert.deepEqual([collector.arrived, collector.wrong], [2, 0])
  for (const packet of [packetOf(2), packetOf(1, 'other'), packetOf(1, undefined, false), packetOf(3)]) {
    give(collector, packet)
  }
  assert.deepEqual([collector.arrived, collector.wrong], [2, 4])
})

describe('Publishing', () => {
  async function publishOn(mischief: 'none' | 'forget PUBACK' | 'repeat PUBACK'): Promise<Publishing> {
    const relay = await startFaultyRelay(mischief)
    const space = new ReadSpace()
    const target = { host: '127.0.0.1', port: relay.port, credentials: null }
    const client = new Client({ ...target, clientId: 'bench-pub', space, onFailure: () => {} })
    try {
      await client.connect()
      const publishing = new Publishing(client, { run: RUN, topics: ['a', 'b'], size: 64, window: 20, count: 200 })
      publishing.start()
      const { signal } = new AbortController()
      await follow({ what: '', count: () => publishing.acknowledged, total: 200, stallMs: 300, limitMs: 5000, signal })
      return publishing
    } finally {
      await client.end()
      await relay.close()
    }
  }

  test('publishes as many as it should and knows that they are acknowledged', async () => {
    const publishing = await publishOn('none')
    assert.equal(publishing.acknowledged, 200)
    assert.equal(publishing.sender.made, 200)
    assert.equal(publishing.fault, null)
  })

  test('does not count behind a message whose PUBACK is missing', async () => {
    const publishing = await publishOn('forget PUBACK')
    assert.equal(publishing.acknowledged, 49)
    assert.match(String(publishing.fault), /overtook/)
  })

  test('sees a PUBACK too many', async () => {
    assert.match(String((await publishOn('repeat PUBACK')).fault), /unknownAck/)
  })
})

describe('follow', () => {
  const course = { what: 'it', total: 10, stallMs: 40, limitMs: 5000, signal: new AbortController().signal }

  test('ends when the total is reached, and tells a standstill from it', async () => {
    let count = 0
    assert.equal(typeof (await follow({ ...course, count: () => ++count })), 'number')
    assert.equal(await follow({ ...course, count: () => 3 }), null)
    await assert.rejects(reach({ ...course, count: () => 3 }), /it: only 3 of 10/)
  })

  test('ends after its limit though the count still grows', async () => {
    let count = 0
    const endless = { ...course, total: Number.POSITIVE_INFINITY, limitMs: 60 }
    assert.equal(await follow({ ...endless, count: () => ++count }), null)
  })

  test('rejects when broken off', async () => {
    await assert.rejects(
      follow({ ...course, count: () => 3, signal: AbortSignal.abort(new Error('cut')) }),
      /^Error: cut/,
    )
  })
})

describe('what the disk says', () => {
  test('disk usage counts the files in all folders below, and the fsync time leaves none behind', t => {
    const directory = mkdtempSync(join(tmpdir(), 'bench-test-'))
    t.after(() => rmSync(directory, { recursive: true, force: true }))
    const time = measureFsync(directory)
    assert.ok(time.medianMs > 0 && time.medianMs <= time.p90Ms, `${time.medianMs} and ${time.p90Ms} ms`)
    assert.equal(diskUsage(directory), 0)
    mkdirSync(join(directory, 'below'))
    writeFileSync(join(directory, 'below', 'file'), Buffer.alloc(100_000, 1), { flush: true })
    assert.ok(diskUsage(directory) >= 100_000, `${diskUsage(directory)} bytes`)
  })
})

describe('judge', () => {
  const phase: Phase = {
    peakKb: 100_000,
    anonPeakKb: 1,
    perSecond: 50_000,
    cpuUs: 1,
    noise: { otherCpuShare: 0, stealShare: 0 },
  }
  const backlog: BacklogResult = {
    mode: 'runs',
    messages: 1,
    fill: phase,
    drain: phase,
    diskBytes: 1,
    lost: 0,
    faults: { duplicates: 0, disordered: 0, wrong: 0 },
    leftOver: 0,
  }
  const missed = (changes: Partial<BacklogResult>): string[] => {
    const measured = { variant: 'ours', broker: 'ours' as const, result: { ...backlog, ...changes }, failure: null }
    return judge({ lost: [], backlog: [measured], restart: [] })
      .filter(({ isMet }) => !isMet)
      .map(({ what }) => what)
  }

  test('sees too much memory in either direction, a slow drain and every kind of fault', () => {
    assert.deepEqual(missed({}), [])
    assert.match(String(missed({ fill: { ...phase, peakKb: 293_000 } })), /RSS peak/)
    assert.match(String(missed({ drain: { ...phase, peakKb: 293_000 } })), /RSS peak/)
    assert.match(String(missed({ drain: { ...phase, perSecond: 29_999 } })), /drained/)
    assert.match(String(missed({ lost: 1 })), /faults/)
    assert.match(String(missed({ leftOver: 1 })), /faults/)
    assert.match(String(missed({ faults: { duplicates: 0, disordered: 1, wrong: 0 } })), /faults/)
  })

  test('what could not be measured is a miss of ours, and nobody else is judged', () => {
    const failed = { variant: 'v', result: null, failure: 'it broke' }
    const results = { lost: [], restart: [] }
    assert.equal(judge({ ...results, backlog: [{ ...failed, broker: 'ours' }] })[0]?.isMet, false)
    assert.deepEqual(judge({ ...results, backlog: [{ ...failed, broker: 'mosquitto' }] }), [])
  })
})

test('parseOptions has the sizes that the bounds are for as its defaults', () => {
  const { messages, sessions, each, retained, sync } = parseOptions([]) ?? {}
  assert.deepEqual([messages, sessions, each, retained, sync], [5_000_000, 10_000, 100, 100_000, 'always'])
  assert.throws(() => parseOptions(['--parts', 'other']), /is none of/)
})
