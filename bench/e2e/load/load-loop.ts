import type { Client, ReadSpace } from './client.ts'
import type { Sender } from './sender.ts'
import type { Tally } from './tally.ts'

export interface Schedule {
  warmupMs: number
  durationMs: number
  /** Messages a second over all publishers, each sent when it is due; 0 sends whenever the window allows. */
  rate: number
  /** How long nothing may arrive, while something should, before the run is given up. */
  stallMs: number
}

export interface Publisher {
  client: Client
  sender: Sender
}

/** Told at the ends of the measured interval. Intervals before the last one are rehearsals. */
export interface Phases {
  onMeasure(): void
  /** `idleMs`: how much of the interval the loop found nothing to do. */
  onEnd(idleMs: number): void
}

export interface LoopParts {
  tally: Tally
  space: ReadSpace
  phases: Phases
  /** The list that all senders share. */
  withRoom: number[]
}

type Phase = 'rehearsal' | 'warm-up' | 'measured' | 'drain'

/**
 * Publishes once per turn of the event loop, one write for each publisher that may send. It never sleeps: a turn
 * without work goes straight to the next one, so that waking up is no part of what is measured.
 */
export class LoadLoop {
  readonly #publishers: readonly Publisher[]
  readonly #schedule: Schedule
  readonly #tally: Tally
  readonly #space: ReadSpace
  readonly #phases: Phases
  /** Numbers of the publishers whose window has opened. */
  readonly #withRoom: number[]
  #phase: Phase = 'rehearsal'
  #start = 0
  #phaseEnd = 0
  #scheduled = 0
  #nextPublisher = 0
  #progress = 0
  #progressAt = 0
  #turnAt = 0
  #reads = 0
  #wasIdle = false
  #idleMs = 0

  constructor(publishers: readonly Publisher[], schedule: Schedule, { tally, space, phases, withRoom }: LoopParts) {
    this.#publishers = publishers
    this.#schedule = schedule
    this.#tally = tally
    this.#space = space
    this.#phases = phases
    this.#withRoom = withRoom
    for (const publisher of publishers.keys()) withRoom.push(publisher)
  }

  /** Resolves when all is delivered after the measured interval, or nothing has come for too long. */
  run(signal: AbortSignal): Promise<void> {
    this.#start = performance.now()
    this.#turnAt = this.#start
    this.#progressAt = this.#start
    this.#phaseEnd = this.#start + this.#schedule.warmupMs / 2
    this.#phases.onMeasure()
    return new Promise(resolve => {
      const turn = (): void => {
        if (signal.aborted || this.#turn()) resolve()
        else setImmediate(turn)
      }
      setImmediate(turn)
    })
  }

  /** Returns true when the run is over. */
  #turn(): boolean {
    const now = performance.now()
    if (this.#wasIdle) this.#idleMs += now - this.#turnAt
    this.#turnAt = now
    if (this.#phase !== 'drain' && now >= this.#phaseEnd) this.#nextPhase(now)
    const made = this.#phase === 'drain' ? 0 : this.#schedule.rate > 0 ? this.#sendDue(now) : this.#sendAllowed(now)
    this.#wasIdle = made === 0 && this.#space.reads === this.#reads
    this.#reads = this.#space.reads
    const progress = this.#tally.delivered + this.#tally.acknowledged
    if (progress !== this.#progress || !this.#isWaiting()) {
      this.#progress = progress
      this.#progressAt = now
    } else if (now - this.#progressAt > this.#schedule.stallMs) {
      if (this.#phase !== 'drain') this.#phases.onEnd(this.#idleMs)
      return true
    }
    return this.#phase === 'drain' && !this.#isWaiting()
  }

  #nextPhase(now: number): void {
    switch (this.#phase) {
      case 'rehearsal':
        // Whatever the first change of a phase makes the compiler do again is to happen long before the measured part.
        this.#phases.onEnd(this.#idleMs)
        this.#phases.onMeasure()
        this.#phase = 'warm-up'
        this.#phaseEnd = this.#start + this.#schedule.warmupMs
        break
      case 'warm-up':
        this.#phases.onMeasure()
        this.#phase = 'measured'
        this.#phaseEnd = now + this.#schedule.durationMs
        break
      case 'measured':
        this.#phases.onEnd(this.#idleMs)
        this.#phase = 'drain'
        break
      case 'drain':
        break
    }
    this.#idleMs = 0
  }

  #isWaiting(): boolean {
    return this.#tally.delivered < this.#tally.expected || this.#tally.acknowledged < this.#tally.acknowledgements
  }

  #sendAllowed(now: number): number {
    let made = 0
    for (let i = 0; i < this.#withRoom.length; i++) {
      const { client, sender } = this.#publishers[this.#withRoom[i] as number] as Publisher
      sender.isListed = false
      const room = sender.room
      made += room
      for (let left = room; left > 0; left--) sender.make(now)
      client.writeAll(sender.takeUnwritten())
    }
    this.#withRoom.length = 0
    return made
  }

  /** Sends what is due by now. What the windows hold back stays due, so that its waiting counts as latency. */
  #sendDue(now: number): number {
    const gap = 1000 / this.#schedule.rate
    const due = Math.floor((now - this.#start) / gap) + 1
    const before = this.#scheduled
    while (this.#scheduled < due) {
      const publisher = this.#nextWithRoom()
      if (publisher === null) break
      publisher.sender.make(this.#start + this.#scheduled * gap)
      this.#scheduled++
    }
    if (this.#scheduled === before) return 0
    for (const { client, sender } of this.#publishers) client.writeAll(sender.takeUnwritten())
    return this.#scheduled - before
  }

  #nextWithRoom(): Publisher | null {
    for (let tries = 0; tries < this.#publishers.length; tries++) {
      const publisher = this.#publishers[this.#nextPublisher] as Publisher
      this.#nextPublisher = (this.#nextPublisher + 1) % this.#publishers.length
      if (publisher.sender.room > 0) return publisher
    }
    return null
  }
}
