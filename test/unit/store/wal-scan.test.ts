import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import fc from 'fast-check'
import { crc32c, maskCrc32c, unmaskCrc32c } from '../../../src/broker/store/wal-crc32c.ts'
import { BLOCK_BYTES, HEADER_BYTES } from '../../../src/broker/store/wal-fragment.ts'
import { salvageLog, writeLog } from '../../../src/broker/store/wal-salvage.ts'
import { type LogFindings, LogScan } from '../../../src/broker/store/wal-scan.ts'

/** Batches of these sizes, numbered one after the other, with data that is no zeros. */
function batches(...sizes: number[]): Buffer[] {
  return sizes.map((size, index) => {
    const batch = Buffer.from(Array.from({ length: size }, (_, at) => 1 + ((at * 31 + index) % 255)))
    batch.writeBigUInt64LE(BigInt(100 + index), 0)
    batch.writeUInt32LE(1, 8)
    return batch
  })
}

function scan(log: Buffer): LogFindings {
  const scanning = new LogScan({ size: log.length, isWal: true })
  for (let at = 0; at < log.length; at += BLOCK_BYTES) scanning.block(log.subarray(at, at + BLOCK_BYTES))
  return scanning.end()
}

/** Where the records of these batches end in their log. */
function boundaries(all: readonly Buffer[]): number[] {
  return all.map((_, index) => writeLog(all.slice(0, index + 1)).length)
}

function changed(log: Buffer, at: number, mask: number): Buffer {
  const copy = Buffer.from(log)
  copy[at] = (copy[at] as number) ^ mask
  return copy
}

suite('the checksum', () => {
  test('is CRC-32C', () => {
    const digits = Buffer.from('123456789')
    assert.equal(crc32c(digits, 0, 9) >>> 0, 0xe3069283)
    assert.equal(crc32c(Buffer.alloc(32), 0, 32) >>> 0, 0x8a9136aa)
    assert.equal(crc32c(Buffer.alloc(32, 255), 0, 32) >>> 0, 0x62a8ab43)
    assert.equal(crc32c(Buffer.concat([Buffer.from('xx'), digits, Buffer.from('yy')]), 2, 11) >>> 0, 0xe3069283)
  })

  test('comes out of its mask as it went in', () => {
    fc.assert(fc.property(fc.integer(), crc => assert.equal(unmaskCrc32c(maskCrc32c(crc)), crc)))
  })
})

