/** Clients that are in the middle of something while principals change: nothing is decided by the rules of the past. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hashPassword } from '../../../src/auth/index.ts'
import { payloadsOf, turns, until } from '../../support/embedded-hub.ts'
import { connect, publish, subscribe } from '../../support/packets.ts'
import { account, as, ReloadedHub, TCP } from './reloaded-hub.ts'

function withPrincipals(...principals: string[]): string {
  return [TCP, 'principals:', account('writer', { pub: ['#'], sub: ['#'] }), ...principals].join('\n')
}

/** A hook that holds up whoever comes to it. */
class Barrier {
  held = 0
  #open: () => void = () => {}
  readonly #opened = new Promise<void>(resolve => {
    this.#open = resolve
  })

  pass(go: () => void): void {
    this.held++
    void this.#opened.then(go)
  }

  open(): void {
    this.#open()
  }
}

/** Resolves when the next CONNECT is being looked at. */
async function askedFor({ hub }: ReloadedHub): Promise<void> {
  await new Promise<void>(resolve => {
    hub.preConnect = (_client, _packet, done) => {
      done(null, true)
      resolve()
    }
  })
  await turns()
}

/** Costs about as much time as a reload many times over. */
const slowly = (): Promise<string> => hashPassword('a', { ln: 15, r: 8, p: 4 })

test('a password that is being checked is checked against the new principals', async t => {
  const hash = await slowly()
  const running = await ReloadedHub.start(t, withPrincipals(account('a', { sub: ['old'] }, hash)))
  const gone = await running.open(t)
  const isAsked = askedFor(running)
  gone.send(connect({ clientId: 'gone', ...as('a') }))
  await isAsked
  await running.reload(withPrincipals(account('b', {})))
  assert.equal(running.hub.connectedClients, 0, 'the password is still being checked')
  assert.equal((await gone.expect('connack')).returnCode, 4, 'it is refused as anybody unknown is')
  await gone.closed()
})

test('a password that is being checked counts when it is still the one', async t => {
  const hash = await slowly()
  const running = await ReloadedHub.start(t, withPrincipals(account('a', { sub: ['old'] }, hash)))
  const client = await running.open(t)
  const isAsked = askedFor(running)
  client.send(connect({ clientId: 'a', ...as('a') }))
  await isAsked
  await running.reload(withPrincipals(account('a', { sub: ['new'] }, hash)))
  assert.equal((await client.expect('connack')).returnCode, 0, 'it is let in')
  client.send(subscribe(1, ['old', 0], ['new', 0]))
  assert.deepEqual((await client.expect('suback')).returnCodes, [128, 0], 'and may do what the new principal may')
})

test('a CONNECT held up by a hook ends when its principal is removed', async t => {
  const running = await ReloadedHub.start(t, withPrincipals(account('a', {}), account('b', {})))
  const barrier = new Barrier()
  running.hub.authenticate = (_client, _username, _password, done) => barrier.pass(() => done(null, true))
  const [a, b] = [await running.open(t), await running.open(t)]
  a.send(connect({ clientId: 'a', ...as('a') }))
  b.send(connect({ clientId: 'b', ...as('b') }))
  await until(() => barrier.held === 2, 'both are held up')
  await running.reload(withPrincipals(account('b', {})))
  barrier.open()
  await a.closed()
  assert.equal((await b.expect('connack')).returnCode, 0, 'the other is let in')
})

test('a session that is being taken up loses the filters that its principal loses meanwhile', async t => {
  const running = await ReloadedHub.start(t, withPrincipals(account('a', { sub: ['open', 'secret'] })))
  const options = { ...as('a'), cleanSession: false }
  const first = await running.connect(t, 'a', options)
  await first.subscribe(['secret', 1], ['open', 1])
  await first.disconnect()
  const writer = await running.connect(t, 'writer', as('writer'))
  await writer.publish({ topic: 'secret', payload: 'secret', qos: 1 })
  await writer.publish({ topic: 'open', payload: 'open', qos: 1 })
  const barrier = new Barrier()
  running.hub.authorizeSubscribe = (_client, subscription, done) => barrier.pass(() => done(null, subscription))
  const again = await running.open(t)
  again.send(connect({ clientId: 'a', ...options }))
  await until(() => barrier.held === 1, 'the first filter is being asked for')
  await running.reload(withPrincipals(account('a', { sub: ['open'] })))
  barrier.open()
  assert.equal((await again.expect('connack')).sessionPresent, true, 'the session is there')
  assert.equal((await again.receive()).payload.toString(), 'open', 'and so is what is permitted')
  await again.quiet()
  assert.deepEqual(
    [...(running.hub.sessions.get('a')?.subscriptions.keys() ?? [])],
    ['open'],
    'no other filter is held',
  )
})

