/** What the control socket takes from whoever it serves; how it deals with clients is tested with that of a hub. */
import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { type ControlOptions, ControlServer, ok } from '../../../src/control/index.ts'
import { KeptLog } from '../../support/kept-log.ts'

const PATIENCE_MS = 10_000
const WITHOUT = { skip: process.platform === 'win32' ? 'there are no unix sockets' : false }

interface Served {
  readonly path: string
  readonly server: ControlServer
  readonly log: KeptLog
}

async function serve(t: TestContext, options: Partial<ControlOptions> = {}): Promise<Served> {
  const dir = mkdtempSync(join(tmpdir(), 'openedge-socket-'))
  t.after(() => rmSync(dir, { recursive: true, force: true }))
  const path = options.path ?? join(dir, 'own/bridge.sock')
  const log = new KeptLog()
  const routes = async (method: string, url: string): ReturnType<ControlOptions['routes']> => ok({ method, url })
  const server = new ControlServer({ kind: 'bridge', isAutomatic: true, log, routes, ...options, path })
  t.after(() => server.stop())
  await server.start(new AbortController().signal)
  return { path, server, log }
}

function ask(path: string, url: string, method = 'GET'): Promise<{ status: number; body: unknown }> {
  return new Promise((resolve, reject) => {
    const asked = request({ socketPath: path, path: url, method, agent: false, timeout: PATIENCE_MS }, response => {
      let text = ''
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk
      })
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body: JSON.parse(text) as unknown }))
    })
    asked.on('error', reject)
    asked.on('timeout', () => asked.destroy(new Error('no answer')))
    asked.end()
  })
}

describe('a control socket', WITHOUT, () => {
  test('hands each request to the routes, method and whole URL', async t => {
    const { path } = await serve(t)
    assert.deepEqual(await ask(path, '/v1/a%20b?c=d', 'POST'), {
      status: 200,
      body: { method: 'POST', url: '/v1/a%20b?c=d' },
    })
  })

  test('says whose it is when something fails, or somebody is there already', async t => {
    const routes = (): Promise<never> => Promise.reject(new TypeError('broken'))
    const { path, log } = await serve(t, { routes })
    assert.deepEqual(await ask(path, '/'), {
      status: 500,
      body: { error: 'the bridge could not answer; its log says why' },
    })
    assert.equal(log.count('control.failed'), 1)
    const code = 'ERR_LISTEN_ADDRESS_IN_USE'
    const start = (options: Partial<ControlOptions>): Promise<Served> => serve(t, { path, ...options })
    await assert.rejects(start({}), { code, message: /belongs to a bridge that is running$/ })
    await assert.rejects(start({ kind: 'hub' }), { code, message: /belongs to a hub that is running$/ })
    // Where the user chose the path it may be anybody's.
    await assert.rejects(start({ isAutomatic: false }), {
      code,
      message: /belongs to a hub or bridge that is running$/,
    })
  })

  test('says when it stops', async t => {
    let stops = 0
    const { server, path } = await serve(t, { onStop: () => void stops++ })
    assert.equal(stops, 0)
    await server.stop()
    assert.equal(stops, 1)
    assert.equal(existsSync(path), false)
  })
})
