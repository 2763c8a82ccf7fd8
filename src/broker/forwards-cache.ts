import { type Forwards, forwardsOf, type Surroundings, type Voice } from './forwards.ts'
import type { Route } from './route.ts'

/** Bytes that all that is remembered may take, roughly; beyond that all is forgotten. */
const MOST_BYTES = 16_777_216
/** A copy and the route it goes to, without their topic. */
const COPY_BYTES = 512

interface Known {
  readonly forwards: Forwards
  /** Of the route, when it was found out. */
  readonly epoch: number
}

/** What rules make of the messages of a topic: found out once, or once for each publisher where it depends on that. */
export class ForwardsCache {
  readonly #surroundings: Surroundings
  #byVoice = new Map<Voice | null, Map<Route, Known>>()
  #bytes = 0

  constructor(surroundings: Surroundings) {
    this.#surroundings = surroundings
  }

  /** The route is up to date, and has rules. */
  of(route: Route, publisher: Voice | null): Forwards {
    const voice = route.isPersonal ? publisher : null
    const known = this.#byVoice.get(voice)?.get(route)
    if (known !== undefined && known.epoch === route.epoch) return known.forwards
    const forwards = forwardsOf(route.topic, route.rules, voice, this.#surroundings)
    const copies = forwards.copies.reduce((bytes, copy) => bytes + COPY_BYTES + 2 * copy.route.bytes.length, COPY_BYTES)
    this.#bytes += copies
    if (this.#bytes > MOST_BYTES) {
      this.clear()
      this.#bytes = copies
    }
    const routes = this.#byVoice.get(voice)
    if (routes === undefined) this.#byVoice.set(voice, new Map([[route, { forwards, epoch: route.epoch }]]))
    else routes.set(route, { forwards, epoch: route.epoch })
    return forwards
  }

  clear(): void {
    this.#byVoice = new Map()
    this.#bytes = 0
  }
}
