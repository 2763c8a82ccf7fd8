// Many sessions.
import assert from 'node:assert/strict'
import type { It } from './lab.ts'
import { pour, series, silence, take, textsOf } from './traffic.ts'

const SESSIONS = 1000
const AT_A_TIME = 50

/** Does something for each number below `SESSIONS`, some at a time. */
async function forEach(work: (i: number) => Promise<void>): Promise<void> {
  for (let from = 0; from < SESSIONS; from += AT_A_TIME)
    await Promise.all(Array.from({ length: AT_A_TIME }, (_, i) => work(from + i)))
}

export function many(it: It): void {
  it(`${SESSIONS} sessions, each with messages of its own and some that all wait for`, async lab => {
    await forEach(i => lab.leaveSession(`client-${i}`, [`own/${i}`, 1], ['all/+', (i % 2) + 1]))
    const sender = await lab.guest()
    const own = (payload: string) =>
      Array.from({ length: SESSIONS }, (_, i) => ({ topic: `own/${i}`, qos: 1, payload }))
    await pour(sender, own('early'))
    await pour(sender, series('all/x', 2, 3, 'all '))
    await lab.restart()
    const later = await lab.guest()
    await pour(later, own('late'))
    await pour(later, series('all/y', 1, 1, 'last '))
    const expected = ['early', 'all 0', 'all 1', 'all 2', 'late', 'last 0']
    await forEach(async i => {
      const client = await lab.resume(`client-${i}`)
      const got = await take(client, expected.length)
      assert.deepEqual(textsOf(got), expected, `the messages of client-${i}`)
      assert.deepEqual([got[0]?.topic, got[1]?.qos], [`own/${i}`, (i % 2) + 1])
      await silence(client)
      await client.disconnect()
    })
    await lab.restart()
    await forEach(async i => {
      const client = await lab.resume(`client-${i}`)
      await silence(client)
      await client.disconnect()
    })
  })
}
