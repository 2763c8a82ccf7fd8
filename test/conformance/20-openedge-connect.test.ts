import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { OPEN_TO_ALL, ownHubOnly, useHub } from '../support/hub.ts'
import { type ConnectOptions, connect } from '../support/packets.ts'
import type { Cleanup, Transport } from '../support/raw-client.ts'

const PRINCIPALS = `
principals:
  - username: alice
    password: secret
    permissions:
      - { action: pub, permit: ['alice/#'] }
      - { action: sub, permit: ['#'] }
  - username: machine
    permissions:
      - { action: pub, permit: ['machine/#'] }
      - { action: sub, permit: ['machine/#'] }
`
const ALICE = { username: 'alice', password: 'secret' }

const refused = (returnCode: number) => ({ type: 'connack', sessionPresent: false, returnCode }) as const

// An address that fails often has to wait, so each group has few failures and a hub of its own.
describe('OpenEdge: credentials', { concurrency: true, skip: ownHubOnly }, () => {
  const hub = useHub({ yaml: PRINCIPALS })

  test('the right user name and password are accepted', async t => {
    const client = await hub.connect(t, ALICE)
    await client.quiet()
  })

  const cases: [name: string, options: ConnectOptions][] = [
    ['no user name', { clientId: 'a' }],
    ['an empty user name', { clientId: 'a', username: '', password: 'secret' }],
    ['an unknown user name', { clientId: 'a', username: 'Alice', password: 'secret' }],
    ['a wrong password', { clientId: 'a', username: 'alice', password: 'Secret' }],
  ]
  for (const [name, options] of cases) {
    test(`${name} gets CONNACK 4 and the end`, async t => {
      const client = await hub.open(t)
      assert.deepEqual(await client.connect(options), refused(4))
      await client.closed()
    })
  }
})

describe('OpenEdge: empty passwords', { concurrency: true, skip: ownHubOnly }, () => {
  const hub = useHub({ yaml: PRINCIPALS })

  const cases: [name: string, options: ConnectOptions][] = [
    ['no password', { clientId: 'a', username: 'alice' }],
    ['an empty password', { clientId: 'a', username: 'alice', password: '' }],
    ['a principal without password, but no certificate', { clientId: 'a', username: 'machine', password: '' }],
    ['a principal without password, given a password', { clientId: 'a', username: 'machine', password: 'x' }],
  ]
  for (const [name, options] of cases) {
    test(`${name}: CONNACK 4 and the end`, async t => {
      const client = await hub.open(t)
      assert.deepEqual(await client.connect(options), refused(4))
      await client.closed()
    })
  }
})

for (const transport of ['tls', 'wss'] as const satisfies Transport[]) {
  describe(`OpenEdge: client certificates on ${transport}`, { concurrency: true, skip: ownHubOnly }, () => {
    const hub = useHub({ yaml: PRINCIPALS, transports: [transport], clientCertificates: ['whoever'] })

    const connectAs = async (t: Cleanup, options: ConnectOptions, certificate?: string): Promise<number> => {
      const client = await hub.open(t, transport, certificate)
      const { returnCode } = await client.connect({ clientId: `cert-${hub.connectedClients()}`, ...options })
      if (returnCode !== 0) await client.closed()
      return returnCode
    }

    test('a verified certificate with the user name of a principal without password is enough', async t => {
      assert.equal(await connectAs(t, { username: 'machine' }, 'whoever'), 0)
      assert.equal(await connectAs(t, { username: 'machine', password: '' }, 'whoever'), 0)
    })

    test('a certificate is not needed by who has a password', async t => {
      assert.equal(await connectAs(t, ALICE), 0)
      assert.equal(await connectAs(t, ALICE, 'whoever'), 0)
    })

    test('without certificate CONNACK 4', async t => {
      assert.equal(await connectAs(t, { username: 'machine' }), 4)
    })

    test('a certificate without user name, for a principal with password, or with a wrong password: CONNACK 4', async t => {
      assert.equal(await connectAs(t, {}, 'whoever'), 4)
      assert.equal(await connectAs(t, { username: 'alice' }, 'whoever'), 4)
      assert.equal(await connectAs(t, { username: 'alice', password: 'wrong' }, 'whoever'), 4)
    })
  })
}

