/** Listeners that are exchanged while others stay: a change that is committed, and one that is rolled back. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { Duplex } from 'node:stream'
import { describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  createListeners,
  type ListenerChange,
  type ListenerGroup,
  type ListenerOptions,
  type TlsMaterial,
} from '../../src/broker/listeners/index.ts'
import { silentLogger } from '../../src/common/index.ts'
import { makeTestCertificates } from '../support/certs.ts'
import { addressOf, type Cleanup, closed, materialOf, openClient, openSocket, type Scheme } from './listener-harness.ts'

const LIMIT = { timeout: 20_000 }
const { signal } = new AbortController()

interface Started {
  readonly group: ListenerGroup
  readonly accepted: Duplex[]
  /** Resolves when so many connections were accepted. */
  readonly untilAccepted: (count: number) => Promise<void>
}

async function start(t: Cleanup, schemes: readonly Scheme[], options: Partial<ListenerOptions> = {}): Promise<Started> {
  const accepted: Duplex[] = []
  let wake = (): void => {}
  const group = createListeners(
    schemes.map(scheme => addressOf(scheme)),
    {
      maxConnections: () => true,
      log: silentLogger,
      ...options,
      accept: stream => {
        accepted.push(stream)
        wake()
      },
    },
  )
  t.after(async () => {
    await group.stop()
    for (const stream of accepted) stream.destroy()
  })
  await group.start(signal)
  const untilAccepted = async (count: number): Promise<void> => {
    while (accepted.length < count) await new Promise<void>(resolve => (wake = resolve))
  }
  return { group, accepted, untilAccepted }
}

describe('a change of listeners', () => {
  test('is open before it is committed; then what is no longer wanted closes', LIMIT, async t => {
    const { group, accepted, untilAccepted } = await start(t, ['tcp', 'ws'])
    const [tcp = '', ws = ''] = group.urls
    const old = await openSocket(t, ws.replace('ws', 'tcp'))
    const change = await group.prepare([addressOf('tcp'), addressOf('tcp')], undefined, signal)
    assert.deepEqual(group.urls, [tcp, ws], 'as before')
    await openSocket(t, ws.replace('ws', 'tcp'))
    await change.commit()
    assert.equal(group.urls[0], tcp, 'one is kept')
    const added = await openSocket(t, group.urls[1] ?? '')
    await untilAccepted(1)
    await assert.rejects(openSocket(t, ws.replace('ws', 'tcp')), { code: 'ECONNREFUSED' })
    await closed(old.resume()) // it had not finished its handshake
    assert.equal(added.destroyed || accepted[0]?.destroyed, false, 'connections of the new one go on')
  })

  test('has those wait who come to a new listener until it is committed', LIMIT, async t => {
    const certificates = await makeTestCertificates()
    t.after(() => certificates.remove())
    for (const scheme of ['tcp', 'tls', 'ws', 'wss'] as const) {
      const { group, accepted, untilAccepted } = await start(t, ['tcp'], { tls: materialOf(certificates) })
      const port = Number(new URL((group.urls[0] ?? '').replace('tcp', 'http')).port) + 1
      const change = await prepareNear(group, port, scheme, materialOf(certificates))
      let isOver = false
      t.after(() => (isOver ? undefined : change.rollBack()))
      const early = openClient(t, change.url, { ca: certificates.ca }).then(stream => {
        stream.write('early')
        return stream
      })
      if (scheme === 'tcp') await early
      const gone = await openSocket(t, change.url.replace(scheme, 'tcp'))
      gone.destroy()
      await sleep(50) // time to be served too early
      assert.equal(accepted.length, 0, `${scheme}: nobody is served yet`)
      isOver = true
      const committed = change.commit()
      if (scheme === 'tcp') assert.equal(accepted.length, 1, 'in the same turn')
      await committed
      await untilAccepted(1)
      const [stream] = accepted
      assert.ok(stream !== undefined, `${scheme}: it is served`)
      const [chunk] = (await once(stream, 'data')) as [Buffer]
      assert.equal(chunk.toString(), 'early', `${scheme}: with what it sent before`)
      stream.end('late')
      const [answer] = (await once(await early, 'data')) as [Buffer]
      assert.equal(answer.toString(), 'late', scheme)
      await group.stop()
    }
  })

  test('that is rolled back takes its connections along, and no others', LIMIT, async t => {
    const { group, accepted, untilAccepted } = await start(t, ['tcp'])
    const [url = ''] = group.urls
    const old = await openSocket(t, url)
    await untilAccepted(1)
    const port = Number(new URL(url).port) + 1
    const change = await prepareNear(group, port)
    const early = await openSocket(t, change.url)
    await change.rollBack()
    await closed(early.resume())
    assert.equal(accepted.length, 1, 'what came to the new one was never served')
    await assert.rejects(openSocket(t, change.url), { code: 'ECONNREFUSED' })
    assert.deepEqual(group.urls, [url], 'as before')
    assert.equal(old.destroyed || accepted[0]?.destroyed, false, 'who was there stays')
    await openSocket(t, url)
  })

  test('that takes the port of another is rolled back to that port, whichever it was', LIMIT, async t => {
    const { group, untilAccepted } = await start(t, ['tcp'])
    const [url = ''] = group.urls
    const change = await group.prepare([addressOf('ws', { port: Number(new URL(url).port) })], undefined, signal)
    await change.rollBack()
    assert.deepEqual(group.urls, [url], 'the same address')
    await openSocket(t, url)
    await untilAccepted(1)
  })

  test('counts what was refused by listeners that are gone', LIMIT, async t => {
    const { group } = await start(t, ['tcp'], { maxConnections: () => false })
    await closed((await openSocket(t, group.urls[0] ?? '')).resume())
    await (await group.prepare([], undefined, signal)).commit()
    assert.deepEqual(group.urls, [], 'no listener')
    assert.equal(group.refused, 1, 'one connection')
  })

  test('gives way to a stop', LIMIT, async t => {
    const { group } = await start(t, ['tcp'])
    const [url = ''] = group.urls
    const stopping = new AbortController()
    const reason = new Error('the hub stops')
    stopping.abort(reason)
    const address = addressOf('ws', { port: Number(new URL(url).port) })
    await assert.rejects(group.prepare([address], undefined, stopping.signal), /the hub stops/)
    await openSocket(t, url)
  })
})

/** Prepares a listener more, on the first free port from this one on. */
async function prepareNear(
  group: ListenerGroup,
  from: number,
  scheme: Scheme = 'tcp',
  material?: TlsMaterial,
): Promise<ListenerChange & { url: string }> {
  for (let port = from; ; port++) {
    const address = addressOf(scheme, { port })
    try {
      const change = await group.prepare([addressOf('tcp'), address], material, signal)
      return { url: address.url, commit: () => change.commit(), rollBack: () => change.rollBack() }
    } catch (failure) {
      if (port >= from + 50) throw failure
    }
  }
}
