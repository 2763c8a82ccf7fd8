import { isUtf8 } from 'node:buffer'
import { CONNECT, PUBACK, PUBCOMP, PUBREC, PUBREL, SUBSCRIBE, UNSUBSCRIBE } from '../wire/index.ts'

/** What a packet is not allowed to be, told apart because CONNECT's protocol level is answered (section 3.1.2.2). */
export type GuardVerdict = 'ok' | 'bad-protocol-level' | { readonly problem: string }

const OK = 'ok' as const
/** Set in the protocol level by bridges, in the manner of mosquitto. */
const BRIDGE_BIT = 0x80

/**
 * Checks what the decoder behind it takes on trust: strings, reserved bits, lengths. `body` is where the variable
 * header begins.
 */
export function guardPacket(bytes: Buffer, start: number, body: number, end: number): GuardVerdict {
  const first = bytes[start] as number
  const type = first >> 4
  const flags = first & 15
  const wantedFlags = type === SUBSCRIBE || type === UNSUBSCRIBE || type === PUBREL ? 2 : 0
  if (flags !== wantedFlags) return { problem: `reserved flags of packet type ${type} are ${flags} [MQTT-2.2.2-2]` }
  const walk = new Walk(bytes, body, end)
  if (type === CONNECT) return guardConnect(walk)
  if (type === SUBSCRIBE || type === UNSUBSCRIBE) return guardFilters(walk, type === SUBSCRIBE)
  if (type === PUBACK || type === PUBREC || type === PUBREL || type === PUBCOMP) {
    if (end - body !== 2) return { problem: `acknowledgement of ${end - body} bytes instead of 2` }
    return walk.uint16() === 0 ? { problem: 'packet identifier is 0 [MQTT-2.3.1-1]' } : OK
  }
  return end === body ? OK : { problem: `packet type ${type} with a body` }
}

function guardConnect(walk: Walk): GuardVerdict {
  const name = walk.string()
  if (name !== null && name !== 'MQTT' && name !== 'MQIsdp') return { problem: 'protocol name unknown [MQTT-3.1.2-1]' }
  const level = walk.byte() & ~BRIDGE_BIT
  if (walk.problem !== '') return walk.verdict()
  if (level !== 3 && level !== 4) return 'bad-protocol-level'
  const flags = walk.byte()
  if ((flags & 1) !== 0) return { problem: 'reserved connect flag is set [MQTT-3.1.2-3]' }
  const hasWill = (flags & 4) !== 0
  const willQos = (flags >> 3) & 3
  if (!hasWill && (flags & 0x38) !== 0) return { problem: 'Will QoS or Retain without Will [MQTT-3.1.2-11]' }
  if (willQos === 3) return { problem: 'Will QoS 3 [MQTT-3.1.2-14]' }
  const hasUsername = (flags & 0x80) !== 0
  const hasPassword = (flags & 0x40) !== 0
  if (!hasUsername && hasPassword) return { problem: 'password without username [MQTT-3.1.2-22]' }
  walk.uint16()
  walk.string()
  if (hasWill) {
    walk.string()
    walk.binary()
  }
  if (hasUsername) walk.string()
  if (hasPassword) walk.binary()
  return walk.verdict()
}

function guardFilters(walk: Walk, withQos: boolean): GuardVerdict {
  if (walk.uint16() === 0) walk.fail('packet identifier is 0 [MQTT-2.3.1-1]')
  if (walk.isAtEnd) walk.fail('no topic filter [MQTT-3.8.3-3] [MQTT-3.10.3-2]')
  while (!walk.isAtEnd && walk.problem === '') {
    walk.string()
    if (withQos && walk.byte() > 2) walk.fail('requested QoS is not 0, 1 or 2 [MQTT-3.8.3-4]')
  }
  return walk.verdict()
}

/** Steps over the fields of a packet; the first problem sticks. */
class Walk {
  problem = ''
  readonly #bytes: Buffer
  readonly #end: number
  #at: number

  constructor(bytes: Buffer, at: number, end: number) {
    this.#bytes = bytes
    this.#at = at
    this.#end = end
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#end
  }

  fail(problem: string): void {
    if (this.problem === '') this.problem = problem
  }

  verdict(): GuardVerdict {
    if (!this.isAtEnd) this.fail('bytes behind the last field')
    return this.problem === '' ? OK : { problem: this.problem }
  }

  byte(): number {
    if (this.#at + 1 > this.#end) {
      this.fail('packet is too short')
      this.#at = this.#end
      return 0
    }
    return this.#bytes[this.#at++] as number
  }

  uint16(): number {
    return (this.byte() << 8) | this.byte()
  }

  binary(): Buffer | null {
    const length = this.uint16()
    if (this.problem !== '') return null
    if (this.#at + length > this.#end) {
      this.fail('packet is too short')
      this.#at = this.#end
      return null
    }
    const field = this.#bytes.subarray(this.#at, this.#at + length)
    this.#at += length
    return field
  }

  string(): string | null {
    const field = this.binary()
    if (field === null) return null
    if (!isUtf8(field)) this.fail('string is no well-formed UTF-8 [MQTT-1.5.3-1]')
    else if (field.includes(0)) this.fail('string has a null character [MQTT-1.5.3-2]')
    else return field.toString('utf8')
    return null
  }
}