for (const [what, ...others] of [['loses permissions', account('a', { sub: ['other'] })], ['is removed']] as const) {
  test(`a session that one principal takes up is not emptied when the one before ${what}`, async t => {
    const b = account('b', { sub: ['shared'] })
    const running = await ReloadedHub.start(t, withPrincipals(b, account('a', { sub: ['shared', 'other'] })))
    const first = await running.connect(t, 'x', { ...as('a'), cleanSession: false })
    await first.subscribe(['shared', 1])
    await first.disconnect()
    const barrier = new Barrier()
    running.hub.authorizeSubscribe = (_client, subscription, done) => barrier.pass(() => done(null, subscription))
    const again = await running.open(t)
    again.send(connect({ clientId: 'x', ...as('b'), cleanSession: false }))
    await until(() => barrier.held === 1, 'the filter is being asked for')
    await running.reload(withPrincipals(b, ...others))
    barrier.open()
    assert.equal((await again.expect('connack')).sessionPresent, true, 'the session is there')
    assert.deepEqual([...(running.hub.sessions.get('x')?.subscriptions.keys() ?? [])], ['shared'], 'with its filter')
    await running.reload(withPrincipals(account('b', { sub: ['nothing'] })))
    assert.equal(running.hub.sessions.get('x')?.subscriptions.size, 0, 'it is that of the one who has it')
  })
}

test('a SUBSCRIBE held up by a hook is refused when the permission goes meanwhile', async t => {
  const running = await ReloadedHub.start(t, withPrincipals(account('a', { sub: ['open', 'secret'] })))
  const writer = await running.connect(t, 'writer', as('writer'))
  for (const topic of ['open', 'secret']) await writer.publish({ topic, payload: topic, qos: 1, retain: true })
  const a = await running.connect(t, 'a', as('a'))
  const barrier = new Barrier()
  running.hub.authorizeSubscribe = (_client, subscription, done) => barrier.pass(() => done(null, subscription))
  a.send(subscribe(1, ['secret', 0], ['open', 0]))
  await until(() => barrier.held === 1, 'the first filter is being asked for')
  await running.reload(withPrincipals(account('a', { sub: ['open'] })))
  barrier.open()
  assert.deepEqual((await a.expect('suback')).returnCodes, [128, 0], 'one is refused')
  writer.send(publish({ topic: 'secret', payload: 'later', qos: 0 }))
  await writer.quiet()
  assert.deepEqual(payloadsOf(await a.everything()), ['open'], 'nothing secret comes, retained or not')
})

test('who was admitted by a Will that is no longer permitted has none', async t => {
  const running = await ReloadedHub.start(t, withPrincipals(account('a', { pub: ['will'] })))
  const witness = await running.connect(t, 'witness', as('writer'))
  await witness.subscribe(['will', 0])
  const old = await running.connect(t, 'a', { ...as('a'), cleanSession: false })
  await old.disconnect()
  const barrier = new Barrier()
  running.hub.authorizeSubscribe = (_client, subscription, done) => barrier.pass(() => done(null, subscription))
  const session = running.hub.sessions.get('a')
  assert.ok(session !== undefined, 'there is a session')
  running.hub.sessions.subscribe(session, 'x', 0)
  await running.reload(withPrincipals(account('a', { pub: ['will'], sub: ['x'] })))
  const client = await running.open(t)
  const will = { topic: 'will', payload: 'will', qos: 0 as const, retain: false }
  client.send(connect({ clientId: 'a', ...as('a'), cleanSession: false, will }))
  await until(() => barrier.held === 1 || running.hub.clients['a'] !== undefined, 'it is being let in')
  await running.reload(withPrincipals(account('a', { sub: ['x'] })))
  barrier.open()
  await client.expect('connack')
  client.destroy()
  await until(() => running.hub.clients['a'] === undefined, 'it is gone')
  assert.deepEqual(payloadsOf(await witness.everything()), [], 'no Will is published')
})
