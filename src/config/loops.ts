import { readClientUrl } from './client-url.ts'
import { isLoopback } from './listen-url.ts'
import type { BridgeConfig } from './schema/bridge.ts'
import type { BridgeSubscriptionConfig } from './schema/bridge-rule.ts'
import type { ClientConfig } from './schema/client.ts'
import type { HubConfig } from './schema/hub.ts'
import { type Forward, findCircles } from './topic-rules.ts'
import { isTemplateProblem, parseTemplate, type TopicTemplate } from './topic-template.ts'

/** Something about the ways that messages take through several configurations. */
export interface LoopFinding {
  /** Names every rule on the way. */
  readonly message: string
  /** False: it stops at run time, by what the bridge remembers. */
  readonly isError: boolean
}

/** A bridge of the hub. */
export interface NamedBridge {
  /** What messages call it, such as the name of its service. */
  readonly name: string
  readonly config: BridgeConfig
}

/** One step of a message: by a rule of the hub, or by one subscription of a rule of a bridge. */
interface Step {
  readonly source: string
  readonly target: TopicTemplate
  readonly from: Place
  readonly to: Place
  /** For people. */
  readonly text: string
}

/** Where a step begins or ends. */
interface Place {
  readonly broker: string
  /** Who takes messages there, or publishes them; null: the hub itself. */
  readonly client: Client | null
  /** Whose messages are taken only, or as whom they are published; empty: everybody's, or not known. */
  readonly principal: string
}

/** One of the two connections of a rule. */
interface Client {
  readonly id: string
  /** Its broker sends nothing back to it that it published. */
  readonly isPrivate: boolean
  /** So do the brokers of both connections of the rule. */
  readonly isRulePrivate: boolean
  /** `hub`, or `remote cloud`. */
  readonly side: string
}

/** No address is like this. */
const HUB = '\0hub'
const ADVICE = 'give the way back topics of its own'

/**
 * Circles of messages through the rules of a hub and those of the bridges that are connected to it. All bridges are taken to
 * be bridges of one hub; remotes with the same address are one broker, whatever they are called, and so is a remote with
 * the address by which a bridge reaches its hub.
 *
 * What runs for ever is an error. A message goes on from one step to the next when the topic that the first publishes may be
 * one that the second takes, on the same broker. It does not go on when both are done by the same connection of a bridge, as
 * that tells the broker that it is a bridge (`tryprivate`), and then nothing comes back to it that it published. So these
 * circle nothing, and nothing is said of them:
 *
 * - the same filter on both sides of a rule, with or without other topics at the other end;
 * - a rule of the hub `a -> b` beside one rule of a bridge that takes `b` to the remote and brings back what comes there as
 *   `a`: what this rule published at the remote does not come back by it. It does by a second rule of the same remote, or of
 *   another bridge, and then that is an error.
 *
 * A copy that a rule of the hub makes of what a bridge published is taken to be nobody's own: it may go out where the original
 * came in.
 *
 * Where `tryprivate` is false on one side of such a rule or on both, it is a warning: what comes back there is known by its
 * content only, and for some time only.
 *
 * It errs on the safe side: each step is looked at for itself, and a placeholder may stand for anything. There are findings
 * when there is any circle, but not one for every circle.
 *
 * @param hub null: not known
 */
export function findBridgeLoops(hub: HubConfig | null, bridges: readonly NamedBridge[]): LoopFinding[] {
  const steps = [...bridges.flatMap((_, index) => stepsOfBridge(bridges, index, hub)), ...stepsOfHub(hub)]
  const circles = findCircles(steps.map(step => forwardOf(step, client => client.id)))
  if (circles === null) return [TOO_MANY]
  const findings = circles.map(circle => ({ message: circleMessage(circle.map(i => steps[i] as Step)), isError: true }))
  if (steps.every(({ from }) => from.client?.isRulePrivate !== false)) return findings
  // Those of a rule alone, where its broker does not know it for a bridge.
  const more = findCircles(steps.map(step => forwardOf(step, client => (client.isRulePrivate ? client.id : ''))))
  for (const circle of more ?? []) {
    const path = circle.map(i => steps[i] as Step)
    const echo = path.find((step, i) => isEcho(step.to.client, (path[(i + 1) % path.length] as Step).from.client))
    if (echo !== undefined) findings.push({ message: echoMessage(path, echo), isError: false })
  }
  return more === null ? [...findings, TOO_MANY] : findings
}

const TOO_MANY: LoopFinding = {
  message: 'topics of rules overlap in too many ways to be searched for circles; use fewer {#} and wildcards',
  isError: false,
}

function circleMessage(path: readonly Step[]): string {
  return `messages run in a circle: ${path.map(({ text }) => text).join(' -> ')}; ${ADVICE}`
}

function echoMessage(path: readonly Step[], { to }: Step): string {
  const way = path.map(({ text }) => text).join(' -> ')
  const why = `${to.client?.side} has tryprivate: false`
  return `messages come back by the rule that they left by: ${way}; ${why}, so that they are known by their content only`
}

