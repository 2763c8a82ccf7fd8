import { type Packet, parser } from 'mqtt-packet'

/** Decodes one whole packet. Every packet gets a parser of its own: what one CONNECT says must not colour how another client is read. */
export function decode(bytes: Buffer): Packet | Error {
  const decoder = parser()
  let result: Packet | Error = new Error('incomplete packet')
  decoder.on('packet', packet => {
    result = packet
  })
  decoder.on('error', (error: Error) => {
    result = error
  })
  decoder.parse(Buffer.from(bytes))
  return result
}