suite('a log', () => {
  // Records in one block, over three blocks, up to the last byte of a block, and around the bytes at its end that are
  // too few for a header.
  const all = batches(12, 100, 70_000, 40, BLOCK_BYTES, 5_000, 17, 90)
  const log = writeLog(all)
  const ends = boundaries(all)

  test('of any batches is whole', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 12, max: 3 * BLOCK_BYTES }), { maxLength: 12 }), sizes => {
        const some = writeLog(batches(...sizes))
        const nextSequence = sizes.length === 0 ? null : 100 + sizes.length
        assert.deepEqual(scan(some), { records: sizes.length, wholeBytes: some.length, damage: null, nextSequence })
      }),
      { numRuns: 100 },
    )
  })

  test('cut off anywhere has an unfinished end, and is whole up to the last batch before', () => {
    for (let length = 0; length < log.length; length += length % BLOCK_BYTES < 40 ? 1 : 61) {
      const found = scan(log.subarray(0, length))
      const whole = Math.max(0, ...ends.filter(end => end <= length))
      assert.notEqual(found.damage?.isTail, false, `cut at ${length}: ${JSON.stringify(found)}`)
      assert.equal(found.records, ends.filter(end => end <= length).length, `cut at ${length}`)
      if (found.damage !== null) assert.equal(found.wholeBytes, whole, `cut at ${length}`)
    }
  })

  test('with zeros from some sector on has an unfinished end', () => {
    for (let sector = 0; sector < log.length; sector += 512) {
      for (const zeros of [log.length - sector, 3 * BLOCK_BYTES]) {
        const found = scan(Buffer.concat([log.subarray(0, sector), Buffer.alloc(zeros)]))
        assert.equal(found.damage?.isTail, true, `zeros from ${sector}: ${JSON.stringify(found)}`)
        assert.equal(found.records, ends.filter(end => end <= sector).length, `zeros from ${sector}`)
      }
    }
  })

  test('with a lost sector within the last record has an unfinished end', () => {
    const last = writeLog(batches(100, 70_000))
    for (let sector = 1024; sector + 512 < last.length; sector += 512) {
      const holed = Buffer.from(last).fill(0, sector, sector + 512)
      assert.equal(scan(holed).damage?.isTail, true, `hole at ${sector}`)
      const followed = writeLog(batches(100, 70_000, 20))
      followed.fill(0, sector, sector + 512)
      assert.equal(scan(followed).damage?.isTail, false, `hole at ${sector} with a batch behind it`)
    }
  })

  test('with bytes of something else at its end has an unfinished end', () => {
    const bytes = fc.uint8Array({ minLength: 1, maxLength: 70_000, size: 'max' })
    fc.assert(
      fc.property(bytes, fc.integer({ min: 1, max: all.length }), (garbage, count) => {
        const start = writeLog(all.slice(0, count))
        const found = scan(Buffer.concat([start, garbage]))
        // Up to six bytes may lie where a block has no room for a header.
        if (found.damage === null) assert.ok(garbage.length < HEADER_BYTES, 'garbage is taken for a log')
        else assert.equal(found.damage.isTail, true, JSON.stringify(found))
        assert.equal(found.records, count)
      }),
      { numRuns: 200 },
    )
  })

  test('with any byte changed is damaged, the last record too', () => {
    const trailers = new Set<number>()
    for (const [index, end] of ends.entries()) {
      const next = ends[index + 1]
      const rest = BLOCK_BYTES - (end % BLOCK_BYTES)
      if (next !== undefined && rest < HEADER_BYTES) for (let at = 0; at < rest; at++) trailers.add(end + at)
    }
    const headers = new Set(ends.flatMap(end => Array.from({ length: 24 }, (_, at) => end + at - 3)))
    for (let at = 0; at < log.length; at++) {
      if (trailers.has(at) || (at % 97 !== 0 && at % BLOCK_BYTES > 12 && !headers.has(at))) continue
      for (const mask of [1, 0x80, 0xff]) {
        const found = scan(changed(log, at, mask))
        assert.equal(found.damage?.isTail, false, `byte ${at} ^ ${mask}: ${JSON.stringify(found)}`)
        assert.ok((found.damage?.offset ?? 0) <= at, 'damage is told of behind where it is')
      }
    }
  })

  test('in which a batch is missing is damaged', () => {
    const found = scan(writeLog([...all.slice(0, 3), ...all.slice(4)]))
    assert.deepEqual(found.damage, { offset: ends[2], reason: 'records before it are missing', isTail: false })
  })

  test('cut off in data that look like a log has an unfinished end', () => {
    const [first, second] = batches(50, 9_000) as [Buffer, Buffer]
    // The next numbers, as somebody may guess them.
    const forged = writeLog(batches(20, 20, 20, 20).slice(1))
    forged.copy(second, 500)
    const cut = writeLog([first, second]).subarray(0, 5_000)
    assert.deepEqual(scan(cut).damage, { offset: 57, reason: 'the last record is cut off', isTail: true })
  })

  test('of 32 MiB is read in less than a second', () => {
    const many = writeLog(batches(...Array.from({ length: 128 }, () => 1 << 18)))
    scan(many)
    const start = performance.now()
    assert.equal(scan(many).records, 128)
    const ms = performance.now() - start
    assert.ok(ms < 1000, `${ms} ms`)
  })
})

suite('what is whole of a damaged log', () => {
  const all = batches(60, 100, 40_000, 80, 90, 70)
  const log = writeLog(all)
  const ends = boundaries(all)

  test('is all of an undamaged one', () => {
    const { log: again, kept, droppedBytes } = salvageLog(log)
    assert.deepEqual([again, kept, droppedBytes], [log, all.length, 0])
  })

  test('leaves out the batch with a changed byte, and no other', () => {
    for (const [index, end] of ends.entries()) {
      const { log: saved, kept } = salvageLog(changed(log, end - 5, 4))
      assert.equal(kept, all.length - 1, `batch ${index}`)
      assert.deepEqual(saved, writeLog(all.filter(batch => batch !== all[index])))
    }
  })

  test('is everything when only the length of a record is wrong', () => {
    for (const at of [4, 5, (ends[3] as number) + 4]) assert.deepEqual(salvageLog(changed(log, at, 2)).log, log)
  })

  test('is what lies before an unfinished end', () => {
    const saved = salvageLog(log.subarray(0, log.length - 3))
    assert.deepEqual(saved.log, writeLog(all.slice(0, -1)))
  })
})
