/** One line for each client that comes, goes or is refused. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { inspect } from 'node:util'
import { ClientLog } from '../../../src/broker/client-log.ts'
import { configOf, type EmbeddedHub, embedHub, until } from '../../support/embedded-hub.ts'
import { KeptLog } from '../../support/kept-log.ts'
import { type ConnectOptions, connect, disconnect, publish } from '../../support/packets.ts'
import type { Cleanup } from '../../support/raw-client.ts'

const PASSWORD = 'open sesame'
const WRONG = 'wrong guess'
const PAYLOAD = 'forty-two degrees'
const CONFIG = configOf(
  `principals:
  - username: device
    password: ${PASSWORD}
    permissions:
      - { action: pub, permit: ['t/#'] }
      - { action: sub, permit: ['t/#'] }`,
  '',
)
const ACCOUNT: ConnectOptions = { username: 'device', password: PASSWORD }
const QOS_3 = Buffer.from([0x36, 7, 0, 3, ...Buffer.from('t/1'), 0, 1])
const SOURCE = { address: '127.0.0.1', transport: 'tcp' }

interface Logged extends EmbeddedHub {
  readonly log: KeptLog
  /** The fields of the lines of an event. */
  readonly of: (event: string) => Record<string, unknown>[]
  /** The fields of the only line of an event, as soon as there is one. */
  readonly only: (event: string) => Promise<Record<string, unknown>>
}

async function embedLogged(t: Cleanup, config = CONFIG): Promise<Logged> {
  const log = new KeptLog()
  const embedded = await embedHub(t, { config, log })
  const of: Logged['of'] = event =>
    log.lines.filter(line => line.event === event).map(({ fields }) => ({ ...fields }) as Record<string, unknown>)
  const only: Logged['only'] = async event => {
    await until(() => of(event).length > 0, event)
    const [line, ...others] = of(event)
    assert.deepEqual(others, [], `one line of ${event}`)
    return line as Record<string, unknown>
  }
  return { ...embedded, log, of, only }
}

/** The reason that the line of a disconnect gives when `act` ends the connection. */
async function reasonOf(t: Cleanup, act: (client: Awaited<ReturnType<Logged['connect']>>) => void): Promise<unknown> {
  const { connect: connectAs, only } = await embedLogged(t)
  const client = await connectAs('c1', ACCOUNT)
  act(client)
  return (await only('client.disconnected'))['reason']
}

