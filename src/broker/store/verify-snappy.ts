/** More than this per byte no sound block grows: a copy of two bytes makes 64. */
const MAX_GROWTH = 64

/** Unpacks a block that LevelDB packed with snappy; null when that can't be what was packed. */
export function unpackSnappy(packed: Buffer): Buffer | null {
  let at = 0
  let length = 0
  for (let scale = 1; ; scale *= 128) {
    const byte = packed[at++]
    if (byte === undefined || scale > 2 ** 28) return null
    length += (byte & 127) * scale
    if (byte < 128) break
  }
  if (length > packed.length * MAX_GROWTH) return null
  const out = Buffer.allocUnsafe(length)
  let filled = 0
  while (at < packed.length) {
    const tag = packed[at++] as number
    if ((tag & 3) === 0) {
      let size = (tag >> 2) + 1
      if (size > 60) {
        const bytes = size - 60
        if (at + bytes > packed.length) return null
        size = packed.readUIntLE(at, bytes) + 1
        at += bytes
      }
      if (at + size > packed.length || filled + size > length) return null
      packed.copy(out, filled, at, at + size)
      at += size
      filled += size
      continue
    }
    const bytes = OFFSET_BYTES[tag & 3] as number
    if (at + bytes > packed.length) return null
    const low = packed.readUIntLE(at, bytes)
    at += bytes
    const isShort = bytes === 1
    const offset = isShort ? ((tag >> 5) << 8) | low : low
    const size = isShort ? ((tag >> 2) & 7) + 4 : (tag >> 2) + 1
    if (offset === 0 || offset > filled || filled + size > length) return null
    // What is copied may be what the copy itself wrote a moment ago.
    for (let i = 0; i < size; i++, filled++) out[filled] = out[filled - offset] as number
  }
  return filled === length ? out : null
}

/** By the two low bits of a tag. */
const OFFSET_BYTES = [0, 1, 2, 4]
