/** Packets that a client may send, as bytes made by mqtt-packet, and what a hub makes of bytes, one packet at a time. */
import fc from 'fast-check'
import { generate, type Packet, parser } from 'mqtt-packet'
import { topicFilter, topicName } from './topic-oracle.ts'

const packetId = fc.oneof(fc.constantFrom(1, 255, 256, 65_535), fc.integer({ min: 1, max: 65_535 }))
const qos = fc.constantFrom(0 as const, 1 as const, 2 as const)
/** Sizes around the places where the Remaining Length field grows are drawn often. */
const payload = fc.oneof(
  { weight: 6, arbitrary: fc.uint8Array({ maxLength: 40 }).map(bytes => Buffer.from(bytes)) },
  { weight: 2, arbitrary: fc.integer({ min: 100, max: 135 }).map(size => Buffer.alloc(size, 0x30)) },
  { weight: 1, arbitrary: fc.integer({ min: 16_350, max: 16_400 }).map(size => Buffer.alloc(size, 0xff)) },
)
const text = fc.string({ unit: fc.constantFrom('a', 'B', '0', '-', ' ', 'é', '\u{1F600}'), maxLength: 20 })

const publish: fc.Arbitrary<Packet> = fc
  .record({ topic: topicName, payload, qos, retain: fc.boolean(), dup: fc.boolean(), messageId: packetId })
  .map(fields => ({ ...fields, cmd: 'publish' as const, dup: fields.dup && fields.qos > 0 }))

const connect: fc.Arbitrary<Packet> = fc
  .record({
    clientId: text.filter(id => id !== ''),
    clean: fc.boolean(),
    keepalive: fc.integer({ min: 0, max: 65_535 }),
    isOld: fc.boolean(),
    user: fc.option(fc.record({ username: text.filter(name => name !== ''), password: fc.option(payload) })),
    will: fc.option(fc.record({ topic: topicName, payload, qos, retain: fc.boolean() })),
  })
  .map(({ isOld, user, will, ...fields }) => ({
    ...fields,
    cmd: 'connect' as const,
    protocolId: isOld ? ('MQIsdp' as const) : ('MQTT' as const),
    protocolVersion: isOld ? (3 as const) : (4 as const),
    ...(user !== null && { username: user.username }),
    ...(user?.password != null && { password: user.password }),
    ...(will !== null && { will }),
  }))

const subscribe: fc.Arbitrary<Packet> = fc
  .record({
    messageId: packetId,
    subscriptions: fc.array(fc.record({ topic: topicFilter, qos }), { minLength: 1, maxLength: 4 }),
  })
  .map(fields => ({ ...fields, cmd: 'subscribe' as const }))

const unsubscribe: fc.Arbitrary<Packet> = fc
  .record({ messageId: packetId, unsubscriptions: fc.array(topicFilter, { minLength: 1, maxLength: 4 }) })
  .map(fields => ({ ...fields, cmd: 'unsubscribe' as const }))

const acknowledgement: fc.Arbitrary<Packet> = fc.record({
  cmd: fc.constantFrom('puback' as const, 'pubrec' as const, 'pubrel' as const, 'pubcomp' as const),
  messageId: packetId,
})

const bare: fc.Arbitrary<Packet> = fc.constantFrom({ cmd: 'pingreq' as const }, { cmd: 'disconnect' as const })

/** The bytes of one packet that any server has to accept, were it sent at the right moment. */
export const validPacket: fc.Arbitrary<Buffer> = fc
  .oneof(
    { weight: 4, arbitrary: publish },
    { weight: 1, arbitrary: connect },
    { weight: 2, arbitrary: subscribe },
    { weight: 1, arbitrary: unsubscribe },
    { weight: 2, arbitrary: acknowledgement },
    { weight: 1, arbitrary: bare },
  )
  .map(packet => generate(packet))

/** Where to cut a stream: sizes of pieces, used over and over. */
export const cuts: fc.Arbitrary<number[]> = fc.oneof(
  fc.constant<number[]>([1]),
  fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 10 }),
  fc.array(fc.integer({ min: 1, max: 20_000 }), { minLength: 1, maxLength: 4 }),
)

export function cutUp(stream: Buffer, sizes: readonly number[]): Buffer[] {
  const pieces: Buffer[] = []
  for (let at = 0, i = 0; at < stream.length; i++) {
    const size = sizes[i % sizes.length] as number
    pieces.push(Buffer.from(stream.subarray(at, at + size)))
    at += size
  }
  return pieces
}

/** What mqtt-packet makes of the bytes of one packet: the packet, an error, or null when it wants more bytes. */
export function decodeAlone(bytes: Buffer): Packet | Error | null {
  const decoder = parser()
  let result: Packet | Error | null = null
  decoder.on('packet', packet => {
    result ??= { ...packet }
  })
  decoder.on('error', (error: Error) => {
    result = error
  })
  try {
    decoder.parse(Buffer.from(bytes))
  } catch (thrown) {
    return thrown as Error
  }
  return result
}
