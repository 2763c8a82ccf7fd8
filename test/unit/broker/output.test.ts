import assert from 'node:assert/strict'
import { Duplex } from 'node:stream'
import { suite, test } from 'node:test'
import fc from 'fast-check'
import { Message } from '../../../src/broker/message.ts'
import { ChunkPool, Output } from '../../../src/wire/index.ts'

/** Keeps what is written; takes it at once, as the kernel mostly does, or later, one write after the other. */
class FakeStream extends Duplex {
  readonly written: Buffer[] = []
  isSlow = false
  #waiting: (() => void)[] = []

  constructor() {
    super({ writableHighWaterMark: 16_384 })
  }

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    // Copied when it is taken, not when it is handed over: by then nobody may have changed it.
    const take = (): void => {
      this.written.push(Buffer.from(chunk))
      done()
    }
    if (this.isSlow) this.#waiting.push(take)
    else take()
  }

  /** Takes what waits, and goes on taking at once. */
  async takeAll(): Promise<Buffer> {
    this.isSlow = false
    for (const take of this.#waiting.splice(0)) take()
    while (this.writableLength > 0) await new Promise(resolve => setImmediate(resolve))
    return Buffer.concat(this.written)
  }
}

/** Bytes that tell from each other, in memory that the chunk pool does not know. */
function bytesOf(size: number, seed: number): Buffer {
  const bytes = Buffer.alloc(size)
  for (let i = 0; i < size; i++) bytes[i] = (i * 7 + seed * 31 + (i >> 8)) & 255
  return bytes
}

const size = fc.oneof(
  { weight: 6, arbitrary: fc.nat(100) },
  { weight: 2, arbitrary: fc.integer({ min: 4000, max: 4200 }) },
  { weight: 2, arbitrary: fc.integer({ min: 8100, max: 8300 }) },
  { weight: 1, arbitrary: fc.integer({ min: 60_000, max: 140_000 }) },
)

/** Appended pieces come from a few sources, often one behind the other, as packets in one chunk do. */
const step = fc.oneof(
  fc.record({ do: fc.constant('append' as const), size, again: fc.boolean(), gap: fc.nat(1), copy: fc.boolean() }),
  fc.record({ do: fc.constant('reserve' as const), size: size.map(length => Math.max(length, 1)) }),
  fc.record({ do: fc.constant('acknowledge' as const), id: fc.integer({ min: 1, max: 65_535 }) }),
  fc.record({
    do: fc.constant('publish' as const),
    size,
    qos: fc.integer({ min: 0, max: 2 }),
    dup: fc.boolean(),
    retain: fc.boolean(),
    id: fc.integer({ min: 1, max: 65_535 }),
  }),
  fc.record({ do: fc.constant('write' as const), slow: fc.boolean() }),
)

function remaining(length: number): number[] {
  return length < 128 ? [length] : [(length % 128) | 128, ...remaining(Math.floor(length / 128))]
}

function publishBytes(payload: Buffer, qos: number, dup: boolean, retain: boolean, id: number): Buffer {
  const flags = 0x30 | (dup ? 8 : 0) | (qos << 1) | (retain ? 1 : 0)
  const body = Buffer.concat([
    Buffer.from([0, 3]),
    Buffer.from('a/b'),
    Buffer.from(qos > 0 ? [id >> 8, id & 255] : []),
    payload,
  ])
  return Buffer.concat([Buffer.from([flags, ...remaining(body.length)]), body])
}

suite('the output of a connection', () => {
  for (const reusable of [true, false]) {
    test(`writes what was put in, in order, ${reusable ? 'with' : 'without'} using its chunks again`, async () => {
      await fc.assert(
        fc.asyncProperty(fc.array(step, { maxLength: 40 }), async steps => {
          const pool = new ChunkPool()
          const output = new Output(pool, reusable)
          const other = new Output(pool, true)
          const stream = new FakeStream()
          const expected: Buffer[] = []
          let sizeNow = 0
          let source: Buffer = Buffer.alloc(0)
          let at = 0
          for (const [i, each] of steps.entries()) {
            if (each.do === 'write') {
              stream.isSlow ||= each.slow
              const goOn = output.writeTo(stream)
              // Who is told to wait needs a 'drain' that comes; who is not must not fill a stream that is full.
              if (!goOn) assert.ok(stream.writableNeedDrain && stream.writableLength > 0)
              else if (sizeNow > 0) assert.ok(stream.writableLength < stream.writableHighWaterMark)
              sizeNow = 0
              // Whatever chunk was given back is used by another connection now.
              other.reserve(4000)
              other.chunk?.fill(0xee, 0, 4000)
              continue
            }
            const length = output.size
            assert.equal(length, sizeNow)
            if (each.do === 'append') {
              at += each.gap
              if (!each.again || at + each.size > source.length) {
                source = bytesOf(each.size + 10_000, i)
                at = 0
              }
              output.append(source, at, at + each.size, each.copy)
              expected.push(Buffer.from(source.subarray(at, at + each.size)))
              at += each.size
            } else if (each.do === 'reserve') {
              const content = bytesOf(each.size, i)
              const to = output.reserve(each.size)
              content.copy(output.chunk as Buffer, to)
              expected.push(content)
            } else if (each.do === 'acknowledge') {
              output.acknowledge(0x40, each.id)
              expected.push(Buffer.from([0x40, 2, each.id >> 8, each.id & 255]))
            } else {
              const payload = bytesOf(each.size, i)
              const message = Message.of('a/b', payload, 2, each.retain)
              output.publish(message, each.qos, each.dup, each.id)
              expected.push(publishBytes(payload, each.qos, each.dup, each.retain, each.id))
            }
            sizeNow += (expected.at(-1) as Buffer).length
          }
          output.writeTo(stream)
          assert.equal(output.size, 0)
          const written = await stream.takeAll()
          assert.ok(written.equals(Buffer.concat(expected)), `${written.length} bytes, not the ones put in`)
        }),
        { numRuns: 400 },
      )
    })
  }

  test('owns no memory between two turns', () => {
    const pool = new ChunkPool()
    const output = new Output(pool, true)
    const stream = new FakeStream()
    output.reserve(100)
    output.writeTo(stream)
    assert.equal(output.chunk, null)
    const given = pool.takeSmall()
    output.reserve(100)
    assert.notEqual(output.chunk, given, 'a chunk that somebody else has borrowed')
  })

  test('forgets what waits when it is cleared', async () => {
    const output = new Output(new ChunkPool(), true)
    output.append(Buffer.from('gone'), 0, 4, false)
    output.reserve(20_000)
    output.clear()
    assert.equal(output.size, 0)
    const stream = new FakeStream()
    output.append(Buffer.from('sent'), 0, 4, true)
    assert.equal(output.writeTo(stream), true)
    assert.equal((await stream.takeAll()).toString(), 'sent')
  })

  test('keeps no source alive that it was asked to copy', () => {
    const output = new Output(new ChunkPool(), true)
    for (const length of [10, 20_000]) {
      const source = Buffer.alloc(65_536, 1)
      const stream = new FakeStream()
      output.append(source, 0, length, true)
      source.fill(2)
      output.writeTo(stream)
      assert.equal(Buffer.concat(stream.written)[0], 1, `${length} bytes were referred to`)
    }
  })
})
