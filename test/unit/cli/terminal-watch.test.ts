/** The hangup of a terminal that is closed, and those that come later. */
import assert from 'node:assert/strict'
import { syncBuiltinESMExports } from 'node:module'
import { type TestContext, test } from 'node:test'
import tty from 'node:tty'
import { ProcessEvents } from '../../../src/cli/process-events.ts'

const WINDOWS = { skip: process.platform === 'win32' ? 'SIGHUP has one meaning only' : false }

interface Stage {
  readonly events: ProcessEvents
  readonly reloads: () => number
  readonly closeTerminal: () => void
}

function stage(t: TestContext, hasTerminal: boolean): Stage {
  t.mock.timers.enable({ apis: ['setInterval'] })
  let isThere = hasTerminal
  t.mock.method(tty, 'isatty', () => isThere)
  syncBuiltinESMExports()
  const events = new ProcessEvents()
  t.after(() => {
    events.close()
    t.mock.restoreAll()
    syncBuiltinESMExports()
  })
  let reloads = 0
  events.onHangup(() => void reloads++)
  return {
    events,
    reloads: () => reloads,
    closeTerminal: () => {
      isThere = false
    },
  }
}

function hangUp(): void {
  process.emit('SIGHUP', 'SIGHUP')
}

test('a terminal that is closed ends the program', WINDOWS, async t => {
  const { events, reloads, closeTerminal } = stage(t, true)
  hangUp()
  assert.equal(reloads(), 1, 'the terminal is there: somebody sent it')
  t.mock.timers.tick(60_000)
  closeTerminal()
  t.mock.timers.tick(1000)
  hangUp()
  assert.equal(await events.stopped, 'SIGHUP')
  assert.equal(reloads(), 1, 'it is not taken for a reload')
})

test('a hangup long after the terminal was closed is for the configuration', WINDOWS, t => {
  const { events, reloads, closeTerminal } = stage(t, true)
  closeTerminal()
  t.mock.timers.tick(10_000)
  hangUp()
  hangUp()
  assert.equal(reloads(), 2, 'both')
  assert.equal(events.stopping.aborted, false, 'it does not stop')
})

test('so it is for a program that never had a terminal', WINDOWS, t => {
  const { events, reloads } = stage(t, false)
  hangUp()
  assert.equal(reloads(), 1, 'one')
  assert.equal(events.stopping.aborted, false, 'it does not stop')
})
