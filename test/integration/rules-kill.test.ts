/** The hub is killed while it forwards: what it has acknowledged is there with all its copies, and nothing is there by halves. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite, type TestContext, test } from 'node:test'
import { Random } from '../crash/random.ts'
import { configOf } from '../support/embedded-hub.ts'
import { KillableHub } from '../support/killable-hub.ts'
import { type Packet, publish, pubrel } from '../support/packets.ts'
import type { RawClient } from '../support/raw-client.ts'
import { rule, rulesYaml } from '../support/rules.ts'
import { numbers, ranges, StoredHub } from '../support/stored-hub.ts'

const SEED = Number(process.env['SEED'] ?? 20_260)
const KILLS = 10
const MOST = 4000
/** Each session and its filter: at the source, at both targets of it, and at the end of a chain. */
const SESSIONS = new Map([
  ['at-source', 'in/#'],
  ['at-one', 'one/#'],
  ['at-two', 'two/#'],
  ['at-end', 'end/#'],
])
const YAML = `${rulesYaml(rule('in/+ -> one/x'), rule('in/# -> two/x'), rule('two/x -> end/x'))}
queue: { max: { messages: 100000 } }`

interface Trial {
  dir: string
  hub: KillableHub
  publisher: RawClient
}

async function stage(t: TestContext): Promise<Trial> {
  const dir = mkdtempSync(join(tmpdir(), 'openedge-rules-'))
  t.after(() => rmSync(dir, { recursive: true, force: true }))
  const hub = await KillableHub.start(t, join(dir, 'data'), YAML)
  for (const [clientId, filter] of SESSIONS) {
    const client = await hub.open()
    assert.equal((await client.connect({ clientId, cleanSession: false })).returnCode, 0)
    await client.subscribe([filter, 2])
    await client.disconnect()
  }
  const publisher = await hub.open()
  await publisher.connect({ clientId: 'publisher' })
  return { dir, hub, publisher }
}

/** What each session has, from the disk alone. */
async function recover(t: TestContext, dir: string, config = configOf('')): Promise<Map<string, number[]>> {
  const stored = await StoredHub.start(t, { config, storage: { dir: join(dir, 'data') } })
  const found = new Map<string, number[]>()
  for (const clientId of SESSIONS.keys()) {
    const client = await stored.kept(clientId, true)
    found.set(clientId, await stored.drain(client, clientId))
  }
  return found
}

function acknowledgedBy(packet: Packet): number[] {
  return packet.type === 'puback' || packet.type === 'pubrec' ? [packet.packetId] : []
}

/** Publishes in bursts of any length, the numbers as packet identifiers too, until so many are acknowledged; kills at once. */
async function publishAndKill({ hub, publisher }: Trial, random: Random): Promise<{ sent: number; done: number[] }> {
  const wanted = random.between(1, 600)
  const done: number[] = []
  let sent = 0
  while (done.length < wanted && sent < MOST) {
    for (let bursts = random.between(1, 4); bursts > 0; bursts--) {
      const burst = numbers(sent + 1, sent + 1 + random.between(1, 60))
      const qos = random.pick([1, 1, 2])
      const topic = random.pick(['in/a', 'in/b'])
      const payload = (i: number): string => `${i} `.padEnd(random.between(10, 400), '.')
      publisher.send(Buffer.concat(burst.map(i => publish({ topic, payload: payload(i), qos, packetId: i }))))
      sent += burst.length
    }
    // Some of what has been sent is never waited for.
    const enough = random.between(done.length + 1, Math.min(sent, wanted))
    while (done.length < enough) {
      const packet = await publisher.next()
      done.push(...acknowledgedBy(packet))
      if (packet.type === 'pubrec') publisher.send(pubrel(packet.packetId))
    }
  }
  await hub.kill()
  // What was on its way to us when it was killed counts as acknowledged too.
  done.push(...(await publisher.drain()).flatMap(acknowledgedBy))
  return { sent, done }
}

suite('killed while it forwards', { concurrency: 1 }, () => {
  for (const qos of [1, 2]) {
    test(`directly after the acknowledgement of one message of QoS ${qos}`, async t => {
      const trial = await stage(t)
      trial.publisher.send(publish({ topic: 'in/a', payload: '7', qos, packetId: 7 }))
      await trial.publisher.expect(qos === 1 ? 'puback' : 'pubrec')
      await trial.hub.kill()
      for (const [clientId, received] of await recover(t, trial.dir)) assert.deepEqual(received, [7], clientId)
    })
  }

  test('a Will of its clients is forwarded when it is back', async t => {
    const trial = await stage(t)
    const mortal = await trial.hub.open()
    await mortal.connect({ clientId: 'mortal', will: { topic: 'in/a', payload: '8', qos: 1 } })
    await trial.publisher.publish({ topic: 'in/a', payload: '7', qos: 1 })
    await trial.hub.kill()
    const found = await recover(t, trial.dir, configOf(YAML))
    for (const [clientId, received] of found) assert.deepEqual(received, [7, 8], clientId)
  })

  for (let i = 0; i < KILLS; i++) {
    const seed = SEED + i
    test(`whenever it is, seed ${seed}`, async t => {
      const trial = await stage(t)
      const { sent, done } = await publishAndKill(trial, new Random(seed))
      const found = await recover(t, trial.dir)
      const source = found.get('at-source') ?? []
      const there = new Set(source)
      assert.equal(there.size, source.length, 'each once')
      assert.deepEqual(
        done.filter(each => !there.has(each)),
        [],
        'what was acknowledged is there',
      )
      for (const [clientId, received] of found) assert.equal(ranges(received), ranges(source), clientId)
      t.diagnostic(`${sent} sent, ${done.length} acknowledged, ${source.length} there`)
    })
  }
})
