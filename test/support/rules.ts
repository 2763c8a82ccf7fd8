/** Rules as the hub takes them, and what comes out of them, in few words. */
import assert from 'node:assert/strict'
import type { RuleConfig } from '../../src/config/index.ts'
import type { Rule } from '../../src/router/index.ts'
import { type EmbeddedHub, until } from './embedded-hub.ts'
import { type Packet, publish, pubrel, type Qos } from './packets.ts'
import type { RawClient } from './raw-client.ts'

interface RuleOptions {
  sourceQos?: Qos
  targetQos?: Qos
  retain?: RuleConfig['target']['retain']
  /** Only what this principal publishes. */
  from?: string
  limit?: { rate: number; burst?: number }
  /** Whose permissions count. */
  authorizedAs?: string
}

/** A rule, written as `source -> target`; QoS 2 on both sides, so that it takes nothing away, unless told. */
export function rule(pair: string, options: RuleOptions = {}): RuleConfig {
  const [source, target] = pair.split(' -> ')
  assert.ok(source !== undefined && target !== undefined, `${pair} is no rule`)
  const { sourceQos = 2, targetQos = 2, retain = 'clear', from = '', limit, authorizedAs } = options
  return {
    source: { topic: source, qos: sourceQos, principal: from },
    target: { topic: target, qos: targetQos, retain },
    limit: limit === undefined ? null : { rate: limit.rate, burst: limit.burst ?? 0 },
    authorize: authorizedAs !== undefined,
    principal: authorizedAs ?? '',
  }
}

/** The same for a configuration file. */
export function rulesYaml(...rules: readonly RuleConfig[]): string {
  return `subscriptions: ${JSON.stringify(rules.map(({ source, target }) => ({ source, target })))}`
}

/** A rule of the hub, by `source -> target`. */
export function ruleOf({ hub }: Pick<EmbeddedHub, 'hub'>, name: string): Rule {
  const found = hub.state.rules.rules.find(each => each.name === name)
  assert.ok(found !== undefined, `there is no rule ${name}`)
  return found
}

/** Messages among some packets, each as `topic qos payload`, with what else is set. */
export function linesOf(packets: readonly Packet[]): string[] {
  return packets.flatMap(packet => {
    if (packet.type !== 'publish') return []
    const { topic, qos, payload, dup, retain } = packet
    return [`${topic} ${qos} ${payload.toString()}${dup ? ' DUP' : ''}${retain ? ' RETAIN' : ''}`]
  })
}

/** What has come to a client, in the order of the alphabet, for what is said of two topics may come in any order. */
export async function heard(client: RawClient): Promise<string[]> {
  return linesOf(await client.everything()).sort()
}

/** The same, when so many have come: what came with QoS 2 waits for the disk before it is sent to a kept session. */
export async function heardAll(client: RawClient, count: number): Promise<string[]> {
  const lines: string[] = []
  await until(async () => {
    lines.push(...linesOf(await client.everything()))
    return lines.length >= count
  }, `${count} messages come`)
  return lines.sort()
}

/** Messages that come to the hub in one write, so that those of one topic are one run; they are taken on to the end. */
export async function publishAtOnce(
  client: RawClient,
  topic: string,
  qos: number,
  payloads: readonly string[],
): Promise<void> {
  const packets = payloads.map((payload, i) => publish({ topic, payload, qos, packetId: i + 1 }))
  client.send(Buffer.concat(packets))
  const answers = await client.everything()
  const wanted = qos === 0 ? [] : payloads.map((_, i) => ({ type: qos === 1 ? 'puback' : 'pubrec', packetId: i + 1 }))
  assert.deepEqual(answers, wanted, 'what the publisher gets')
  if (qos < 2) return
  client.send(Buffer.concat(payloads.map((_, i) => pubrel(i + 1))))
  for (const _ of payloads) await client.expect('pubcomp')
}
