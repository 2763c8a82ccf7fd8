/** Packets above the limit that are skipped instead of refused, wherever the stream is cut. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { PacketReader } from '../../src/wire/index.ts'
import { publish } from '../support/packets.ts'

const LIMIT = 100_000

/** What a reader tells of these bytes when they come in pieces that end at the cuts. */
function read(bytes: Buffer, cuts: readonly number[]): string[] {
  const told: string[] = []
  const topic = (chunk: Buffer, body: number): string =>
    chunk.toString('utf8', body + 2, body + 2 + chunk.readUInt16BE(body))
  const reader = new PacketReader(
    {
      onPublish: (chunk, start, body, end) => told.push(`${topic(chunk, body)} ${end - start}`) > 0,
      onPacket: () => told.push('another packet') > 0,
      onMalformed: problem => void told.push(problem),
      onOversize: (chunk, _start, body, _end, length) => void told.push(`${topic(chunk, body)} ${length} skipped`),
    },
    LIMIT,
  )
  const ends = [...cuts.map(cut => cut % bytes.length), bytes.length].sort((a, b) => a - b)
  let from = 0
  for (const end of ends) {
    reader.read(bytes.subarray(from, end))
    from = end
  }
  return told
}

test('what lies around a packet that is too long is read as ever', () => {
  const payload = fc.oneof(
    fc.nat(200),
    fc.integer({ min: LIMIT - 20, max: LIMIT + 20 }),
    fc.integer({ min: 66_000, max: 200_000 }),
  )
  const topicLength = fc.oneof(fc.integer({ min: 1, max: 20 }), fc.constantFrom(65_000, 65_535))
  const message = fc.record({ payload, topicLength, qos: fc.nat(2) })
  fc.assert(
    fc.property(
      fc.array(message, { minLength: 1, maxLength: 6 }),
      fc.array(fc.nat(), { maxLength: 8 }),
      (messages, cuts) => {
        const packets = messages.map(({ payload: bytes, topicLength: length, qos }) =>
          publish({ topic: 't'.repeat(length), payload: Buffer.alloc(bytes, 0x30), qos }),
        )
        const wanted = packets.map((packet, i) => {
          const name = 't'.repeat(messages[i]?.topicLength ?? 0)
          return `${name} ${packet.length}${packet.length > LIMIT ? ' skipped' : ''}`
        })
        assert.deepEqual(read(Buffer.concat(packets), cuts), wanted)
      },
    ),
    { numRuns: 150 },
  )
})