/** Whether a client takes what it published, as its broker does not keep it away. */
function isEcho(publisher: Client | null, taker: Client | null): boolean {
  return publisher !== null && publisher.id === taker?.id && !publisher.isPrivate
}

/** @param idOf what tells a client from others, so that it gets nothing back of what it published; empty: it does */
function forwardOf({ source, target, from, to }: Step, idOf: (client: Client) => string): Forward {
  const end = ({ broker, client, principal }: Place) => {
    return { broker, client: client === null ? '' : idOf(client), principal }
  }
  return { source, target, from: end(from), to: end(to) }
}

function stepsOfHub(hub: HubConfig | null): Step[] {
  const steps: Step[] = []
  for (const { source, target } of hub?.subscriptions ?? []) {
    const template = parseTemplate(target.topic, source.topic)
    if (isTemplateProblem(template)) continue
    steps.push({
      source: source.topic,
      target: template,
      from: { broker: HUB, client: null, principal: source.principal },
      // Whose copy it is depends on who published the original.
      to: { broker: HUB, client: null, principal: '' },
      text: `hub rule (${source.topic} -> ${target.topic})`,
    })
  }
  return steps
}

function stepsOfBridge(bridges: readonly NamedBridge[], number: number, hub: HubConfig | null): Step[] {
  const { name, config } = bridges[number] as NamedBridge
  const remotes = new Map(config.remotes.map(remote => [remote.name, remote]))
  const hubs = new Set(bridges.map(bridge => brokerOf(bridge.config.hub)))
  // Who a certificate says that a client is can't be told from here.
  const isByName = hub === null || hub.certificate.identity === 'username'
  const principal = isByName ? config.hub.username || 'anonymous' : ''
  return config.rules.flatMap((rule, index) => {
    const remote = remotes.get(rule.remote.name)
    if (remote === undefined) return []
    const address = brokerOf(remote)
    const label = `bridge ${name} rule ${rule.name}`
    const isRulePrivate = config.hub.tryPrivate && remote.tryPrivate
    const client = (side: string, isPrivate: boolean): Client => {
      return { id: `${number} ${index} ${side}`, isPrivate, isRulePrivate, side }
    }
    const here = { broker: HUB, client: client('hub', config.hub.tryPrivate) }
    const there = {
      broker: hubs.has(address) ? HUB : address,
      client: client(`remote ${remote.name}`, remote.tryPrivate),
      principal: '',
    }
    return [
      ...stepsOf(rule.hub.subscriptions, { ...here, principal: '' }, there, ({ topic, target }) => {
        const end = target.topic === '' ? remote.name : `${remote.name} ${target.topic}`
        return `${label} out (${topic} -> ${end})`
      }),
      ...stepsOf(rule.remote.subscriptions, there, { ...here, principal }, ({ topic, target }) => {
        const end = target.topic === '' ? 'hub' : `hub ${target.topic}`
        return `${label} in (${remote.name} ${topic} -> ${end})`
      }),
    ]
  })
}

function stepsOf(
  subscriptions: readonly BridgeSubscriptionConfig[],
  from: Place,
  to: Place,
  textOf: (subscription: BridgeSubscriptionConfig) => string,
): Step[] {
  const steps: Step[] = []
  for (const subscription of deciding(subscriptions)) {
    const { topic: source, target } = subscription
    const template = target.topic === '' ? UNCHANGED : parseTemplate(target.topic, source)
    if (isTemplateProblem(template)) continue
    steps.push({ source, target: template, from, to, text: textOf(subscription) })
  }
  return steps
}

const UNCHANGED: TopicTemplate = { parts: [{ kind: 'topic' }], isPlain: false, isPersonal: false }

/** Of several with one filter the one with the highest QoS, among equals the first: no other ever has a say. */
function deciding(subscriptions: readonly BridgeSubscriptionConfig[]): Iterable<BridgeSubscriptionConfig> {
  const chosen = new Map<string, BridgeSubscriptionConfig>()
  for (const subscription of subscriptions) {
    const rival = chosen.get(subscription.topic)
    if (rival === undefined || subscription.qos > rival.qos) chosen.set(subscription.topic, subscription)
  }
  return chosen.values()
}

/** Ports that one broker usually has several of. */
const USUAL_PORTS: ReadonlySet<number> = new Set([1883, 8883, 80, 443])

/** The same for all ways to write the address of one broker. */
function brokerOf({ address }: ClientConfig): string {
  const url = readClientUrl(address)
  if (typeof url === 'string') return address
  if (isLoopback(url.host)) return `loopback:${url.port}`
  const host = url.host.toLowerCase().replace(/\.$/, '')
  // On this machine there may be one broker for each; a host elsewhere is rarely two.
  return USUAL_PORTS.has(url.port) ? host : `${host}:${url.port}`
}
