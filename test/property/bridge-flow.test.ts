/** One direction of a rule between two brokers that break off, forget, and come back whenever it suits them least. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Connection } from '../../src/bridge/connection.ts'
import { Flow } from '../../src/bridge/flow.ts'
import { TopicMap } from '../../src/bridge/topic-map.ts'
import { silentLogger } from '../../src/common/index.ts'
import { type Chance, chanceOf, End, Wire } from '../support/bridge-flow-ends.ts'
import { type PacketOf, puback, pubcomp, publish, pubrec, pubrel } from '../support/packets.ts'

interface Message {
  readonly n: number
  readonly topic: string
  readonly qos: 0 | 1 | 2
  id: number
  state: 'queued' | 'published' | 'released' | 'done' | 'forgotten'
}

const FATES = ['keep', 'map', 'half', 'once', 'nobody', 'long'] as const

function topicsOf(mapped: string): TopicMap {
  const to = (topic: string, qos: 0 | 1 | 2 = 2) => ({ topic, qos, retain: 'keep' as const })
  const filters = [
    { topic: 'keep/#', qos: 2 as const, target: to(''), limit: null },
    { topic: 'map/#', qos: 2 as const, target: to(`${mapped}/{#}`), limit: null },
    { topic: 'half/#', qos: 2 as const, target: to('', 1), limit: null },
    { topic: 'once/#', qos: 2 as const, target: to('', 0), limit: null },
  ]
  return new TopicMap(filters)
}

const payloadOf = (n: number): string => `${n}:${'x'.repeat((n * 37) % 90)}`

interface Troubles {
  readonly sourceForgets?: boolean
  readonly targetForgets?: boolean
  readonly restarts?: boolean
  readonly reloads?: boolean
}

/** The whole of it: the brokers as they should be, and the flow under test between them. */
class World {
  readonly #chance: Chance
  readonly #troubles: Troubles
  /** Nobody is left who could know what the killed bridge knew: then only the rest is asked for. */
  readonly #isHopeless: boolean
  readonly source = new End()
  readonly target = new End()
  flow: Flow
  readonly #window: number
  #mapped = 'mapped'
  #sourceKnows = false
  #targetKnows = false
  // The broker of the source.
  readonly messages: Message[] = []
  readonly #inFlight = new Map<number, Message>()
  #nextId = 1
  // The broker of the target: identifiers that wait for PUBREL, and how often each message went on to its clients.
  readonly #half = new Map<number, number>()
  readonly #deliversAtOnce: boolean
  readonly accepted = new Set<number>()
  readonly delivered = new Map<number, number>()
  readonly #newest = new Map<string, number>()

  constructor(seed: number, troubles: Troubles) {
    this.#chance = chanceOf(seed)
    this.#troubles = troubles
    this.#isHopeless =
      troubles.restarts === true && (troubles.sourceForgets === true || troubles.targetForgets === true)
    this.#window = 1 + this.#chance(5)
    this.#deliversAtOnce = this.#chance(2) === 0
    this.flow = this.#newFlow()
  }

  run(steps: number): void {
    for (let i = 0; i < steps; i++) this.#step()
    this.#connectBoth()
    for (let i = 0; i < 2000 && this.#isBusy(); i++) {
      this.#toSource(9)
      this.#toTarget(9)
      this.#fromSource(9)
      this.#fromTarget(9)
      this.#sendQueued()
    }
    this.#verify()
  }

