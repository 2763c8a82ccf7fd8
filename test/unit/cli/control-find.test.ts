/** Whose hub is found: one's own; root finds those of others. */
import assert from 'node:assert/strict'
import { chmodSync, chownSync, mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { createHub, HubControl } from '../../../src/broker/index.ts'
import { ServiceFinder } from '../../../src/cli/control/find.ts'
import { hubKind } from '../../../src/cli/hub/kind.ts'
import { controlSocketOf } from '../../../src/cli/service/control.ts'
import type { ServicePlace } from '../../../src/cli/service/place.ts'
import { silentLogger } from '../../../src/common/index.ts'

const SOMEBODY = 54_321
const ANOTHER = 54_322
const FOR_ROOT = { skip: process.getuid?.() === 0 ? false : 'only root can be somebody else' }

/** A configuration, and a folder for temporary files that is removed when the test is over. */
function makePlace(t: TestContext, yaml = ''): ServicePlace {
  const dir = realpathSync(mkdtempSync(join(tmpdir(), 'openedge-find-')))
  chmodSync(dir, 0o755)
  const { TMPDIR } = process.env
  process.env['TMPDIR'] = dir
  t.after(() => {
    if (TMPDIR === undefined) delete process.env['TMPDIR']
    else process.env['TMPDIR'] = TMPDIR
    rmSync(dir, { recursive: true, force: true })
  })
  const file = join(dir, 'service.yml')
  writeFileSync(file, yaml)
  return { kind: hubKind, baseDir: dir, file }
}

/** A control socket in a folder of somebody's. */
async function serve(t: TestContext, path: string | null, owner: number): Promise<void> {
  assert.ok(path !== null, 'there are sockets')
  const hub = await createHub({})
  t.after(() => hub.closeGently(0))
  const reload = async () => ({ ok: true, changed: [], restart: [], warnings: [] }) as const
  const server = new HubControl(hub, { path, isAutomatic: true, version: '1', log: silentLogger, reload })
  await server.start(new AbortController().signal)
  t.after(() => server.stop())
  chownSync(dirname(path), owner, owner)
}

async function ask(t: TestContext, place: ServicePlace): Promise<number> {
  const finder = new ServiceFinder(place, {}, 'openedge')
  t.after(() => finder.close())
  return (await finder.ask('GET', '/v1/stats', 5000)).status
}

describe('root finds the hub', FOR_ROOT, () => {
  test('of the user who has the configuration file', async t => {
    const place = makePlace(t)
    await serve(t, controlSocketOf('auto', place, SOMEBODY), SOMEBODY)
    await assert.rejects(ask(t, place), { code: 'ERR_LIFECYCLE_NOT_RUNNING' })
    chownSync(place.file ?? '', SOMEBODY, SOMEBODY)
    assert.equal(await ask(t, place), 200)
  })

  test('of the user who has the work directory, or what is stored', async t => {
    const place = makePlace(t, 'storage: { dir: data }\n')
    await serve(t, controlSocketOf('auto', place, SOMEBODY), SOMEBODY)
    mkdirSync(join(place.baseDir, 'data'))
    chownSync(join(place.baseDir, 'data'), SOMEBODY, SOMEBODY)
    assert.equal(await ask(t, place), 200)
    chownSync(join(place.baseDir, 'data'), 0, 0)
    await assert.rejects(ask(t, place), { code: 'ERR_LIFECYCLE_NOT_RUNNING' })
    chownSync(place.baseDir, SOMEBODY, SOMEBODY)
    assert.equal(await ask(t, place), 200)
  })

  test('in the folder that the configuration names, whoever has it', async t => {
    const place = makePlace(t, 'control: { socket: run/hub.sock }\n')
    await serve(t, controlSocketOf('run/hub.sock', place), SOMEBODY)
    assert.equal(await ask(t, place), 200)
    chmodSync(join(place.baseDir, 'run'), 0o777)
    await assert.rejects(ask(t, place), { code: 'ERR_LIFECYCLE_UNTRUSTED', message: /may be written to by other/ })
  })

  test('but not in a folder that somebody else made in its place', async t => {
    const place = makePlace(t)
    chownSync(place.file ?? '', SOMEBODY, SOMEBODY)
    await serve(t, controlSocketOf('auto', place, SOMEBODY), ANOTHER)
    await assert.rejects(ask(t, place), { code: 'ERR_LIFECYCLE_UNTRUSTED', message: /belongs to another user/ })
  })

  test("and is not led away by a link to what is not that user's", async t => {
    const place = makePlace(t)
    chownSync(place.file ?? '', SOMEBODY, SOMEBODY)
    await serve(t, join(place.baseDir, 'elsewhere/hub.sock'), ANOTHER)
    const path = controlSocketOf('auto', place, SOMEBODY) ?? ''
    mkdirSync(dirname(path), { mode: 0o700 })
    chownSync(dirname(path), SOMEBODY, SOMEBODY)
    symlinkSync(join(place.baseDir, 'elsewhere/hub.sock'), path)
    await assert.rejects(ask(t, place), { code: 'ERR_LIFECYCLE_UNTRUSTED', message: /elsewhere, belongs to another/ })
  })
})
