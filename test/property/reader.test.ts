import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type Packet, parser } from 'mqtt-packet'
import { PacketReader, type PacketSink } from '../../src/wire/index.ts'
import { cuts, cutUp, decodeAlone, validPacket } from '../support/packet-arbitraries.ts'

const ANY_SIZE = 268_435_460

/** Takes packets as a connection does: copies what it keeps, and reads nothing behind what is malformed. */
class Collector implements PacketSink {
  readonly packets: Buffer[] = []
  readonly bodies: number[] = []
  problem: string | null = null
  /** After how many packets to say stop, used over and over; empty: never. */
  readonly #stops: number[]
  readonly #reader: PacketReader
  #untilStop: number

  constructor(maxBytes: number, stops: readonly number[] = []) {
    this.#stops = [...stops]
    this.#untilStop = this.#stops[0] ?? Number.POSITIVE_INFINITY
    this.#reader = new PacketReader(this, maxBytes)
  }

  /** Reads as a socket would: no further piece while the reader asks to wait, resumed at times of its own. */
  feed(pieces: readonly Buffer[]): void {
    for (const piece of pieces) {
      const goOn = this.#reader.read(piece)
      // The source may reuse its memory; what the reader kept must be its own.
      if (!this.#reader.isStopped) piece.fill(0xee)
      else if (!goOn || piece.length % 2 === 0) this.#resume()
    }
    this.#resume()
  }

  #resume(): void {
    while (this.#reader.isStopped && this.problem === null) this.#reader.resume()
  }

  onPublish(chunk: Buffer, start: number, body: number, end: number): boolean {
    assert.equal((chunk[start] as number) >> 4, 3)
    return this.#take(chunk, start, body, end)
  }

  onPacket(chunk: Buffer, start: number, body: number, end: number): boolean {
    assert.notEqual((chunk[start] as number) >> 4, 3)
    return this.#take(chunk, start, body, end)
  }

  onMalformed(problem: string): void {
    assert.equal(this.problem, null, 'told twice')
    this.problem = problem
    this.#reader.close()
  }

  #take(chunk: Buffer, start: number, body: number, end: number): boolean {
    assert.equal(this.problem, null, 'a packet behind what is malformed')
    this.packets.push(Buffer.from(chunk.subarray(start, end)))
    this.bodies.push(body - start)
    if (--this.#untilStop > 0) return true
    this.#stops.push(this.#stops.shift() as number)
    this.#untilStop = this.#stops[0] as number
    return false
  }
}

/** The packets that mqtt-packet finds in a stream. */
function decodeStream(stream: Buffer): Packet[] {
  const decoder = parser()
  const packets: Packet[] = []
  decoder.on('packet', packet => packets.push({ ...packet }))
  decoder.on('error', error => assert.fail(error))
  decoder.parse(stream)
  return packets
}

/** As deepEqual says it, but fast for many bytes. */
function assertSame(actual: readonly Buffer[], expected: readonly Buffer[]): void {
  assert.deepEqual(
    actual.map(packet => packet.length),
    expected.map(packet => packet.length),
  )
  assert.ok(Buffer.concat(actual).equals(Buffer.concat(expected)), 'other bytes')
}

const stops = fc.oneof(fc.constant([]), fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 3 }))

test('a stream gives the packets that mqtt-packet finds in it, wherever it is cut and whenever the sink says stop', () => {
  fc.assert(
    fc.property(fc.array(validPacket, { maxLength: 12 }), cuts, stops, (packets, sizes, pauses) => {
      const stream = Buffer.concat(packets)
      const collector = new Collector(ANY_SIZE, pauses)
      collector.feed(cutUp(stream, sizes))
      assert.equal(collector.problem, null)
      assertSame(collector.packets, packets)
      assert.deepEqual(collector.packets.map(decodeAlone), decodeStream(stream))
      for (const [i, packet] of packets.entries()) {
        const headerLength = 1 + (packet.length < 130 ? 1 : packet.length < 16_387 ? 2 : 3)
        assert.equal(collector.bodies[i], headerLength)
      }
    }),
    { numRuns: 500 },
  )
})

test('a packet above the limit is never handed over, and what comes before it is', () => {
  fc.assert(
    fc.property(
      fc.array(validPacket, { minLength: 1, maxLength: 12 }),
      cuts,
      fc.integer({ min: 2, max: 140 }),
      (packets, sizes, limit) => {
        const collector = new Collector(limit)
        collector.feed(cutUp(Buffer.concat(packets), sizes))
        const tooLarge = packets.findIndex(packet => packet.length > limit)
        assert.equal(collector.problem === null, tooLarge === -1)
        assertSame(collector.packets, tooLarge === -1 ? packets : packets.slice(0, tooLarge))
      },
    ),
    { numRuns: 500 },
  )
})

test('an announced length is refused as soon as it is known, byte by byte as well as in one piece', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 268_435_455 }), fc.integer({ min: 2, max: 300_000 }), (announced, limit) => {
      const length: number[] = []
      for (let rest = announced; ; rest = Math.floor(rest / 128)) {
        length.push((rest % 128) | (rest >= 128 ? 128 : 0))
        if (rest < 128) break
      }
      const head = Buffer.from([0x30, ...length])
      for (const pieces of [[head], cutUp(head, [1])]) {
        const collector = new Collector(limit)
        collector.feed(pieces.map(piece => Buffer.from(piece)))
        assert.equal(collector.problem !== null, head.length + announced > limit)
        assert.equal(collector.packets.length, announced === 0 && limit >= 2 ? 1 : 0)
      }
    }),
    { numRuns: 3000 },
  )
})

/** A change to a stream: at a place (as a part of its length), some bytes are replaced by others. */
const mutation = fc.record({
  place: fc.double({ min: 0, max: 1, noNaN: true }),
  removed: fc.nat(4),
  added: fc.uint8Array({ maxLength: 4 }),
})

test('whatever is done to a stream, reading it throws nothing and hands over every byte at most once, in order', () => {
  fc.assert(
    fc.property(
      fc.array(validPacket, { minLength: 1, maxLength: 8 }),
      fc.array(mutation, { minLength: 1, maxLength: 4 }),
      cuts,
      stops,
      fc.integer({ min: 2, max: 20_000 }),
      (packets, mutations, sizes, pauses, limit) => {
        let stream = Buffer.concat(packets)
        for (const { place, removed, added } of mutations) {
          const at = Math.floor(place * stream.length)
          stream = Buffer.concat([stream.subarray(0, at), added, stream.subarray(at + removed)])
        }
        const collector = new Collector(limit, pauses)
        collector.feed(cutUp(stream, sizes))
        const read = Buffer.concat(collector.packets)
        assert.ok(read.equals(stream.subarray(0, read.length)))
        for (const packet of collector.packets) assert.ok(packet.length <= limit)
        // What is left over is the beginning of one packet, or what was refused.
        if (collector.problem !== null) return
        const rest = stream.subarray(read.length)
        assert.equal(rest.length === 0 || decodeStreamLength(rest) > rest.length || rest.length < 5, true)
      },
    ),
    { numRuns: 1000 },
  )
})

/** The length that the first packet of these bytes announces, header included; infinite when it can't be told. */
function decodeStreamLength(bytes: Buffer): number {
  let length = 0
  for (let i = 1; i < 5; i++) {
    const byte = bytes[i]
    if (byte === undefined) return Number.POSITIVE_INFINITY
    length += (byte & 127) * 128 ** (i - 1)
    if (byte < 128) return length + i + 1
  }
  return Number.POSITIVE_INFINITY
}
