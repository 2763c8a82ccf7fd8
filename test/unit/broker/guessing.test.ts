/** Many connections of one address that try passwords side by side. */
import assert from 'node:assert/strict'
import { duplexPair } from 'node:stream'
import { suite, test } from 'node:test'
import { hashPassword } from '../../../src/auth/index.ts'
import type { Hub } from '../../../src/broker/index.ts'
import type { HubConfig } from '../../../src/config/index.ts'
import { configOf, type EmbeddedHub, embedHub, until } from '../../support/embedded-hub.ts'
import { collectGarbage } from '../../support/garbage.ts'
import { connect } from '../../support/packets.ts'
import type { RawClient } from '../../support/raw-client.ts'

const GUESSER = '203.0.113.7'
const NEIGHBOUR = '203.0.113.8'
const ACCOUNT = { username: 'device', password: 'right' }
/** Failures that cost an address nothing. */
const FREE = 5

const configWith = (password: string): HubConfig =>
  configOf(`principals: [{ username: device, password: '${password}', permissions: [] }]`, '')

const CONFIGS: Readonly<Record<string, () => Promise<HubConfig>>> = {
  plain: async () => configWith(ACCOUNT.password),
  hashed: async () => configWith(await hashPassword(ACCOUNT.password)),
}

/** Sends that many wrong passwords at once. */
function guess({ openStream }: EmbeddedHub, count: number): RawClient[] {
  return Array.from({ length: count }, (_, i) => {
    const client = openStream({ address: GUESSER })
    client.send(connect({ clientId: `guess${i}`, username: 'device', password: `wrong ${i}` }))
    return client
  })
}

/** Adds up the CONNACKs that come. */
function countAnswers(clients: readonly RawClient[]): { count: number } {
  const answers = { count: 0 }
  for (const client of clients) {
    client.nextOrClosed(60_000).then(
      packet => {
        if (packet !== null) answers.count++
      },
      () => {},
    )
  }
  return answers
}

suite('wrong passwords side by side', () => {
  for (const [kind, makeConfig] of Object.entries(CONFIGS)) {
    test(`${kind}: after the first failures they are judged one by one, slower and slower`, async t => {
      const embedded = await embedHub(t, { config: await makeConfig() })
      const answers = countAnswers(guess(embedded, 60))
      await until(() => answers.count >= FREE, 'the first failures')
      // From now on the waits are 250, 500, 1000 ms: two answers more in a second, one of them perhaps already there.
      await new Promise(resolve => setTimeout(resolve, 1000))
      const { count } = answers
      assert.ok(count > FREE, `only ${count} answers`)
      assert.ok(count <= FREE + 4, `${count} of 60 guesses were judged within a second`)
    })

    test(`${kind}: another address is let in meanwhile, with the right password`, async t => {
      const embedded = await embedHub(t, { config: await makeConfig() })
      countAnswers(guess(embedded, 80))
      const neighbour = embedded.openStream({ address: NEIGHBOUR })
      const { returnCode } = await neighbour.connect({ clientId: 'neighbour', ...ACCOUNT })
      assert.equal(returnCode, 0)
    })

    test(`${kind}: the right password waits its turn, and is let in`, async t => {
      const embedded = await embedHub(t, { config: await makeConfig() })
      const guesses = guess(embedded, FREE)
      for (const client of guesses) assert.equal((await client.nextOrClosed())?.type, 'connack')
      const own = embedded.openStream({ address: GUESSER })
      assert.equal((await own.connect({ clientId: 'own', ...ACCOUNT })).returnCode, 0)
    })
  }
})

/** A connection of the guesser that leaves before it is looked at; nothing here refers to it afterwards. */
async function comeAndGo(hub: Hub, i: number): Promise<WeakRef<object>> {
  const [near, far] = duplexPair()
  const client = hub.accept(near, { transport: 'tcp', listener: '', address: GUESSER, port: 1, certificate: null })
  far.write(connect({ clientId: `gone${i}`, username: 'device', password: Buffer.alloc(30_000, 'x') }))
  await new Promise(resolve => setImmediate(resolve))
  near.destroy()
  far.destroy()
  await new Promise(resolve => setImmediate(resolve))
  return new WeakRef(client)
}

test('connections that leave while they are made to wait are forgotten at once', async t => {
  const embedded = await embedHub(t, { config: configWith(ACCOUNT.password) })
  const { hub } = embedded
  // The eighth failure makes the next wait for a second.
  for (const client of guess(embedded, FREE + 3)) assert.equal((await client.nextOrClosed())?.type, 'connack')
  const since = performance.now()
  const gone: WeakRef<object>[] = []
  for (let i = 0; i < 50; i++) gone.push(await comeAndGo(hub, i))
  await until(() => hub.connections === 0, 'the connections end')
  await collectGarbage()
  const left = gone.filter(reference => reference.deref() !== undefined).length
  assert.ok(performance.now() - since < 900, 'too slow to tell')
  assert.ok(left <= 2, `${left} of ${gone.length} are still held`)
})
