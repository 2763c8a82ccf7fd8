import { filterMatches } from '../router/index.ts'
import type { Link } from './link.ts'
import type { TopicMap } from './topic-map.ts'

/** Steps of messages that are looked at for one topic. */
const MOST_STEPS = 256
/** With more ways than this brokers with two names are not looked for: it would take too long for each new topic. */
const MOST_WAYS = 64

/** One direction of a rule: takes messages by one link and publishes them by another. */
export interface Way {
  readonly rule: string
  readonly from: Link
  readonly to: Link
  readonly topics: TopicMap
}

/** A rule that brings a message nearer to where it was taken. */
export interface WayBack {
  readonly first: Way
  /** Names of the rules on the way round, that of the sender first. */
  readonly rules: readonly string[]
  /** False: only if two addresses are those of one broker. */
  readonly isSure: boolean
}

/** Two addresses, perhaps of one broker; null: none is meant. */
type Alias = readonly [string, string] | null

interface Step {
  readonly by: Way
  readonly topic: string
  readonly before: Step | null
}

/** Whether messages of this way may come back to where it takes them, whatever their topics. */
export function mayReturn(way: Way, all: readonly Way[]): boolean {
  return all.some(first => {
    const alias = aliasOf(way, first, all)
    return alias !== undefined && reaches(first, way, all, alias)
  })
}

/**
 * The rules that take what `way` publishes with this topic and bring it back, over others perhaps, to where `way` would take it
 * again. No link is sent what it published itself: of that its broker takes care, or its own memory.
 */
export function waysBack(way: Way, topic: string, all: readonly Way[]): WayBack[] {
  const found: WayBack[] = []
  for (const first of all) {
    const alias = aliasOf(way, first, all)
    const next = alias === undefined ? null : takes(first, topic)
    if (alias === undefined || next === null) continue
    const rules = search(way, { by: first, topic: next, before: null }, all, alias)
    if (rules !== null) found.push({ first, rules: [way.rule, ...rules], isSure: alias === null })
  }
  return found
}

/** What has to be so for `first` to be sent what `way` publishes; undefined: it never is. */
function aliasOf(way: Way, first: Way, all: readonly Way[]): Alias | undefined {
  if (first === way || first.from === way.to) return undefined
  if (first.from.broker === way.to.broker) return null
  return all.length <= MOST_WAYS ? [first.from.broker, way.to.broker] : undefined
}

function reaches(first: Way, way: Way, all: readonly Way[], alias: Alias): boolean {
  const reached = new Set([first])
  for (const last of reached) {
    if (isNext(last, way, alias)) return true
    for (const other of all) if (isNext(last, other, alias)) reached.add(other) // comes by in this loop, too
  }
  return false
}

/** The rules on the shortest way back that begins so; null: there is none. */
function search(way: Way, first: Step, all: readonly Way[], alias: Alias): string[] | null {
  const steps = [first]
  for (const step of steps) {
    if (isNext(step.by, way, alias) && takes(way, step.topic) !== null) return namesOf(step)
    for (const other of all) {
      if (steps.length >= MOST_STEPS) return null
      const next = isNext(step.by, other, alias) ? takes(other, step.topic) : null
      if (next !== null && !steps.some(seen => seen.by === other && seen.topic === next))
        steps.push({ by: other, topic: next, before: step }) // comes by in this loop, too
    }
  }
  return null
}

function namesOf(last: Step): string[] {
  const names: string[] = []
  for (let step: Step | null = last; step !== null; step = step.before) names.unshift(step.by.rule)
  return names
}

/** Whether `next` may be sent what `way` publishes. */
function isNext(way: Way, next: Way, alias: Alias): boolean {
  if (next.from === way.to) return false
  const [here, there] = [way.to.broker, next.from.broker]
  return here === there || (alias !== null && alias.includes(here) && alias.includes(there))
}

/** The topic that a message of this topic gets; null when the way does not take it. */
function takes({ from, topics }: Way, topic: string): string | null {
  if (filtersFor(from, topic).length === 0) return null // most do not, and need not be remembered
  return targetOf(topics, topic)
}

export function targetOf(topics: TopicMap, topic: string): string | null {
  const bytes = Buffer.from(topic)
  const plan = topics.find(bytes, 0, bytes.length)
  return plan === null || plan.qos < 0 || plan.problem !== '' ? null : plan.target
}

/** Those filters of a link that ask for a topic. */
export function filtersFor(link: Link, topic: string): string[] {
  return link.settings.filters.map(filter => filter.topic).filter(filter => filterMatches(filter, topic))
}
