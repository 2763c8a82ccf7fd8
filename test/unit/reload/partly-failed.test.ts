/** What goes wrong when there is no way back does not keep the rest of a reload from being done. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Session } from '../../../src/broker/session.ts'
import { account, as, ReloadedHub } from './reloaded-hub.ts'

function yaml(urls: readonly string[], ...more: string[]): string {
  return [`listen: ${JSON.stringify(urls)}`, 'principals:', account('writer', { pub: ['#'] }), ...more].join('\n')
}

const FREE = 'tcp://127.0.0.1:0'
const RULE = `subscriptions: [{ source: { topic: in }, target: { topic: out } }]`

test('rules that can not be used: all else is in force, and the log says what is not', async t => {
  const running = await ReloadedHub.start(t, yaml([FREE], account('a', { pub: ['x'] })))
  const broken = new Error('unforeseen')
  t.mock.method(running.hub, 'useRules', () => {
    throw broken
  })
  await running.reload(yaml([FREE, 'ws://127.0.0.1:0'], account('b', {}), RULE))
  const failures = running.log.lines.filter(({ event }) => event === 'config.reload.partly_failed')
  assert.deepEqual(failures, [{ level: 'error', event: 'config.reload.partly_failed', fields: { error: broken } }])
  await running.connect(t, 'b', as('b'), running.urls[1])
  await running.reload(yaml([FREE], account('b', {}), RULE))
  assert.equal(running.urls.length, 1, 'the next reload starts from there')
})

test('principals that can not be put in force: listeners and limits are', async t => {
  const running = await ReloadedHub.start(t, yaml([FREE]))
  t.mock.method(running.hub, 'forgetRoutes', () => {
    throw new Error('unforeseen')
  })
  await running.reload(yaml([FREE, 'ws://127.0.0.1:0'], account('b', {}), 'limits: { connections: 7 }'))
  assert.equal(running.logged('config.reload.partly_failed'), 1, 'it is logged')
  assert.equal(running.urls.length, 2, 'the listener is there')
  assert.equal(running.hub.state.settings.connections, 7, 'the limit is in force')
})

test('a session that fails does not keep others from losing what they lose', async t => {
  const running = await ReloadedHub.start(t, yaml([FREE], account('a', { sub: ['x'] })))
  for (const id of ['one', 'two', 'three']) {
    const client = await running.connect(t, id, { ...as('a'), cleanSession: false })
    await client.subscribe(['x', 1])
    await client.disconnect()
  }
  const { sessions } = running.hub
  const real = sessions.unsubscribe.bind(sessions)
  t.mock.method(sessions, 'unsubscribe', (session: Session, filter: string) => {
    if (session.clientId === 'two') throw new Error('unforeseen')
    real(session, filter)
  })
  await running.reload(yaml([FREE], account('a', { sub: ['y'] })))
  const left = sessions.all().map(({ clientId, subscriptions }) => [clientId, subscriptions.size])
  assert.deepEqual(left, [
    ['one', 0],
    ['two', 1],
    ['three', 0],
  ])
  assert.equal(running.logged('config.reload.partly_failed'), 1, 'it is logged')
})
