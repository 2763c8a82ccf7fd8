/** How late the event loop is, for those who ask seldom too. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { LoopWatch } from '../../../src/control/loop-watch.ts'

test('is watched from one question to the next, however far away that is', async t => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const watch = new LoopWatch()
  t.after(() => watch.close())
  assert.equal(watch.read(60_000), null, 'nothing is known yet')
  await sleep(50) // the watch has a clock of its own
  t.mock.timers.tick(60_000)
  assert.notEqual(watch.read(60_000), null, 'it was watched')
  assert.equal(typeof watch.read(), 'object', 'somebody who asks more often')
  await sleep(50)
  t.mock.timers.tick(60_000)
  assert.notEqual(watch.read(60_000), null, 'does not end it')
  t.mock.timers.tick(200_000)
  assert.equal(watch.read(), null, 'it ended when nobody asked')
})
