/** The part of a queue that is on disk only: how much it is, and where it begins. */
export class DiskPart {
  /** Messages, and the bytes of their topics and payloads. */
  count = 0
  bytes = 0
  /** No entry with a smaller number belongs to it; its first message may lie in the middle of an entry. */
  entry = 0
  /** No message with a smaller number belongs to it. */
  next = 0

  /** Adds messages behind all others. */
  add(seq: number, count: number, bytes: number): void {
    if (this.count === 0) {
      this.entry = seq
      this.next = seq
    }
    this.count += count
    this.bytes += bytes
  }

  /** Puts messages back that lie before all others: they begin with `next`, in this entry. */
  prepend(entry: number, next: number, count: number, bytes: number): void {
    this.entry = entry
    this.next = next
    this.count += count
    this.bytes += bytes
  }

  /** Whether it has this message, if anybody has. */
  has(seq: number): boolean {
    return this.count > 0 && seq >= this.next
  }

  /** How many messages of an entry lie before it. */
  skipped(seq: number): number {
    return Math.max(this.next - seq, 0)
  }

  /** Moves its begin over `count` messages of its first entry. */
  advance(entry: { readonly seq: number; readonly count: number; readonly size: number }, count: number): void {
    this.count = Math.max(this.count - count, 0)
    this.bytes = Math.max(this.bytes - (entry.size * count) / entry.count, 0)
    this.next = Math.max(this.next, entry.seq) + count
    this.entry = this.next >= entry.seq + entry.count ? this.next : entry.seq
  }

  /** There is nothing of it before this number. */
  beginAt(seq: number): void {
    this.entry = seq
    this.next = seq
  }

  clear(): void {
    this.count = 0
    this.bytes = 0
    this.entry = 0
    this.next = 0
  }
}
