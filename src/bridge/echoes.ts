import { EchoMemory, keyOf } from './echo-memory.ts'
import { Proof } from './proof.ts'

const MEMORY = { max: 10_000, ttlMs: 10_000 }

/** Where a message that may come back was published. */
export interface Published {
  /** The broker that it was sent to. */
  readonly broker: string
  /** The name of the rule, or those of all rules on the way round. */
  readonly by: string
  /** It says something that it comes back: nothing else would send it here now, as far as can be known. */
  readonly mayProve: boolean
}

/**
 * Messages that a link may be sent though this bridge has published them. Times are milliseconds of a clock that never goes
 * back.
 */
export class Echoes {
  /** Called when a broker is seen to send here what was published there, though that was not to be expected. */
  readonly #onBroken: (broker: string) => void
  #memory: EchoMemory | null = null
  /** By the broker that was published to. */
  readonly #proofs = new Map<string, Proof>()
  /** By who published. */
  readonly #proofsOf = new Map<string, Proof>()

  constructor(onBroken: (broker: string) => void) {
    this.#onBroken = onBroken
  }

  /** Nothing is expected: what comes is news. */
  get isEmpty(): boolean {
    if (this.#memory !== null && this.#memory.size > 0) return false
    for (const proof of this.#proofs.values()) if (proof.isWaiting) return false
    return true
  }

  /** What was published to this broker is seen not to come here. */
  isKept(broker: string, now: number): boolean {
    return this.#proofs.get(broker)?.isKept(now) ?? false
  }

  /** What was published to this broker is seen to come here. */
  isBroken(broker: string): boolean {
    return this.#proofs.get(broker)?.isBroken ?? false
  }

  /** A message was published that is not to come here; a few are looked for to see that this is so. */
  doubt(topic: string, payload: Uint8Array, { broker, by, mayProve }: Published, now: number): void {
    const proof = this.#proofs.get(broker) ?? new Proof()
    this.#proofs.set(broker, proof)
    if (mayProve && proof.wants(now)) proof.sent(keyOf(topic, payload), now)
    if (!proof.isBroken) return
    this.#proofsOf.set(by, proof)
    this.expect(topic, payload, by, now)
  }

  /** A message was published that comes here, and is not to go any further. */
  expect(topic: string, payload: Uint8Array, by: string, now: number): void {
    this.#memory ??= new EchoMemory(MEMORY)
    this.#memory.expect(topic, payload, by, now)
  }

  /** Who published this message, which the link was sent; null: somebody else, or it is not sure enough. */
  take(topic: string, payload: Uint8Array, now: number): string | null {
    const by = this.#memory === null ? null : this.#memory.take(topic, payload, now)
    for (const [broker, proof] of this.#proofs) {
      if (!proof.isWaiting || (by !== null && this.#proofsOf.get(by) !== proof)) continue
      if (proof.cameBack(keyOf(topic, payload), now)) this.#onBroken(broker)
    }
    return by
  }

  /** The link has a new connection. */
  begin(): void {
    for (const proof of this.#proofs.values()) proof.begin()
  }

  /** Other rules, or another broker: what was seen says nothing any more. */
  forget(): void {
    this.#proofs.clear()
    this.#proofsOf.clear()
  }
}
