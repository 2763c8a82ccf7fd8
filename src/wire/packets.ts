/** Packet types of MQTT 3.1.1, section 2.2.1: the high four bits of a packet's first byte. */
export const CONNECT = 1
export const CONNACK = 2
export const PUBLISH = 3
export const PUBACK = 4
export const PUBREC = 5
export const PUBREL = 6
export const PUBCOMP = 7
export const SUBSCRIBE = 8
export const SUBACK = 9
export const UNSUBSCRIBE = 10
export const UNSUBACK = 11
export const PINGREQ = 12
export const PINGRESP_TYPE = 13
export const DISCONNECT = 14

/** First bytes of the acknowledgements, with their reserved flags (section 2.2.2). */
export const PUBACK_BYTE = 0x40
export const PUBREC_BYTE = 0x50
export const PUBREL_BYTE = 0x62 // [MQTT-3.6.1-1]
export const PUBCOMP_BYTE = 0x70

/** The whole PINGRESP packet. */
export const PINGRESP: Buffer = Buffer.from([0xd0, 0])

/** How many bytes the Remaining Length field takes for this value (section 2.2.3). */
export function byteLengthOfRemaining(length: number): number {
  if (length < 128) return 1
  if (length < 16_384) return 2
  return length < 2_097_152 ? 3 : 4
}

/** Writes the Remaining Length field at `at`; returns the position behind it. */
export function writeRemaining(into: Uint8Array, at: number, length: number): number {
  let next = at
  let rest = length
  while (rest > 127) {
    into[next++] = (rest & 127) | 128
    rest >>>= 7
  }
  into[next++] = rest
  return next
}

/** Shorter copies are faster as a loop than through the typed array's machinery. */
const LOOP_UP_TO = 48

/** Copies source[start..end) to target[at..). */
export function copyBytes(source: Buffer, start: number, end: number, target: Buffer, at: number): void {
  if (end - start > LOOP_UP_TO) {
    source.copy(target, at, start, end)
    return
  }
  for (let i = start, j = at; i < end; i++, j++) target[j] = source[i] as number
}
