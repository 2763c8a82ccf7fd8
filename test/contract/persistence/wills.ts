// Wills of clients whose hub ended.
import assert from 'node:assert/strict'
import type { It } from './lab.ts'
import { pour, type Received, series, silence, take, texts, textsOf } from './traffic.ts'

const WILL = { topic: 'last/words', payload: 'farewell \u{1F44B}', qos: 1 } as const

type Seen = [topic: string, payload: string, qos: number, retain: boolean]

const seen = ({ topic, payload, qos, retain }: Received): Seen => [topic, payload.toString(), qos, retain]
const byTopic = ([a]: Seen, [b]: Seen): number => (a < b ? -1 : 1)

export function wills(it: It): void {
  it(
    'when the hub died, the Wills of the clients that it had are published in its next life, once',
    async lab => {
      await lab.leaveSession('heir', ['last/#', 2])
      await pour(await lab.guest(), series('last/waiting/long', 1, 100))
      await lab.leaveSession('watcher', ['last/+', 2])
      await lab.guest('mortal', { will: WILL })
      await lab.begin('kept', { will: { topic: 'last/kept', payload: '', qos: 2 } })
      await lab.guest('retaining', { will: { ...WILL, topic: 'last/retained', retain: true } })
      const polite = await lab.guest('polite', { will: { ...WILL, topic: 'last/never' } })
      await polite.disconnect()
      const first = await lab.guest('returned', { will: { ...WILL, topic: 'last/replaced' } })
      await first.disconnect()
      await lab.guest('returned', { will: { ...WILL, topic: 'last/second' } })
      await lab.crash()
      const watcher = await lab.resume('watcher')
      const published = await take(watcher, 4)
      await silence(watcher)
      assert.deepEqual(published.map(seen).sort(byTopic), [
        ['last/kept', '', 2, false],
        ['last/retained', WILL.payload, 1, false],
        ['last/second', WILL.payload, 1, false],
        ['last/words', WILL.payload, 1, false],
      ])
      const heir = await lab.resume('heir')
      const [waiting, last] = [await take(heir, 100), await take(heir, 4)]
      assert.deepEqual(textsOf(waiting), texts(100), 'what waited before')
      assert.deepEqual(textsOf(last), textsOf(published))
      await silence(heir)
      await lab.restart()
      await silence(await lab.resume('heir'))
      const late = await lab.guest()
      await late.subscribe(['last/#', 1])
      assert.deepEqual(
        (await take(late, 1)).map(({ topic, payload, retain }) => [topic, payload.toString(), retain]),
        [['last/retained', WILL.payload, true]],
      )
    },
    { mortal: true },
  )

  it('when the hub was stopped, they were published then and are not again', async lab => {
    await lab.leaveSession('heir', ['last/#', 1])
    await lab.guest('mortal', { will: WILL })
    await lab.restart()
    const heir = await lab.resume('heir')
    const [message] = await take(heir, 1)
    assert.deepEqual([message?.topic, message?.payload.toString()], [WILL.topic, WILL.payload])
    await silence(heir)
    await lab.restart()
    await silence(await lab.resume('heir'))
  })
}
