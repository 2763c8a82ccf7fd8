/** Principals of a running hub: who goes, who stays, and what those who stay may do from then on. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { hashPassword } from '../../../src/auth/index.ts'
import { payloadsOf, until } from '../../support/embedded-hub.ts'
import { puback, publish, subscribe } from '../../support/packets.ts'
import { account, as, ReloadedHub, TCP } from './reloaded-hub.ts'

const WRITER = account('writer', { pub: ['#'], sub: ['#'] })

function withPrincipals(...principals: string[]): string {
  return [TCP, 'principals:', WRITER, ...principals].join('\n')
}

suite('a principal that is removed', () => {
  test('is disconnected at once, without its Will; others stay', async t => {
    const running = await ReloadedHub.start(
      t,
      withPrincipals(account('a', { pub: ['#'] }), account('b', { pub: ['#'] })),
    )
    const witness = await running.connect(t, 'witness', as('writer'))
    await witness.subscribe(['#', 0])
    const will = { topic: 'wills/a', payload: 'gone', qos: 0 as const, retain: false }
    const a = await running.connect(t, 'a', { ...as('a'), will })
    const b = await running.connect(t, 'b', { ...as('b'), will: { ...will, topic: 'wills/b' } })
    await running.reload(withPrincipals(account('b', { pub: ['#'] })))
    await a.closed()
    await until(() => running.hub.clients['a'] === undefined, 'a is gone')
    await b.publish({ topic: 'x', payload: '1', qos: 1 })
    assert.deepEqual(payloadsOf(await witness.everything()), ['1'], 'no Will of the removed principal is published')
    const again = await running.open(t)
    assert.equal((await again.connect({ clientId: 'a', ...as('a') })).returnCode, 4, 'it may not come back')
    await again.closed()
  })

  test('that was anonymous goes with the anonymous block', async t => {
    const anonymous = `anonymous: { permissions: [{ action: sub, permit: ['#'] }] }`
    const running = await ReloadedHub.start(t, `${withPrincipals()}\n${anonymous}`)
    const guest = await running.connect(t, 'guest')
    const writer = await running.connect(t, 'writer', as('writer'))
    await running.reload(withPrincipals())
    await guest.closed()
    await writer.quiet()
  })

  test('goes when it has its name from a password and now only certificates count', async t => {
    const running = await ReloadedHub.start(t, withPrincipals(account('a', { pub: ['#'] })))
    const a = await running.connect(t, 'a', as('a'))
    await running.reload(withPrincipals(account('a', { pub: ['#'] }, '')))
    await a.closed()
  })
})

suite('a principal that changes', () => {
  test('loses filters at once, and what waits for them; other filters and clients go on', async t => {
    const both = account('reader', { sub: ['open/#', 'secret/#'] })
    const running = await ReloadedHub.start(
      t,
      `${withPrincipals(both)}\nmessage: { egress: { qos1: { buffer: { size: 1 } } } }`,
    )
    const reader = await running.connect(t, 'reader', as('reader'))
    await reader.subscribe(['open/#', 1], ['secret/#', 1])
    const witness = await running.connect(t, 'witness', as('writer'))
    await witness.subscribe(['secret/#', 0])
    const writer = await running.connect(t, 'writer', as('writer'))
    for (let i = 0; i < 10; i++) {
      await writer.publish({ topic: 'secret/x', payload: `secret ${i}`, qos: 1 })
      await writer.publish({ topic: 'open/x', payload: `open ${i}`, qos: 1 })
    }
    const onTheirWay = await reader.everything()
    assert.equal(payloadsOf(onTheirWay).length, 3, 'the window is full')
    const session = running.hub.sessions.get('reader')
    assert.equal(session?.queued, 17, 'the rest waits')
    await running.reload(
      `${withPrincipals(account('reader', { sub: ['open/#'] }))}\nmessage: { egress: { qos1: { buffer: { size: 1 } } } }`,
    )
    assert.deepEqual([...(session?.subscriptions.keys() ?? [])], ['open/#'], 'the filter is dropped')
    assert.equal(running.logged('subscription.revoked'), 1, 'it is logged once')
    await writer.publish({ topic: 'secret/x', payload: 'secret, later', qos: 1 })
    await writer.publish({ topic: 'open/x', payload: 'open, later', qos: 1 })
    const received: string[] = []
    for (const packet of onTheirWay)
      if (packet.type === 'publish' && packet.qos > 0) reader.send(puback(packet.packetId))
    while (!received.includes('open, later')) received.push((await reader.receive()).payload.toString())
    const open = Array.from({ length: 10 }, (_, i) => `open ${i}`).filter(
      each => !payloadsOf(onTheirWay).includes(each),
    )
    assert.deepEqual(received, [...open, 'open, later'], 'all that is open and nothing that is secret')
    await reader.quiet()
    assert.equal(payloadsOf(await witness.everything()).length, 11, 'another client still hears all')
    assert.equal(session?.queued, 0, 'nothing is left')
    assert.equal(session?.unacknowledged, 0, 'nothing waits to be acknowledged')
  })

  test('may lose much: a line for each session, and one for all when they are many', async t => {
    const running = await ReloadedHub.start(t, withPrincipals(account('reader', { sub: ['#'], pub: ['#'] })))
    const filters = Array.from({ length: 20 }, (_, i): [string, 0] => [`f/${i}`, 0])
    const will = { topic: 'w', payload: '', qos: 0 as const, retain: false }
    for (let i = 0; i < 120; i++) {
      const reader = await running.connect(t, `r${i}`, { ...as('reader'), will, cleanSession: i % 2 === 0 })
      await reader.subscribe(...filters)
      if (i % 2 === 1) await reader.disconnect()
    }
    await running.reload(withPrincipals(account('reader', {})))
    const linesOf = (event: string) => running.log.lines.filter(line => line.event === event).map(line => line.fields)
    const lines = linesOf('subscription.revoked')
    assert.equal(lines.length, 101, 'a hundred sessions, and all')
    assert.deepEqual(lines[0], { clientId: 'r0', filters: 20, filter: 'f/0' })
    assert.deepEqual(lines.at(-1), { sessions: 120, filters: 2400 })
    assert.equal(linesOf('will.revoked').length, 60, 'they were fewer')
  })

  test('that is noticed when a session is taken up has one line too', async t => {
    const running = await ReloadedHub.start(t, withPrincipals(account('a', { sub: ['#'] }), account('b', {})))
    const options = { cleanSession: false }
    const a = await running.connect(t, 'x', { ...as('a'), ...options })
    await a.subscribe(['f/1', 0], ['f/2', 0])
    await a.disconnect()
    await running.connect(t, 'x', { ...as('b'), ...options })
    const lines = running.log.lines.filter(({ event }) => event === 'subscription.revoked')
    assert.deepEqual(
      lines.map(({ fields }) => fields),
      [{ clientId: 'x', filters: 2, filter: 'f/1' }],
    )
  })

  test('can not subscribe again to what it lost', async t => {
    const running = await ReloadedHub.start(t, withPrincipals(account('reader', { sub: ['secret/#'] })))
    const reader = await running.connect(t, 'reader', as('reader'))
    await reader.subscribe(['secret/#', 1])
    await running.reload(withPrincipals(account('reader', { sub: ['open/#'] })))
    reader.send(subscribe(1, ['secret/#', 1]))
    assert.deepEqual((await reader.expect('suback')).returnCodes, [128], 'refused')
  })

  test('is disconnected when it publishes what it no longer may, and not before', async t => {
    const running = await ReloadedHub.start(t, withPrincipals(account('a', { pub: ['x', 'y'] })))
    const witness = await running.connect(t, 'witness', as('writer'))
    await witness.subscribe(['#', 0])
    const a = await running.connect(t, 'a', as('a'))
    await a.publish({ topic: 'x', payload: '1', qos: 1 })
    await running.reload(withPrincipals(account('a', { pub: ['y'] })))
    await a.publish({ topic: 'y', payload: '2', qos: 1 })
    a.send(publish({ topic: 'x', payload: '3', qos: 1, packetId: 7 }))
    await a.closed()
    assert.deepEqual(payloadsOf(await witness.everything()), ['1', '2'], 'what is not permitted reaches nobody')
  })

  test('may do at once what it has gained', async t => {
    const running = await ReloadedHub.start(t, withPrincipals(account('a', { pub: ['x'] })))
    const a = await running.connect(t, 'a', as('a'))
    a.send(subscribe(1, ['x', 1]))
    assert.deepEqual((await a.expect('suback')).returnCodes, [128], 'not yet')
    await running.reload(withPrincipals(account('a', { pub: ['x', 'y'], sub: ['y'] })))
    await a.subscribe(['y', 0])
    a.send(publish({ topic: 'y', payload: '1', qos: 0 }))
    assert.equal((await a.receive()).payload.toString(), '1', 'it publishes and hears')
  })

  test('loses a Will that is no longer permitted', async t => {
    const running = await ReloadedHub.start(t, withPrincipals(account('a', { pub: ['#'] })))
    const witness = await running.connect(t, 'witness', as('writer'))
    await witness.subscribe(['wills/#', 0])
    const will = (topic: string) => ({ topic, payload: topic, qos: 0 as const, retain: false })
    const one = await running.connect(t, 'one', { ...as('a'), will: will('wills/1') })
    const two = await running.connect(t, 'two', { ...as('a'), will: will('wills/2') })
    await running.reload(withPrincipals(account('a', { pub: ['wills/2'] })))
    one.destroy()
    two.destroy()
    await until(() => running.hub.connectedClients === 1, 'both are gone')
    assert.deepEqual(payloadsOf(await witness.everything()), ['wills/2'], 'only the one that is permitted')
  })

  test('with another password is disconnected, without its Will, and keeps its session', async t => {
    const running = await ReloadedHub.start(t, withPrincipals(account('a', { pub: ['#'], sub: ['#'] })))
    const witness = await running.connect(t, 'witness', as('writer'))
    await witness.subscribe(['#', 0])
    const will = { topic: 'wills/a', payload: 'gone', qos: 0 as const, retain: false }
    const a = await running.connect(t, 'a', { ...as('a'), will, cleanSession: false })
    await a.subscribe(['x', 1])
    await running.reload(withPrincipals(account('a', { pub: ['#'], sub: ['#'] }, 'new')))
    await a.closed()
    assert.deepEqual(payloadsOf(await witness.everything()), [], 'no Will is published')
    const old = await running.open(t)
    assert.equal((await old.connect({ clientId: 'a', ...as('a') })).returnCode, 4, 'the old password')
    await old.closed()
    const again = await running.open(t)
    const shown = { clientId: 'a', username: 'a', password: 'new', cleanSession: false }
    const { returnCode, sessionPresent } = await again.connect(shown)
    assert.deepEqual([returnCode, sessionPresent], [0, true], 'the new password')
    again.send(publish({ topic: 'x', payload: '1', qos: 0 }))
    assert.equal((await again.receive()).payload.toString(), '1', 'its subscription is there')
  })

  test('with another hash is disconnected, be it of the same password; with the same one it stays', async t => {
    const [one, two] = [await hashPassword('a', { ln: 10 }), await hashPassword('a', { ln: 10 })]
    const running = await ReloadedHub.start(t, withPrincipals(account('a', { pub: ['x'] }, one)))
    const a = await running.connect(t, 'a', as('a'))
    await running.reload(withPrincipals(account('a', { pub: ['y'] }, one)))
    await a.publish({ topic: 'y', qos: 1 })
    await running.reload(withPrincipals(account('a', { pub: ['y'] }, two)))
    await a.closed()
    await running.connect(t, 'again', as('a'))
  })

  test('with a password that is refused by a reload that fails stays', async t => {
    const running = await ReloadedHub.start(t, withPrincipals(account('a', { pub: ['#'] })))
    const a = await running.connect(t, 'a', as('a'))
    const other = `${withPrincipals(account('a', { pub: ['#'] }, 'new'))}\ncertificate: { cert: none.pem, key: none.pem }`
    await assert.rejects(running.reload(other), /none\.pem/)
    await running.reload(withPrincipals(account('a', { pub: ['#'] })))
    await a.publish({ topic: 'x', qos: 1 })
  })

  test('stays what it was when nothing about it changes', async t => {
    const running = await ReloadedHub.start(t, withPrincipals(account('a', { pub: ['x', 'y'] })))
    await running.connect(t, 'a', as('a'))
    const before = running.hub.clients['a']?.principal
    await running.reload(withPrincipals(account('a', { pub: ['y', 'x', 'y'] }), account('b', {})))
    assert.equal(running.hub.clients['a']?.principal, before, 'the same object')
  })

  test('is obeyed by the rules that speak for it', async t => {
    const rule = `subscriptions: [{ source: { topic: in }, target: { topic: out }, authorize: true, principal: a }]`
    const yaml = (pub: string[]) => `${withPrincipals(account('a', { pub, sub: ['in'] }))}\n${rule}`
    const running = await ReloadedHub.start(t, yaml(['out']))
    const writer = await running.connect(t, 'writer', as('writer'))
    await writer.subscribe(['out', 0])
    const copies = async (payload: string): Promise<string[]> => {
      writer.send(publish({ topic: 'in', payload, qos: 0 }))
      return payloadsOf(await writer.everything())
    }
    assert.deepEqual(await copies('1'), ['1'], 'permitted')
    await running.reload(yaml(['elsewhere']))
    assert.deepEqual(await copies('2'), [], 'no longer permitted')
    await running.reload(yaml(['out']))
    assert.deepEqual(await copies('3'), ['3'], 'permitted again')
  })
})

test('what is wrong with principals changes nothing', async t => {
  const running = await ReloadedHub.start(t, withPrincipals(account('a', { pub: ['x'] })))
  const a = await running.connect(t, 'a', as('a'))
  const principal = { username: 'b', password: '$scrypt$junk', permissions: [] }
  await assert.rejects(
    running.reload(withPrincipals(), next => ({ ...next, principals: [principal] })),
    { code: 'ERR_AUTH_BAD_HASH' },
  )
  await a.publish({ topic: 'x', payload: '', qos: 1 })
})

test('an address that has failed often is still slow after a reload', async t => {
  const running = await ReloadedHub.start(t, withPrincipals(account('a', {})))
  for (let i = 0; i < 7; i++) {
    const client = await running.open(t)
    const { returnCode } = await client.connect({ clientId: 'x', username: 'a', password: 'wrong' })
    assert.equal(returnCode, 4, 'refused')
    await client.closed()
  }
  await running.reload(withPrincipals(account('b', {})))
  const start = performance.now()
  await running.connect(t, 'b', as('b'))
  const took = performance.now() - start
  assert.ok(took > 250, `it waits for half a second less what the reload took, not ${took} ms`)
})