  #step(): void {
    const { sourceForgets, targetForgets, restarts, reloads } = this.#troubles
    const dice = this.#chance(100)
    if (dice < 25) this.#publish()
    else if (dice < 42) this.#fromSource(1 + this.#chance(4))
    else if (dice < 57) this.#toTarget(1 + this.#chance(4))
    else if (dice < 72) this.#fromTarget(1 + this.#chance(4))
    else if (dice < 84) this.#toSource(1 + this.#chance(4))
    else if (dice < 87) this.#breakSource(sourceForgets === true && this.#chance(3) === 0)
    else if (dice < 90) this.#breakTarget(targetForgets === true && this.#chance(3) === 0)
    else if (dice < 93) this.#connectSource()
    else if (dice < 96) this.#connectTarget()
    else if (dice === 96 && restarts === true) this.#restart()
    else if (dice === 97 && reloads === true) this.#reload()
    else if (this.target.wire !== null) this.#block(this.target.wire)
  }

  #newFlow(): Flow {
    const settings = { topics: topicsOf(this.#mapped), window: this.#window, offlineMax: 3, guard: null }
    return new Flow('out', { source: this.source, target: this.target }, settings, silentLogger)
  }

  #publish(): void {
    const topic = `${FATES[this.#chance(FATES.length)]}/${this.#chance(2)}`
    const qos = ([0, 1, 2, 2] as const)[this.#chance(4)] as 0 | 1 | 2
    const message: Message = { n: this.messages.length, topic, qos, id: 0, state: 'queued' }
    this.messages.push(message)
    this.#sendQueued()
    if (qos === 0 && message.state === 'queued') message.state = 'forgotten'
  }

  #sendQueued(): void {
    for (const message of this.messages) {
      if (message.state !== 'queued' || this.source.wire === null) continue
      if (message.qos > 0) {
        if (this.#inFlight.size >= 8) return
        while (this.#inFlight.has(this.#nextId)) this.#nextId = (this.#nextId % 10) + 1
        message.id = this.#nextId
        this.#nextId = (this.#nextId % 10) + 1
        this.#inFlight.set(message.id, message)
      }
      this.#say(message, false)
      message.state = message.qos === 0 ? 'done' : 'published'
    }
  }

  #say({ n, topic, qos, id }: Message, dup: boolean): void {
    this.source.wire?.incoming.push(publish({ topic, qos, dup, packetId: id, payload: payloadOf(n) }))
  }

  #fromSource(count: number): void {
    const { wire } = this.source
    const packets = wire?.incoming.splice(0, count) ?? []
    if (wire === null || packets.length === 0) return
    const chunk = Buffer.concat(packets)
    let at = 0
    for (const { length } of packets) {
      const end = at + length
      const body = at + ((chunk[at + 1] as number) > 127 ? 3 : 2)
      if ((chunk[at] as number) >> 4 === 6) this.flow.released(chunk.readUInt16BE(body))
      else if (chunk.toString('utf8', body + 2, body + 6) === 'long') this.flow.oversize(chunk, at, body, end, 1e9)
      else assert.equal(this.flow.publish(this.source.connection as Connection, chunk, at, body, end), null)
      at = end
    }
    this.flow.readEnd()
    if (wire.isShared) chunk.fill(0xee)
  }

  #toSource(count: number): void {
    for (const packet of this.source.wire?.write(count) ?? []) {
      assert.ok('packetId' in packet, packet.type)
      const message = this.#inFlight.get(packet.packetId)
      assert.ok(message !== undefined, `${packet.type} ${packet.packetId} of nothing`)
      const { n, qos, topic, state, id } = message
      if (!/^(once|nobody|long)/.test(topic)) assert.ok(this.accepted.has(n), `${n} was acknowledged before the target`)
      if (packet.type === 'pubrec' && qos === 2) {
        message.state = 'released'
        this.source.wire?.incoming.push(pubrel(id))
      } else {
        assert.equal(packet.type, qos === 1 ? 'puback' : 'pubcomp')
        assert.equal(state, qos === 1 ? 'published' : 'released')
        message.state = 'done'
        this.#inFlight.delete(id)
      }
    }
  }

  #toTarget(count: number): void {
    const { wire } = this.target
    for (const packet of wire?.write(count) ?? []) {
      if (packet.type === 'pubrel') {
        const n = this.#half.get(packet.packetId)
        if (n !== undefined && !this.#deliversAtOnce) this.#deliver(n)
        this.#half.delete(packet.packetId)
        wire?.incoming.push(pubcomp(packet.packetId))
        continue
      }
      assert.ok(packet.type === 'publish', packet.type)
      const n = Number.parseInt(packet.payload.toString(), 10)
      this.#check(packet, n)
      if (packet.qos === 2) {
        const before = this.#half.get(packet.packetId)
        assert.ok(
          before === undefined || before === n || this.#isHopeless,
          `${n} taken for ${before}, which has its identifier`,
        )
        if (before === undefined && this.#deliversAtOnce) this.#deliver(n)
        this.#half.set(packet.packetId, n)
      } else this.#deliver(n)
      this.accepted.add(n)
      if (packet.qos > 0) wire?.incoming.push(packet.qos === 1 ? puback(packet.packetId) : pubrec(packet.packetId))
    }
  }

  #check(packet: PacketOf<'publish'>, n: number): void {
    const message = this.messages[n]
    assert.ok(message !== undefined, `no message has the number ${n}`)
    const { topic, qos } = message
    assert.equal(packet.payload.toString(), payloadOf(n))
    const isMoved = topic.startsWith('map/')
    if (isMoved) assert.match(packet.topic, /^mapped\d?\/\d$/)
    else assert.equal(packet.topic, topic)
    const most = topic.startsWith('half') ? 1 : topic.startsWith('once') ? 0 : 2
    assert.equal(packet.qos, Math.min(qos, most))
    // What leaves with QoS 0 may get lost on its way, and get through when its source repeats it later.
    if (this.accepted.has(n) || (most === 0 && qos > 0)) return
    assert.ok(n > (this.#newest.get(topic) ?? -1), `${n} comes behind ${this.#newest.get(topic)} on ${topic}`)
    this.#newest.set(topic, n)
  }

  #deliver(n: number): void {
    this.delivered.set(n, (this.delivered.get(n) ?? 0) + 1)
  }

  #fromTarget(count: number): void {
    for (const bytes of this.target.wire?.incoming.splice(0, count) ?? []) {
      this.flow.acknowledged((bytes[0] as number) >> 4, bytes.readUInt16BE(2))
    }
  }

  #block(wire: Wire): void {
    wire.blocked = !wire.blocked
    if (!wire.blocked) this.flow.writable()
  }

  #breakSource(forgets: boolean): void {
    this.source.wire = null
    if (!forgets) return
    this.#sourceKnows = false
    for (const message of this.messages) if (message.state !== 'done') message.state = 'forgotten'
    this.#inFlight.clear()
  }

  #breakTarget(forgets: boolean): void {
    if (this.target.wire !== null) {
      this.target.wire = null
      this.flow.targetDown(false)
    }
    if (forgets) this.#half.clear()
    this.#targetKnows &&= !forgets
  }
  #connectSource(): void {
    if (this.source.wire !== null) return
    this.source.wire = new Wire(this.#chance(2) === 0)
    this.flow.sourceUp(this.#sourceKnows)
    this.#sourceKnows = true
    for (const message of this.#inFlight.values()) {
      if (message.state === 'published') this.#say(message, true)
      else this.source.wire.incoming.push(pubrel(message.id))
    }
    this.#sendQueued()
  }

  #connectTarget(): void {
    if (this.target.wire !== null) return
    this.target.wire = new Wire(true)
    this.flow.targetUp(this.target.connection as Connection, this.#targetKnows)
    this.#targetKnows = true
  }

  #connectBoth(): void {
    this.#connectSource()
    this.#connectTarget()
    if (this.target.wire?.blocked === true) this.#block(this.target.wire)
  }

  /** The process of the bridge is killed, and another is started. */
  #restart(): void {
    this.flow.close()
    this.source.wire = null
    this.target.wire = null
    this.flow = this.#newFlow()
  }

  #reload(): void {
    this.#mapped = `mapped${this.#chance(5)}`
    this.flow.use({ topics: topicsOf(this.#mapped), window: this.#window, offlineMax: 3, guard: null })
  }

  #isBusy(): boolean {
    const wires = [this.source.wire as Wire, this.target.wire as Wire]
    return wires.some(wire => wire.waiting + wire.incoming.length > 0)
  }

  #verify(): void {
    const { inFlight, waiting, lagMs } = this.flow.figures(2)
    assert.deepEqual({ inFlight, waiting, lagMs }, { inFlight: 0, waiting: 0, lagMs: 0 }, 'nothing stays behind')
    assert.equal(this.source.failure + this.target.failure, '', 'nobody was sent away')
    if (!this.#isHopeless) assert.deepEqual([...this.#half], [], 'the target waits for no PUBREL')
    const { targetForgets } = this.#troubles
    for (const { n, qos, topic, state } of this.messages) {
      const times = this.delivered.get(n) ?? 0
      if (qos > 0) assert.ok(state === 'done' || state === 'forgotten', `${n} (${topic}, QoS ${qos}) is ${state}`)
      if (/^(nobody|long)/.test(topic)) assert.equal(times, 0)
      if (!/^(keep|map|half)/.test(topic) || qos === 0) continue
      if (state === 'done')
        assert.ok(times > 0 || this.#isHopeless, `${n} (${topic}, QoS ${qos}) was acknowledged, and is lost`)
      if (qos < 2 || topic.startsWith('half') || targetForgets === true) continue
      assert.ok(times <= 1, `${n} (${topic}, QoS 2) came ${times} times`)
    }
  }
}

function check(troubles: Troubles): void {
  for (let seed = 1; seed <= 300; seed++) {
    try {
      new World(seed, troubles).run(300)
    } catch (error) {
      throw new Error(`seed ${seed}: ${(error as Error).message}`, { cause: error })
    }
  }
}

test('brokers that keep their sessions: nothing lost, in order, QoS 2 once', () => check({}))
test('a source that forgets its session', () => check({ sourceForgets: true }))
test('a target that forgets its session gets again what it had not finished', () => check({ targetForgets: true }))
test('both forget', () => check({ sourceForgets: true, targetForgets: true }))
test('a bridge that is killed: nothing lost, QoS 2 once all the same', () => check({ restarts: true }))
test('topics that are mapped otherwise meanwhile: QoS 2 once all the same', () => check({ reloads: true }))
test('mapped otherwise, and killed', () => check({ reloads: true, restarts: true }))
test('all of it', () => check({ sourceForgets: true, targetForgets: true, restarts: true, reloads: true }))
