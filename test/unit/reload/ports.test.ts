/** Ports that go from listeners to the endpoint of the figures, or back, in one reload. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import net from 'node:net'
import { test } from 'node:test'
import { OPEN_TO_ALL } from '../../support/hub.ts'
import type { Cleanup } from '../../support/raw-client.ts'
import { ReloadedHub } from './reloaded-hub.ts'

function yaml(listen: readonly (string | number)[], metrics: number): string {
  const urls = listen.map(each => (typeof each === 'string' ? each : `tcp://127.0.0.1:${each}`))
  const endpoint = metrics === 0 ? '' : `http://127.0.0.1:${metrics}`
  return [`listen: ${JSON.stringify(urls)}`, `metrics: { listen: '${endpoint}' }`, OPEN_TO_ALL].join('\n')
}

/** Ports that nobody has, or somebody else until the test is over. */
async function ports(t: Cleanup, isTaken = false): Promise<[number, number]> {
  const servers = [net.createServer(), net.createServer()]
  const found = await Promise.all(
    servers.map(async server => {
      await once(server.listen(0, '127.0.0.1'), 'listening')
      return (server.address() as net.AddressInfo).port
    }),
  )
  const close = (): void => servers.forEach(server => server.close())
  if (isTaken) t.after(close)
  else close()
  return found as [number, number]
}

async function hasFigures(port: number): Promise<boolean> {
  return (await fetch(`http://127.0.0.1:${port}/metrics`, { signal: AbortSignal.timeout(5000) })).status === 200
}

test('the port of a listener becomes that of the endpoint, and back again', async t => {
  const [one, two] = await ports(t)
  const running = await ReloadedHub.start(t, yaml([one, two], 0))
  const client = await running.connect(t, 'client')
  await running.reload(yaml([one], two))
  assert.ok(await hasFigures(two), 'figures')
  await running.reload(yaml([one, two], 0))
  await running.connect(t, 'other', {}, `tcp://127.0.0.1:${two}`)
  await client.quiet()
})

test('both stay where they were when the reload fails', async t => {
  const [one, two] = await ports(t)
  const [taken] = await ports(t, true)
  const running = await ReloadedHub.start(t, yaml([one], two))
  await assert.rejects(running.reload(yaml([one, two, taken], 0)), { code: 'ERR_LISTEN_ADDRESS_IN_USE' })
  assert.ok(await hasFigures(two), 'the endpoint is there')
  await running.reload(yaml([one], 0))
  const [free] = await ports(t)
  await running.reload(yaml([one, free], 0))
  await assert.rejects(
    // An address that no interface has.
    running.reload(yaml([one], free).replace(`http://127.0.0.1:${free}`, `http://203.0.113.1:${free}`)),
    { code: 'ERR_METRICS_BIND' },
  )
  await running.connect(t, 'client', {}, `tcp://127.0.0.1:${free}`)
})

test('two that change with each other are told to take two reloads', async t => {
  const [one, two] = await ports(t)
  const running = await ReloadedHub.start(t, yaml([one], two))
  await assert.rejects(running.reload(yaml([two], one)), {
    code: 'ERR_LISTEN_ADDRESS_IN_USE',
    message: /: free one in one reload and take it in the next$/,
  })
  await running.connect(t, 'client', {}, `tcp://127.0.0.1:${one}`)
  await running.reload(yaml([], two))
  await running.reload(yaml([], one))
  await running.reload(yaml([two], one))
  assert.ok(await hasFigures(one), 'and so it goes')
})
