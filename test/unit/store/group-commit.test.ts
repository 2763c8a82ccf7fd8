import assert from 'node:assert/strict'
import { suite, type TestContext, test } from 'node:test'
import type { Database } from '../../../src/broker/store/database.ts'
import { GroupCommit, type SyncMode } from '../../../src/broker/store/group-commit.ts'
import { silentLogger } from '../../../src/common/index.ts'
import { openIn, scratch } from './database-files.ts'

const INTERVAL = 50
const KEY = Buffer.from('Mkey')
const OTHER = Buffer.from('Mother')

interface Committing {
  readonly database: Database
  readonly commit: GroupCommit
  /** Calls of syncLogs. */
  syncs: number
  /** What the next of them fails with. */
  failure: Error | null
  /** Told when writing fails, and when it goes again. */
  readonly told: (string | null)[]
  /** Lets an interval pass, and the sync that follows it. */
  pass(): Promise<void>
}

async function committing(t: TestContext, sync: SyncMode): Promise<Committing> {
  const database = await openIn(t, scratch(t), { sync })
  t.mock.timers.enable({ apis: ['setInterval'] })
  const told: (string | null)[] = []
  const commit = new GroupCommit(database, {
    sync,
    intervalMs: INTERVAL,
    log: silentLogger,
    nextSeq: () => 1,
    committed: () => {},
    failed: error => told.push(error?.message ?? null),
  })
  let last: Promise<unknown> = Promise.resolve()
  const syncLogs = database.syncLogs.bind(database)
  const state: Committing = {
    database,
    commit,
    syncs: 0,
    failure: null,
    told,
    async pass() {
      t.mock.timers.tick(INTERVAL)
      await last
      // What follows from it comes in the same turn.
      await new Promise(resolve => setImmediate(resolve))
    },
  }
  database.syncLogs = () => {
    state.syncs++
    const { failure } = state
    state.failure = null
    const synced = failure === null ? syncLogs() : Promise.reject(failure)
    last = synced.catch(() => {})
    return synced
  }
  return state
}

suite('with sync interval', () => {
  test('the logs are synced once after each interval in which something was written', async t => {
    const state = await committing(t, 'interval')
    await state.pass()
    assert.equal(state.syncs, 0, 'nothing was written yet')
    for (const expected of [1, 2]) {
      state.commit.put(KEY, Buffer.from(String(expected)))
      await state.commit.committed()
      assert.equal(state.syncs, expected - 1, 'no write waits for it')
      await state.pass()
      assert.equal(state.syncs, expected)
      await state.pass()
      assert.equal(state.syncs, expected, 'nothing was written since')
    }
    state.commit.put(KEY, Buffer.from('last'))
    await state.commit.close()
    assert.equal(state.syncs, 3, 'closing syncs what was written last')
  })

  test('a sync that fails is told of, and the database opened anew', async t => {
    const state = await committing(t, 'interval')
    const { commit, database } = state
    let reopened = 0
    const reopen = database.reopen.bind(database)
    database.reopen = () => {
      reopened++
      return reopen()
    }
    commit.put(KEY, Buffer.from('value'))
    await commit.committed()
    state.failure = new Error('the disk is broken')
    await state.pass()
    assert.deepEqual(state.told, ['the disk is broken'])
    // What is added meanwhile is written afterwards.
    commit.put(OTHER, Buffer.from('later'))
    await commit.committed()
    assert.deepEqual([state.told, reopened, commit.failure], [['the disk is broken', null], 1, null])
    assert.equal(String(await database.level.get(KEY)), 'value')
    assert.equal(String(await database.level.get(OTHER)), 'later')
    await state.pass()
    assert.equal(state.syncs, 2, 'the next interval syncs again')
    await commit.close()
  })
})

for (const sync of ['always', 'never'] as const) {
  test(`with sync ${sync} no interval syncs`, async t => {
    const state = await committing(t, sync)
    state.commit.put(KEY, Buffer.from('value'))
    await state.commit.committed()
    await state.pass()
    await state.commit.close()
    assert.equal(state.syncs, 0)
  })
}
