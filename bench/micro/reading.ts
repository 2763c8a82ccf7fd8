import type { Bench } from 'tinybench'
import { PacketReader, type PacketSink } from '../../src/broker/packet-reader.ts'
import { publishPacket } from '../e2e/load/packets.ts'

const CHUNK_BYTES = 65_536
const MAX_PACKET_BYTES = 32_768

/** A chunk as a socket brings it, cut into packets. Each task reads about 64 KiB. */
export function addReading(bench: Bench): void {
  for (const size of [64, 1024]) {
    const { chunk, packets } = chunkOf(size)
    const read = newReader()
    bench.add(`reader: ${packets} PUBLISH of ${size} B, whole chunk`, () => {
      read.reader.read(chunk)
    })
    const pieces = cut(chunk, 1460)
    const cutReader = newReader()
    bench.add(`reader: the same in pieces of 1,460 B`, () => {
      for (const piece of pieces) cutReader.reader.read(piece)
    })
  }
}

function newReader(): { reader: PacketReader; count: () => number } {
  let count = 0
  const take = (): boolean => {
    count++
    return true
  }
  const sink: PacketSink = {
    onPublish: take,
    onPacket: take,
    onMalformed: problem => {
      throw new Error(problem)
    },
  }
  return { reader: new PacketReader(sink, MAX_PACKET_BYTES), count: () => count }
}

function chunkOf(size: number): { chunk: Buffer; packets: number } {
  const payload = Buffer.alloc(size, 'x')
  const packet = publishPacket({ topic: 'dev/17/x/status', payload, qos: 1, retain: false, packetId: 7 })
  const packets = Math.floor(CHUNK_BYTES / packet.length)
  return { chunk: Buffer.concat(new Array<Buffer>(packets).fill(packet)), packets }
}

function cut(chunk: Buffer, bytes: number): Buffer[] {
  const pieces: Buffer[] = []
  for (let at = 0; at < chunk.length; at += bytes) pieces.push(chunk.subarray(at, at + bytes))
  return pieces
}
