import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Packet } from 'mqtt-packet'
import { guardPacket } from '../../src/broker/packet-guard.ts'
import { PacketReader } from '../../src/wire/index.ts'
import { decodeAlone, validPacket } from '../support/packet-arbitraries.ts'
import { connect, field, subscribe, unsubscribe } from '../support/packets.ts'

const PUBLISH = 3
/** Types of packets that only a server sends, or nobody: the guard leaves it to its caller to refuse them. */
const NOT_FOR_A_SERVER = new Set([0, 2, 9, 11, 13, 15])

/** What the guard refuses and mqtt-packet takes: it does not look at these. */
const STRICTER = [
  /reserved flags/, // of the packet types whose flags it ignores
  /bytes behind the last field/, // [MQTT-3.1.3-1] and the like
  /no well-formed UTF-8 \[MQTT-1\.5\.3-1\]/,
  /null character \[MQTT-1\.5\.3-2\]/,
  /packet identifier is 0 \[MQTT-2\.3\.1-1\]/,
  /no topic filter/,
  /password without username/,
  /Will QoS 3/,
  /acknowledgement of \d+ bytes instead of 2/, // MQTT 5 has longer ones
  /packet type 1[24] with a body/, // MQTT 5 has a DISCONNECT with one
]

/** Judges the bytes of one packet that is no PUBLISH. */
function judge(packet: Buffer): { verdict: ReturnType<typeof guardPacket>; isWhole: boolean } {
  let verdict: ReturnType<typeof guardPacket> | null = null
  const reader = new PacketReader(
    {
      onPublish: () => true,
      onPacket(chunk, start, body, end) {
        verdict ??= guardPacket(chunk, start, body, end)
        return true
      },
      onMalformed: () => {},
    },
    268_435_460,
  )
  reader.read(packet)
  return { verdict: verdict ?? { problem: 'no whole packet' }, isWhole: verdict !== null }
}

const control = validPacket.filter(packet => (packet[0] as number) >> 4 !== PUBLISH)

test('every valid packet passes', () => {
  fc.assert(
    fc.property(control, packet => {
      assert.equal(judge(packet).verdict, 'ok')
    }),
    { numRuns: 3000 },
  )
})

const place = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })
const foreign = fc.oneof(
  fc.uint8Array({ maxLength: 3 }),
  fc.constantFrom(Uint8Array.of(0), Uint8Array.of(0xff), Uint8Array.of(0xc3, 0x28)),
)
type Mutation = (body: Buffer) => Buffer
const mutation: fc.Arbitrary<Mutation> = fc.oneof(
  // Bytes in the middle give way to others.
  fc.tuple(place, fc.nat(3), foreign).map(([where, removed, added]) => (body: Buffer) => {
    const at = Math.floor(where * body.length)
    return Buffer.concat([body.subarray(0, at), added, body.subarray(at + removed)])
  }),
  // A byte, perhaps a length, is off by one.
  fc.tuple(place, fc.constantFrom(1, 255)).map(([where, by]) => (body: Buffer) => {
    const changed = Buffer.from(body)
    const at = Math.floor(where * body.length)
    if (at < body.length) changed[at] = ((changed[at] as number) + by) & 255
    return changed
  }),
  // The end is cut off, or something hangs on.
  fc.integer({ min: 1, max: 3 }).map(bytes => (body: Buffer) => body.subarray(0, Math.max(body.length - bytes, 0))),
  foreign.map(bytes => (body: Buffer) => Buffer.concat([body, bytes])),
)

/** A packet with some bytes of its body changed, or its flags, under a Remaining Length that is right again. */
const mutated = fc
  .tuple(control, fc.array(mutation, { minLength: 1, maxLength: 3 }), fc.option(fc.nat(15), { freq: 8 }))
  .map(([packet, mutations, flags]) => {
    let headerLength = 2
    while ((packet[headerLength - 1] as number) > 127) headerLength++
    let body = packet.subarray(headerLength)
    for (const mutate of mutations) body = mutate(body)
    const first = flags === null ? (packet[0] as number) : ((packet[0] as number) & 0xf0) | flags
    const length: number[] = []
    for (let rest = body.length; ; rest = Math.floor(rest / 128)) {
      length.push((rest % 128) | (rest >= 128 ? 128 : 0))
      if (rest < 128) break
    }
    return Buffer.concat([Buffer.from([first, ...length]), body])
  })