suite('the lines of a client', { concurrency: true }, () => {
  test('say who connected, and how its connection was when it has ended', async t => {
    const { connect: connectAs, log, only } = await embedLogged(t)
    const publisher = await connectAs('c1', ACCOUNT)
    assert.deepEqual(await only('client.connected'), { clientId: 'c1', principal: 'device', ...SOURCE })
    await publisher.subscribe(['t/1', 0])
    for (const qos of [0, 1, 2] as const) {
      publisher.send(publish({ topic: 't/1', payload: PAYLOAD, qos, packetId: qos + 1 }))
    }
    await until(async () => (await publisher.everything()).some(({ type }) => type === 'pubrec'), 'all are taken')
    await publisher.disconnect()
    const { duration, ...line } = await only('client.disconnected')
    const counts = { received: 3, sent: 3 }
    assert.deepEqual(line, { clientId: 'c1', principal: 'device', ...SOURCE, reason: 'disconnected', ...counts })
    assert.ok(typeof duration === 'number' && duration >= 0 && duration < 60, `${String(duration)} seconds`)
    assert.match(String(duration), /^\d+(\.\d{1,3})?$/)
    assert.deepEqual(
      log.lines.filter(({ event }) => /^client\.(dis)?connected$/.test(event)).map(({ level }) => level),
      ['info', 'info'],
    )
  })

  test('tell how it ended: without DISCONNECT', async t => {
    assert.equal(
      await reasonOf(t, client => {
        void client.closed()
        client.socket.end()
      }),
      'connection closed by the client',
    )
  })

  test('tell how it ended: an error of the network', async t => {
    assert.match(
      String(
        await reasonOf(t, client => {
          void client.closed()
          client.socket.resetAndDestroy()
        }),
      ),
      /ECONNRESET/,
    )
  })

  test('tell how it ended: an error of the protocol', async t => {
    const reason = await reasonOf(t, client => {
      client.send(QOS_3)
      void client.closed()
    })
    assert.match(String(reason), /QoS.*\[MQTT-3\.3\.1-4\]/)
    const second = await reasonOf(t, client => {
      client.send(connect(ACCOUNT))
      void client.closed()
    })
    assert.equal(second, 'second CONNECT [MQTT-3.1.0-2]')
  })

  test('tell how it ended: a topic it must not publish to, however long', async t => {
    const topic = 'x'.repeat(250)
    const reason = String(
      await reasonOf(t, client => {
        client.send(publish({ topic: `${topic}/é`, payload: PAYLOAD }))
        void client.closed()
      }),
    )
    assert.ok(reason.startsWith('publish topic (xxx'), reason)
    assert.ok(reason.length < 300, `${reason.length} characters`)
  })

  test('tell how it ended: keep alive', async t => {
    const { connect: connectAs, only } = await embedLogged(t)
    const client = await connectAs('c1', { ...ACCOUNT, keepAlive: 1 })
    await client.closed()
    const { reason, duration } = await only('client.disconnected')
    assert.equal(reason, 'keep alive timeout')
    assert.ok((duration as number) >= 1.4, `after ${String(duration)} s`)
  })

  test('tell how it ended: taken over, in front of who took over', async t => {
    const { connect: connectAs, log, only } = await embedLogged(t)
    const first = await connectAs('c1', ACCOUNT)
    const closed = first.closed()
    await connectAs('c1', ACCOUNT)
    await closed
    assert.equal((await only('client.disconnected'))['reason'], 'taken over')
    assert.deepEqual(
      log.lines.map(({ event }) => event).filter(event => /^client\.(dis)?connected$/.test(event)),
      ['client.connected', 'client.disconnected', 'client.connected'],
    )
  })

  test('tell how it ended: the hub stops', async t => {
    const { connect: connectAs, hub, of } = await embedLogged(t)
    const clients = [await connectAs('c1', ACCOUNT), await connectAs('c2', ACCOUNT)]
    const closed = clients.map(client => client.closed())
    await hub.closeGently(1000)
    await Promise.all(closed)
    assert.deepEqual(
      of('client.disconnected').map(({ clientId, reason }) => [clientId, reason]),
      [
        ['c1', 'hub closed'],
        ['c2', 'hub closed'],
      ],
    )
  })

  test('say that the Will is published, only when it is', async t => {
    const { connect: connectAs, of } = await embedLogged(t)
    const will = { topic: 't/will', payload: PAYLOAD }
    const cut = await connectAs('c1', { ...ACCOUNT, will })
    cut.destroy()
    await until(() => of('client.disconnected').length === 1, 'the first')
    const ended = await connectAs('c2', { ...ACCOUNT, will })
    await ended.disconnect()
    await until(() => of('client.disconnected').length === 2, 'the second')
    assert.deepEqual(
      of('client.disconnected').map(line => line['will']),
      [true, undefined],
    )
  })

  test('a listener that ends a client at once leaves a line of each kind, in their order', async t => {
    const { hub, open, log } = await embedLogged(t)
    hub.on('client', client => client.close())
    const client = await open()
    client.send(connect({ ...ACCOUNT, clientId: 'c1' }))
    assert.equal(await client.nextOrClosed(), null)
    const lines = log.lines.filter(({ event }) => event.startsWith('client.'))
    assert.deepEqual(
      lines.map(({ event }) => event),
      ['client.connected', 'client.disconnected'],
    )
    assert.equal((lines.at(-1)?.fields as { duration?: number } | undefined)?.duration, 0)
  })
})

