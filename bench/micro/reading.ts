import type { Bench } from 'tinybench'
import { PacketReader, type PacketSink } from '../../src/wire/index.ts'
import { publishPacket } from '../e2e/load/packets.ts'

const CHUNK_BYTES = 65_536
const MAX_PACKET_BYTES = 32_768

/** A chunk as a socket brings it, cut into packets. Each task reads about 64 KiB. */
export function addReading(bench: Bench): void {
  for (const size of [64, 1024]) {
    const { chunk, packets } = chunkOf(size)
    addTask(bench, `reader: ${packets} PUBLISH of ${size} B, whole chunk`, [chunk], packets)
    addTask(bench, `reader: ${packets} PUBLISH of ${size} B, pieces of 1,460 B`, cut(chunk, 1460), packets)
  }
}

function addTask(bench: Bench, name: string, pieces: readonly Buffer[], packets: number): void {
  const found = { count: 0 }
  const take = (): boolean => {
    found.count++
    return true
  }
  const sink: PacketSink = {
    onPublish: take,
    onPacket: take,
    onMalformed: problem => {
      throw new Error(problem)
    },
  }
  const reader = new PacketReader(sink, MAX_PACKET_BYTES)
  const read = (): void => {
    for (const piece of pieces) reader.read(piece)
  }
  read()
  if (found.count !== packets) throw new Error(`the reader found ${found.count} packets instead of ${packets}`)
  bench.add(name, read)
}

function chunkOf(size: number): { chunk: Buffer; packets: number } {
  const payload = Buffer.alloc(size, 'x')
  const packet = publishPacket({ topic: 'dev/17/x/status', payload, qos: 1, retain: false, packetId: 7 })
  const packets = Math.floor(CHUNK_BYTES / packet.length)
  return { chunk: Buffer.concat(Array.from({ length: packets }, () => packet)), packets }
}

function cut(chunk: Buffer, bytes: number): Buffer[] {
  const pieces: Buffer[] = []
  for (let at = 0; at < chunk.length; at += bytes) pieces.push(chunk.subarray(at, at + bytes))
  return pieces
}