test('what passes is decoded by mqtt-packet, and what mqtt-packet takes and the guard does not is explained', () => {
  let passed = 0
  let stricter = 0
  fc.assert(
    fc.property(mutated, packet => {
      const { verdict, isWhole } = judge(packet)
      assert.ok(isWhole)
      const decoded = decodeAlone(packet)
      if (verdict === 'ok') {
        passed++
        assertDecoded(decoded, packet)
      } else if (verdict === 'bad-protocol-level') {
        // Answered with return code 1; mqtt-packet knows MQTT 5 and the levels of bridges, which have the high bit set.
        const level = packet[packet.indexOf('M') + (packet.includes('MQIsdp') ? 6 : 4)] as number
        assert.ok(level !== 3 && level !== 4)
      } else if (decoded !== null && !(decoded instanceof Error)) {
        stricter++
        const { problem } = verdict
        assert.ok(
          STRICTER.some(reason => reason.test(problem)) || NOT_FOR_A_SERVER.has((packet[0] as number) >> 4),
          `${problem} is no reason for mqtt-packet: ${packet.toString('hex')}`,
        )
      }
    }),
    { numRuns: 20_000 },
  )
  assert.ok(passed > 500 && stricter > 500, `too little was compared: ${passed} and ${stricter}`)
})

function assertDecoded(decoded: Packet | Error | null, packet: Buffer): void {
  const problem = decoded === null ? 'wants more' : decoded instanceof Error ? decoded.message : null
  assert.equal(problem, null, `${packet.toString('hex')}`)
}

test('any bytes at all are judged without an error, and only packets with the right flags and length pass', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 2, maxLength: 60 }), bytes => {
      const packet = Buffer.from([bytes[0] as number, bytes.length - 2, ...bytes.subarray(2)])
      const type = (packet[0] as number) >> 4
      if (type === PUBLISH) return
      const { verdict, isWhole } = judge(packet)
      assert.ok(isWhole)
      if (verdict === 'ok' && !NOT_FOR_A_SERVER.has(type)) assertDecoded(decodeAlone(packet), packet)
    }),
    { numRuns: 20_000 },
  )
})

test('what mqtt-packet would let through is refused, clause by clause', () => {
  const cases: [string, Buffer, RegExp][] = [
    ['Will QoS 3', connect({ clientId: 'c', flags: 0x1e, payload: ['c', 'w', 'x'].map(field) }), /\[MQTT-3\.1\.2-14\]/],
    [
      'a password without a username',
      connect({ clientId: 'c', flags: 0x42, payload: ['c', 'p'].map(field) }),
      /\[MQTT-3\.1\.2-22\]/,
    ],
    ['bytes behind CONNECT', connect({ payload: [field('c'), Buffer.from([0])] }), /behind the last field/],
    ['ill-formed UTF-8', subscribe(1, [Buffer.from([0xc3, 0x28]), 0]), /\[MQTT-1\.5\.3-1\]/],
    ['a surrogate', subscribe(1, [Buffer.from([0xed, 0xa0, 0x80]), 0]), /\[MQTT-1\.5\.3-1\]/],
    ['a null character', unsubscribe(1, 'a\0b'), /\[MQTT-1\.5\.3-2\]/],
    ['packet identifier 0', subscribe(0, ['a', 0]), /\[MQTT-2\.3\.1-1\]/],
    ['SUBSCRIBE of nothing', subscribe(1), /\[MQTT-3\.8\.3-3\]/],
    ['UNSUBSCRIBE of nothing', unsubscribe(1), /\[MQTT-3\.10\.3-2\]/],
    ['a long PUBACK', Buffer.from([0x40, 3, 0, 1, 0]), /instead of 2/],
    ['a short PUBCOMP', Buffer.from([0x70, 1, 1]), /instead of 2/],
    ['a DISCONNECT of MQTT 5', Buffer.from([0xe0, 1, 0]), /with a body/],
    ['a string one byte longer than its packet', Buffer.from([0xa2, 6, 0, 1, 0, 3, 0x61, 0x62]), /too short/],
  ]
  for (const [name, bytes, reason] of cases) {
    const { verdict } = judge(bytes)
    assert.ok(typeof verdict === 'object' && reason.test(verdict.problem), `${name}: ${JSON.stringify(verdict)}`)
  }
})
