/** The level of a log that runs, and where its lines go then. */
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite, test } from 'node:test'
import { createLog } from '../../../src/cli/log/logger.ts'

const CONFIG = { path: '', level: 'info', format: 'json', maxAgeDays: 1, maxSizeMb: 1, maxBackups: 1 } as const

const eventsOf = (lines: readonly string[]): string[] => lines.map(line => JSON.parse(line).msg)

suite('the level of a running log', () => {
  test('decides from the moment it is set, for children too', async () => {
    const lines: string[] = []
    const log = await createLog({ config: CONFIG, baseDir: '/', base: {}, console: line => lines.push(line) })
    const child = log.child({ part: 'a' }).child({ more: 1 })
    log.debug({}, 'no')
    child.debug('no')
    log.setLevel('debug')
    log.debug({}, 'debug')
    child.debug('debug of child')
    assert.equal(log.isLevelEnabled('debug'), true)
    assert.equal(child.isLevelEnabled('debug'), true)
    log.setLevel('error')
    log.warn({}, 'no')
    child.info({}, 'no')
    child.error({ own: true }, 'error of child')
    assert.equal(child.isLevelEnabled('info'), false)
    assert.deepEqual(eventsOf(lines), ['debug', 'debug of child', 'error of child'])
    const { time: _time, ...last } = JSON.parse(lines.at(-1) as string)
    assert.deepEqual(last, { level: 'error', part: 'a', more: 1, own: true, msg: 'error of child' })
  })

  test('debug writes to the console besides the file, and no other level does', async t => {
    const dir = mkdtempSync(join(tmpdir(), 'openedge-log-'))
    t.after(() => rmSync(dir, { recursive: true, force: true }))
    const lines: string[] = []
    const config = { ...CONFIG, path: 'log/hub.log' }
    const log = await createLog({ config, baseDir: dir, base: {}, console: line => lines.push(line) })
    log.info({}, 'one')
    log.setLevel('debug')
    log.info({}, 'two')
    log.setLevel('info')
    log.info({}, 'three')
    await log.close()
    assert.deepEqual(eventsOf(lines), ['two'])
    const written = readFileSync(join(dir, 'log/hub.log'), 'utf8').trimEnd().split('\n')
    assert.deepEqual(eventsOf(written), ['one', 'two', 'three'])
  })
})
