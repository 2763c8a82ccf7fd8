import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { after, suite, test } from 'node:test'
import { readCredentials } from '../../../src/bridge/transport/index.ts'
import { remoteAt } from './transport-kit.ts'

suite('credentials of a bridge', { timeout: 60_000 }, () => {
  const dir = mkdtempSync(join(tmpdir(), 'openedge-credentials-'))
  const file = join(dir, 'token')
  after(() => rmSync(dir, { recursive: true, force: true }))

  const read = (passwordFile: string) =>
    readCredentials(remoteAt('tcp://127.0.0.1', { username: 'device', passwordFile }), dir)

  const refuses = (passwordFile: string, expected: RegExp) =>
    assert.rejects(read(passwordFile), (failure: Error & { code?: string }) => {
      assert.equal(failure.code, 'ERR_BRIDGE_CREDENTIALS_FILE')
      assert.match(failure.message, expected)
      assert.ok(failure.message.includes(resolve(dir, passwordFile)), `${failure.message} has no name of the file`)
      return true
    })

  test('come from the configuration where there is no file', async () => {
    const config = remoteAt('tcp://127.0.0.1', { username: 'device', password: ' secret ' })
    assert.deepEqual(await readCredentials(config, dir), { username: 'device', password: ' secret ' })
  })

  for (const [what, content, password] of [
    ['a line', 'SharedAccessSignature sr=a&sig=b%3d\n', 'SharedAccessSignature sr=a&sig=b%3d'],
    ['a line without an end', 'secret', 'secret'],
    ['a line of Windows', '\ufeffsecret\r\nmore', 'secret'],
    ['several lines', 'first\nsecond\n', 'first'],
    ['white space', ' s e c \n', ' s e c '],
    ['letters of all kinds', 'pässwört\n', 'pässwört'],
    ['the longest password of MQTT', `${'x'.repeat(65_535)}\n${'y'.repeat(100_000)}`, 'x'.repeat(65_535)],
  ] as const) {
    test(`are the first line of a file with ${what}`, async () => {
      writeFileSync(file, content)
      assert.deepEqual(await read('token'), { username: 'device', password })
    })
  }

  test('are read anew each time', async () => {
    writeFileSync(file, 'old')
    await read('token')
    writeFileSync(file, 'new')
    assert.equal((await read('token')).password, 'new')
  })

  test('are refused when the file can not be used', async () => {
    await refuses('missing', /there is no such file/)
    await refuses('.', /not a file/)
    writeFileSync(file, '\nsecret\n')
    await refuses('token', /no password in its first line/)
    writeFileSync(file, 'x'.repeat(65_536))
    await refuses('token', /more than 65535 bytes/)
    writeFileSync(file, Buffer.from([0x73, 0xff, 0x0a]))
    await refuses('token', /not UTF-8/)
  })

  test('are not looked for in a device, which may never end', () => refuses('/dev/zero', /not a file/))
})