describe('OpenEdge: the order of checks', { concurrency: true, skip: ownHubOnly }, () => {
  const hub = useHub({ yaml: PRINCIPALS })
  const badWill = { topic: '$bad/topic' }
  const forbiddenWill = { topic: 'bob/topic' }

  const cases: [name: string, options: ConnectOptions, returnCode: number | null][] = [
    ['credentials before client identifier', { username: 'alice', password: 'x', clientId: 'a b' }, 4],
    ['credentials before will', { username: 'alice', password: 'x', clientId: 'a', will: forbiddenWill }, 4],
    ['credentials before a will that is not valid', { clientId: 'a', will: badWill }, 4],
    ['client identifier before will', { ...ALICE, clientId: 'a b', will: forbiddenWill }, 2],
    ['client identifier before a will that is not valid', { ...ALICE, clientId: 'a b', will: badWill }, 2],
    ['a will that is not permitted', { ...ALICE, clientId: 'a', will: forbiddenWill }, 5],
    ['a will that is not valid', { ...ALICE, clientId: 'a', will: badWill }, null],
    ['protocol level before credentials', { protocolLevel: 6, clientId: 'a' }, 1],
    ['format before credentials', { clientId: 'a', flags: 0x03 }, null],
  ]
  for (const [name, options, returnCode] of cases) {
    const outcome = returnCode === null ? 'the end without CONNACK' : `CONNACK ${returnCode}`
    test(`${name}: ${outcome}`, async t => {
      const client = await hub.open(t)
      client.send(connect(options))
      if (returnCode !== null) assert.deepEqual(await client.next(), refused(returnCode))
      await client.closed()
    })
  }

  test('a refused CONNECT does not end the connection that has its client identifier', async t => {
    const client = await hub.connect(t, { ...ALICE, clientId: 'stays' })
    const other = await hub.open(t)
    const { returnCode } = await other.connect({ ...ALICE, clientId: 'stays', will: forbiddenWill })
    assert.equal(returnCode, 5)
    await other.closed()
    await client.quiet()
  })

  test('a permitted will is accepted', async t => {
    const witness = await hub.connect(t, ALICE)
    await witness.subscribe(['alice/will', 0])
    const client = await hub.connect(t, { ...ALICE, will: { topic: 'alice/will' } })
    client.destroy()
    assert.equal((await witness.receive()).topic, 'alice/will')
  })
})

describe('OpenEdge: client identifiers and protocol versions', { concurrency: true, skip: ownHubOnly }, () => {
  const hub = useHub()

  for (const clientId of ['_', '-', 'a_b-C-9', 'x'.repeat(127), 'x'.repeat(128)]) {
    test(`client identifier ${clientId.slice(0, 8)} of ${clientId.length} characters is accepted`, async t => {
      const client = await hub.connect(t, { clientId })
      await client.quiet()
    })
  }

  for (const clientId of ['x'.repeat(129), 'a b', 'a.b', 'a/b', 'a+b', '$a', '中文', 'é', ' ', 'a\n', '\ufeff']) {
    test(`[MQTT-3.1.3-9] client identifier ${JSON.stringify(clientId.slice(0, 8))} of ${clientId.length} gets CONNACK 2`, async t => {
      const client = await hub.open(t)
      assert.deepEqual(await client.connect({ clientId }), refused(2))
      await client.closed()
    })
  }

  for (const protocolName of ['MQTT', 'MQIsdp']) {
    for (const protocolLevel of [3, 4]) {
      test(`${protocolName} with protocol level ${protocolLevel} is accepted`, async t => {
        const client = await hub.connect(t, { protocolName, protocolLevel })
        await client.subscribe(['version', 0])
        await client.quiet()
      })
    }
  }
})

describe('Client identifiers of any characters', { skip: ownHubOnly }, () => {
  const hub = useHub({ yaml: `${OPEN_TO_ALL}\nlimits: { clientid: { length: 10, charset: any } }\n` })

  test('are accepted when configured, up to the configured length', async t => {
    for (const clientId of ['a b', '中文', 'a/b#', '0123456789']) await hub.connect(t, { clientId })
    const client = await hub.open(t)
    assert.deepEqual(await client.connect({ clientId: '0123456789a' }), refused(2))
    await client.closed()
  })
})
