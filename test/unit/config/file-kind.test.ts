import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { type FileKindName, fileKindOf } from '../../../src/config/index.ts'

function kindOf(t: TestContext, yaml: string | Buffer): FileKindName | null {
  const dir = mkdtempSync(join(tmpdir(), 'openedge-kind-'))
  t.after(() => rmSync(dir, { recursive: true, force: true }))
  writeFileSync(join(dir, 'service.yml'), yaml)
  return fileKindOf(join(dir, 'service.yml'))
}

describe('what a configuration file is of', () => {
  test('follows from its keys', t => {
    assert.equal(kindOf(t, 'listen: [tcp://127.0.0.1:1883]\n'), 'hub')
    assert.equal(kindOf(t, 'hub: { address: x }\nsubscriptions: []\n'), 'hub')
    assert.equal(kindOf(t, 'hub: { address: x }\nrules: []\n'), 'bridge')
    assert.equal(kindOf(t, '{"remotes": [{"name": "{{.NAME}}"}]}'), 'bridge')
  })

  test('however wrong it is otherwise', t => {
    assert.equal(kindOf(t, 'principals: 7\nlissten: [\n'), 'hub')
    assert.equal(kindOf(t, 'rules: { a: ${NOT_THERE} }\nhubb: 1\n'), 'bridge')
  })

  test('is not known of files of both, of neither, and of other services', t => {
    assert.equal(kindOf(t, ''), null)
    assert.equal(kindOf(t, 'logger: { level: debug }\n'), null)
    assert.equal(kindOf(t, 'listen: []\nrules: []\n'), null)
    assert.equal(kindOf(t, 'hub: {}\nrules: []\nfunctions: []\n'), null)
    assert.equal(kindOf(t, '- listen\n- rules\n'), null)
    assert.equal(kindOf(t, 'listen'), null)
    assert.equal(kindOf(t, Buffer.from([0xff, 0xfe, 0x00, 0x3a])), null)
  })

  test('is not known of what is no file', t => {
    const dir = mkdtempSync(join(tmpdir(), 'openedge-kind-'))
    t.after(() => rmSync(dir, { recursive: true, force: true }))
    mkdirSync(join(dir, 'folder'))
    assert.equal(fileKindOf(join(dir, 'folder')), null)
    assert.equal(fileKindOf(join(dir, 'absent.yml')), null)
    assert.equal(fileKindOf('/dev/null'), null)
  })
})
