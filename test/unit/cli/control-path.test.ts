import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { parseArguments } from '../../../src/cli/arguments.ts'
import { hubKind } from '../../../src/cli/hub/kind.ts'
import { identityOf, PLACE_OPTIONS, servicePlace } from '../../../src/cli/service/place.ts'
import { type ControlPlace, controlSocketPath } from '../../../src/control/index.ts'

const PLACE: ControlPlace = {
  kind: 'hub',
  setting: 'auto',
  baseDir: '/opt/edge',
  identity: '/opt/edge/etc/openedge/service.yml',
  tempDir: '/tmp',
  userId: 1000,
}

function makeDir(t: TestContext): string {
  const dir = mkdtempSync(join(tmpdir(), 'openedge-place-'))
  t.after(() => rmSync(dir, { recursive: true, force: true }))
  return dir
}

describe('the path of the control socket', () => {
  test('follows from the user and the configuration file', () => {
    // printf %s /opt/edge/etc/openedge/service.yml | sha256sum | cut -c-16
    assert.equal(controlSocketPath(PLACE), '/tmp/openedge-1000/hub-4d9110073cff4e45.sock')
    const others: Partial<ControlPlace>[] = [
      { kind: 'bridge' },
      { identity: '/opt/edge/etc/x.yml' },
      { userId: 0 },
      { tempDir: '/var/tmp' },
    ]
    for (const other of others) assert.notEqual(controlSocketPath({ ...PLACE, ...other }), controlSocketPath(PLACE))
  })

  test('is what the configuration says, from the work directory on', () => {
    assert.equal(controlSocketPath({ ...PLACE, setting: 'run/hub.sock' }), '/opt/edge/run/hub.sock')
    assert.equal(controlSocketPath({ ...PLACE, setting: '/run/hub.sock' }), '/run/hub.sock')
    assert.equal(controlSocketPath({ ...PLACE, setting: 'none' }), null)
    assert.equal(controlSocketPath({ ...PLACE, userId: null }), null)
  })

  test('is refused when the kernel has no room for it', () => {
    const most = process.platform === 'linux' ? 107 : 103
    const path = `/${'x'.repeat(most - 1)}`
    assert.equal(controlSocketPath({ ...PLACE, setting: path }), path)
    const refused = {
      code: 'ERR_LISTEN_BAD_ADDRESS',
      message: /has 1\d\d bytes, \d+ is the most: choose a shorter one$/,
    }
    assert.throws(() => controlSocketPath({ ...PLACE, setting: `${path}x` }), refused)
    // Bytes are what counts.
    assert.throws(() => controlSocketPath({ ...PLACE, setting: `/${'ü'.repeat(60)}` }), refused)
    const long = { code: 'ERR_LISTEN_BAD_ADDRESS', message: /set control\.socket, or TMPDIR, to a shorter one$/ }
    assert.throws(() => controlSocketPath({ ...PLACE, tempDir: path }), long)
    assert.throws(() => controlSocketPath({ ...PLACE, setting: 'a\0b' }), /has a null character/)
  })
})

describe('which hub is meant', () => {
  const identity = (...args: string[]): string => identityOf(servicePlace(hubKind, parseArguments(args, PLACE_OPTIONS)))

  test('does not depend on how the path is typed', t => {
    const dir = realpathSync(makeDir(t))
    mkdirSync(join(dir, 'edge'))
    writeFileSync(join(dir, 'edge/my.yml'), '')
    symlinkSync(join(dir, 'edge'), join(dir, 'link'))
    symlinkSync(join(dir, 'edge/my.yml'), join(dir, 'other.yml'))
    const file = join(dir, 'edge/my.yml')
    for (const typed of [file, join(dir, 'link/my.yml'), join(dir, 'other.yml'), join(dir, 'edge/../edge/my.yml')]) {
      assert.equal(identity('-c', typed), file)
    }
    assert.equal(identity('-w', join(dir, 'link'), '-c', 'my.yml'), file)
    assert.equal(identity('-w', join(dir, 'link')), join(dir, 'edge'))
    mkdirSync(join(dir, 'edge/etc/openedge'), { recursive: true })
    writeFileSync(join(dir, 'edge/etc/openedge/service.yml'), '')
    assert.equal(identity('-w', join(dir, 'link')), join(dir, 'edge/etc/openedge/service.yml'))
  })

  test('is known of a file that is gone, too', t => {
    const dir = realpathSync(makeDir(t))
    symlinkSync(dir, join(dir, 'link'))
    assert.equal(identity('-c', join(dir, 'link/gone/away.yml')), join(dir, 'gone/away.yml'))
  })
})