suite('the line of a refusal', { concurrency: true }, () => {
  const refusals: Readonly<Record<string, [ConnectOptions, object]>> = {
    'a wrong password': [
      { clientId: 'c1', username: 'device', password: WRONG },
      { code: 4, reason: 'username (device) or password not permitted', clientId: 'c1', username: 'device' },
    ],
    'a Client Identifier that is not allowed': [
      { ...ACCOUNT, clientId: 'a b' },
      { code: 2, reason: 'client ID (a b) invalid', clientId: 'a b', username: 'device' },
    ],
    'a Will that is not permitted': [
      { ...ACCOUNT, clientId: 'c1', will: { topic: 'elsewhere', payload: PAYLOAD } },
      { code: 5, reason: 'will topic (elsewhere) not permitted', clientId: 'c1', username: 'device' },
    ],
    'an unknown protocol level': [
      { ...ACCOUNT, clientId: 'c1', protocolLevel: 9 },
      { code: 1, reason: 'unacceptable protocol version' },
    ],
    'no identifier with a session to keep': [
      { ...ACCOUNT, cleanSession: false },
      { code: 2, reason: 'identifier rejected: empty without clean session' },
    ],
  }
  for (const [name, [options, line]] of Object.entries(refusals)) {
    test(`tells of ${name}`, async t => {
      const { open, only, log } = await embedLogged(t)
      const client = await open()
      await client.connect(options)
      await client.closed()
      assert.deepEqual(await only('client.refused'), { ...line, ...SOURCE })
      assert.equal(log.count('client.connected') + log.count('client.disconnected'), 0)
    })
  }

  test('cuts what the client sent', async t => {
    const { open, only } = await embedLogged(t)
    const client = await open()
    await client.connect({ clientId: 'i'.repeat(9000), username: 'u'.repeat(9000), password: WRONG })
    await client.closed()
    const { clientId, username, reason } = await only('client.refused')
    for (const text of [clientId, username, reason] as string[])
      assert.ok(text.length > 100 && text.length < 300, `${text.length} characters`)
  })

  test('is not written for what is no CONNECT', async t => {
    const { open, log, only } = await embedLogged(t)
    const client = await open()
    client.send(disconnect())
    await client.closed()
    await only('client.error')
    assert.deepEqual(
      log.lines.filter(({ event, level }) => event.startsWith('client.') && level !== 'debug'),
      [],
    )
  })
})

test('no line has a password or a payload, whatever happens', async t => {
  const { connect: connectAs, open, log, only } = await embedLogged(t)
  const will = { topic: 't/will', payload: PAYLOAD }
  const watcher = await connectAs('watcher', ACCOUNT)
  await watcher.subscribe(['t/#', 1])
  const guesser = await open()
  await guesser.connect({ clientId: 'c1', username: 'device', password: WRONG, will })
  await guesser.closed()
  const client = await connectAs('c1', { ...ACCOUNT, will })
  await client.publish({ topic: 't/1', payload: PAYLOAD, qos: 1 })
  client.send(connect({ ...ACCOUNT, will }))
  await client.closed()
  const other = await connectAs('c2', { ...ACCOUNT, will })
  other.send(publish({ topic: 'elsewhere', payload: PAYLOAD }))
  await other.closed()
  const early = await open()
  early.send(publish({ topic: 't/1', payload: PAYLOAD }))
  await early.closed()
  const broken = await open()
  const bytes = connect({ ...ACCOUNT, will })
  broken.send(Buffer.concat([bytes.subarray(0, 1), Buffer.from([(bytes[1] as number) - 3]), bytes.subarray(2)]))
  await broken.closed()
  await until(() => log.count('client.disconnected') === 2, 'two have gone')
  await only('client.refused')
  const all = inspect(log.lines, { depth: null, showHidden: true, maxStringLength: null, maxArrayLength: null })
  assert.ok(log.count('client.error') >= 3, 'the errors are told')
  for (const secret of [PASSWORD, WRONG, PAYLOAD, 'sesame', 'degrees'])
    for (const form of [secret, Buffer.from(secret).toString('hex'), Buffer.from(secret).toString('base64')])
      assert.ok(!all.includes(form), `${form} is logged:\n${all}`)
})

