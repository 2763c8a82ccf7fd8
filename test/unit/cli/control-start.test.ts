/** A hub runs without its control socket when that can't be had, for whatever reason. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import fs from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { createHub, HubControl } from '../../../src/broker/index.ts'
import { hubKind } from '../../../src/cli/hub/kind.ts'
import { type ControlSpot, controlSocketOf, startControl } from '../../../src/cli/service/control.ts'
import { type Service, silentLogger } from '../../../src/common/index.ts'
import type { ReloadAnswer } from '../../../src/control/index.ts'
import { KeptLog } from '../../support/kept-log.ts'

const reload = async (): Promise<ReloadAnswer> => ({ ok: true, changed: [], restart: [], warnings: [] })
const WITHOUT = { skip: process.platform === 'win32' ? 'there are no unix sockets' : false }

function makeDir(t: TestContext): string {
  const dir = fs.realpathSync(fs.mkdtempSync(join(tmpdir(), 'openedge-control-')))
  t.after(() => fs.rmSync(dir, { recursive: true, force: true }))
  return dir
}

/** Has functions of the file system fail in this folder. */
function failIn(t: TestContext, folder: string, code: string, ...names: ('unlinkSync' | 'readdirSync')[]): void {
  for (const name of names) {
    const real = fs[name] as (path: string, ...rest: unknown[]) => unknown
    t.mock.method(fs, name, (path: string, ...rest: unknown[]) => {
      if (path.startsWith(folder)) throw Object.assign(new Error(`${code}: not now, ${name}`), { code })
      return real(path, ...rest)
    })
  }
  syncBuiltinESMExports()
  t.after(() => {
    t.mock.restoreAll()
    syncBuiltinESMExports()
  })
}

/** What a process leaves behind that was killed. */
async function leaveSocket(path: string): Promise<void> {
  const other = createServer().listen(`${path}.tmp`)
  await once(other, 'listening')
  fs.renameSync(`${path}.tmp`, path)
  other.close()
  await once(other, 'close')
  fs.utimesSync(path, 1, 1)
}

async function serverAt(t: TestContext, path: string): Promise<HubControl> {
  const hub = await createHub({})
  t.after(() => hub.closeGently(0))
  const options = { path, isAutomatic: true, version: '1', log: silentLogger, reload }
  const server = new HubControl(hub, options)
  t.after(() => server.stop())
  return server
}

describe('a control socket', WITHOUT, () => {
  test('opens though old ones can not be tidied up', async t => {
    const dir = makeDir(t)
    await leaveSocket(join(dir, 'old'))
    for (const names of [['unlinkSync'], ['readdirSync']] as const) {
      failIn(t, dir, 'EACCES', ...names)
      const server = await serverAt(t, join(dir, 'hub.sock'))
      await server.start(new AbortController().signal)
      t.mock.restoreAll()
      syncBuiltinESMExports()
      await server.stop()
    }
    assert.ok(fs.existsSync(join(dir, 'old')), 'the old one is still there')
  })

  test('is refused with what to do when the old one in its place can not be removed', async t => {
    const path = join(makeDir(t), 'hub.sock')
    await leaveSocket(path)
    failIn(t, path, 'EROFS', 'unlinkSync')
    await assert.rejects((await serverAt(t, path)).start(new AbortController().signal), {
      code: 'ERR_LISTEN_FAILED',
      message: /hub\.sock can't be used: one that nobody answers can't be removed \(EROFS: .+\): remove it$/,
    })
  })

  test('that fails in a way nobody foresaw is logged, and the hub goes on', async t => {
    const dir = makeDir(t)
    const log = new KeptLog()
    const broken = new TypeError('unforeseen')
    const make = (): Service => ({ name: 'broken', start: () => Promise.reject(broken), stop: async () => {} })
    const place = { kind: hubKind, baseDir: dir, file: null }
    assert.equal(await startControl({ setting: 'auto', place, log, make }), null, 'no control')
    assert.deepEqual(log.lines, [{ level: 'warn', event: 'control.unavailable', fields: { error: broken } }])
  })
})

describe('the path of a control socket', WITHOUT, () => {
  test('in a folder that is reached by a link is where the link leads', async t => {
    const dir = makeDir(t)
    fs.mkdirSync(join(dir, 'real'), { mode: 0o700 })
    fs.symlinkSync(join(dir, 'real'), join(dir, 'link'))
    const place = { kind: hubKind, baseDir: dir, file: null }
    assert.equal(controlSocketOf('link/hub.sock', place), join(dir, 'real/hub.sock'))
    const hub = await createHub({})
    t.after(() => hub.closeGently(0))
    const log = new KeptLog()
    const make = (spot: ControlSpot): Service => new HubControl(hub, { ...spot, version: '1', reload })
    const server = await startControl({ setting: 'link/hub.sock', place, log, make })
    t.after(() => server?.stop())
    assert.equal(log.count('control.unavailable'), 0, 'it is not refused')
    assert.ok(fs.lstatSync(join(dir, 'real/hub.sock')).isSocket(), 'the socket is there')
  })
})
