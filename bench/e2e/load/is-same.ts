/** Below this many bytes a loop is faster than a native call. */
const LOOP_BYTES = 256

/** Whether `length` bytes are the same; both buffers come with a view of theirs, which reads four at a time. */
export function isSame(
  a: Buffer,
  aView: DataView,
  aAt: number,
  b: Buffer,
  bView: DataView,
  bAt: number,
  length: number,
) {
  if (bAt + length > b.length) return false
  if (length > LOOP_BYTES) return a.compare(b, bAt, bAt + length, aAt, aAt + length) === 0
  let i = 0
  for (; i + 4 <= length; i += 4) if (aView.getInt32(aAt + i) !== bView.getInt32(bAt + i)) return false
  for (; i < length; i++) if (a[aAt + i] !== b[bAt + i]) return false
  return true
}