suite('repeated lines', { concurrency: true }, () => {
  /** Connects and disconnects. */
  async function flap({ openStream }: EmbeddedHub, clientId: string, address: string): Promise<void> {
    const client = openStream({ address })
    await client.connect({ ...ACCOUNT, clientId })
    await client.disconnect()
  }

  test('of one client are left out and counted, those of another are not', async t => {
    const logged = await embedLogged(t)
    const { hub, of } = logged
    for (let i = 0; i < 30; i++) await flap(logged, 'flapping', '203.0.113.7')
    for (let i = 0; i < 5; i++) await flap(logged, 'calm', '203.0.113.7')
    const count = (event: string, clientId: string): number =>
      of(event).filter(line => line['clientId'] === clientId).length
    for (const event of ['client.connected', 'client.disconnected']) {
      assert.equal(count(event, 'flapping'), 10)
      assert.equal(count(event, 'calm'), 5)
    }
    hub.clientLog.tellLeftOut(performance.now() + 60_000)
    assert.deepEqual(of('client.repeated'), [
      { event: 'client.connected', clientId: 'flapping', leftOut: 20 },
      { event: 'client.disconnected', clientId: 'flapping', leftOut: 20 },
    ])
    await flap(logged, 'flapping', '203.0.113.7')
    assert.equal(count('client.connected', 'flapping'), 11, 'its next minute begins')
  })

  test('of refusals are counted by network, whatever identifiers are made up', async t => {
    const logged = await embedLogged(t)
    const { hub, of, openStream } = logged
    const refuse = async (address: string, i: number): Promise<void> => {
      const client = openStream({ address })
      await client.connect({ ...ACCOUNT, clientId: `no good ${i}` })
      await client.closed()
    }
    for (let i = 0; i < 40; i++) await refuse(`2001:db8::${i + 1}`, i)
    await refuse('2001:db8:1::1', 0)
    assert.equal(of('client.refused').length, 11)
    assert.equal(of('client.refused').at(-1)?.['address'], '2001:db8:1::1')
    hub.clientLog.close()
    const refusals = of('client.repeated').filter(({ event }) => event === 'client.refused')
    assert.deepEqual(refusals, [{ event: 'client.refused', code: 2, address: '2001:db8:0:0::/64', leftOut: 30 }])
  })

  test('a whole fleet behind one address gets its lines, whoever makes up identifiers does not', async t => {
    const log = new KeptLog()
    const { hub } = await embedHub(t, { config: configOf('limits: { connections: 1000 }') })
    const clientLog = new ClientLog(log, hub.state)
    const comes = (address: string, id: string): void => {
      const peer = { transport: 'tcp', listener: '', address, port: 1, certificate: null }
      clientLog.connected({ id, peer, principal: hub.nobody } as unknown as Parameters<ClientLog['connected']>[0])
    }
    for (let i = 0; i < 50; i++) comes('203.0.113.9', 'offender')
    for (let i = 0; i < 1000; i++) comes('203.0.113.7', `device ${i}`)
    assert.equal(log.count('client.connected'), 1010)
    for (let i = 0; i < 50; i++) comes('203.0.113.9', 'offender')
    assert.equal(log.count('client.connected'), 1010, 'the offender is not forgotten')
    for (let i = 0; i < 5000; i++) comes('203.0.113.7', `made up ${i}`)
    assert.equal(log.count('client.connected'), 2010)
    comes('203.0.113.8', 'neighbour')
    assert.equal(log.count('client.connected'), 2011)
    clientLog.close()
    assert.deepEqual(
      log.lines.filter(({ event }) => event === 'client.repeated').map(({ fields }) => fields),
      [
        { event: 'client.connected', clientId: 'offender', leftOut: 90 },
        { event: 'client.connected', address: '203.0.113.7', leftOut: 4000 },
      ],
    )
  })

  test('are told of by a timer when the offender stops, and by the next line when it does not', async t => {
    const log = new KeptLog()
    const { hub } = await embedHub(t)
    const clientLog = new ClientLog(log, hub.state, 300)
    const long = 'x'.repeat(60_000)
    const peer = { transport: 'stream', listener: '', address: '', port: 0, certificate: null }
    const of = (id: string): Parameters<ClientLog['connected']>[0] =>
      ({ id, peer, principal: hub.nobody }) as unknown as Parameters<ClientLog['connected']>[0]
    hub.state.tick()
    for (let i = 0; i < 15; i++) clientLog.connected(of(`${long}1`))
    clientLog.connected(of(`${long}2`))
    assert.equal(log.count('client.connected'), 11, 'identifiers that begin alike are told apart')
    await until(() => log.count('client.repeated') === 1, 'the timer')
    const told = log.lines.at(-1)?.fields as { clientId: string; leftOut: number }
    assert.equal(told.leftOut, 5)
    assert.ok(told.clientId.length < 200, `${told.clientId.length} characters`)
    hub.state.tick()
    for (let i = 0; i < 13; i++) clientLog.connected(of('x'))
    const since = hub.state.now
    await until(() => performance.now() - since > 310, 'the window ends')
    hub.state.tick()
    clientLog.connected(of('x'))
    clientLog.close()
    const leftOut = log.lines.map(({ fields }) => (fields as { leftOut?: number }).leftOut ?? 0)
    assert.equal(
      leftOut.reduce((sum, each) => sum + each, 0),
      5 + 3,
    )
  })
})
