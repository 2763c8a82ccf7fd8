// What waits for a client that is away.
import assert from 'node:assert/strict'
import type { PublishOptions } from '../../support/packets.ts'
import type { It } from './lab.ts'
import { hold, pour, QOS, series, silence, take, texts, textsOf, untilSilence } from './traffic.ts'

const PUBLISHERS = ['p', 'q', 'r']
const EACH = 170

export function queues(it: It): void {
  for (const qos of QOS) {
    it(`QoS ${qos}: hundreds of messages of several publishers wait, in order, before and after restarts`, async lab => {
      await lab.leaveSession('kept', ['t/#', qos])
      for (let life = 0; life < 3; life++) {
        const senders = await Promise.all(PUBLISHERS.map(name => lab.guest(name)))
        await Promise.all(
          senders.map((sender, i) => {
            const name = PUBLISHERS[i] as string
            return pour(
              sender,
              texts(EACH * (life + 1), '', EACH * life).map((payload, at) => ({
                topic: `t/${name}/${at % 3}`,
                qos,
                payload: `${name} ${payload}`,
              })),
            )
          }),
        )
        await lab.restart()
      }
      const client = await lab.resume('kept')
      const got = textsOf(await take(client, 3 * EACH * PUBLISHERS.length))
      for (const name of PUBLISHERS)
        assert.deepEqual(
          got.filter(text => text.startsWith(name)),
          texts(3 * EACH, `${name} `),
          `the messages of publisher ${name}`,
        )
      await silence(client)
    })

    it(`QoS ${qos}: a queue that was read in part goes on where it was after a restart`, async lab => {
      await lab.leaveSession('kept', ['t', qos])
      await pour(await lab.guest(), series('t', qos, 400))
      let from = 0
      for (const more of [1, 60, 150]) {
        const client = await lab.resume('kept')
        assert.deepEqual(textsOf(await take(client, more)), texts(from + more, '', from))
        from += more
        await client.everything()
        await lab.restart()
      }
      const client = await lab.resume('kept')
      assert.deepEqual(textsOf(await take(client, 400 - from)), texts(400, '', from))
      await silence(client)
    })
  }

  it('what is published to a connected client stands behind what waited for it', async lab => {
    await lab.leaveSession('kept', ['t', 1])
    await pour(await lab.guest(), series('t', 1, 300))
    await lab.restart()
    const sender = await lab.guest()
    await pour(sender, series('t', 1, 300, 'away '))
    const client = await lab.resume('kept')
    const first = textsOf(await take(client, 100))
    await pour(sender, series('t', 1, 100, 'here '))
    const rest = textsOf(await take(client, 600))
    assert.deepEqual([...first, ...rest], [...texts(300), ...texts(300, 'away '), ...texts(100, 'here ')])
    await silence(client)
  })

  it('a message waits at the lower of its own QoS and the granted one', async lab => {
    for (const granted of QOS) await lab.leaveSession(`granted-${granted}`, ['t', granted])
    const sender = await lab.guest()
    for (const qos of [0, 1, 2]) await sender.publish({ topic: 't', qos, payload: `${qos}` })
    await lab.restart()
    for (const granted of QOS) {
      const client = await lab.resume(`granted-${granted}`)
      assert.deepEqual(
        (await take(client, 2)).map(({ payload, qos }) => [payload.toString(), qos]),
        [
          ['1', 1],
          ['2', granted],
        ],
        'QoS 0 does not wait, the others do',
      )
      await silence(client)
    }
  })

  it(
    'a message of QoS 1 or 2 waits for a subscription of QoS 0 too',
    async lab => {
      await lab.leaveSession('kept', ['t', 0])
      const sender = await lab.guest()
      for (const qos of [0, 1, 2]) await sender.publish({ topic: 't', qos, payload: `${qos}` })
      await lab.restart()
      const client = await lab.resume('kept')
      assert.deepEqual(
        (await take(client, 2)).map(({ payload, qos }) => [payload.toString(), qos]),
        [
          ['1', 0],
          ['2', 0],
        ],
      )
      await silence(client)
    },
    { needs: 'messages for a QoS 0 subscription' },
  )

  const orders: [string, [string, number][]][] = [
    [
      'the wide filter first',
      [
        ['a/#', 1],
        ['a/+', 0],
        ['a/b', 2],
      ],
    ],
    [
      'the narrow filter first',
      [
        ['a/b', 2],
        ['a/+', 0],
        ['a/#', 1],
      ],
    ],
    [
      'the highest QoS on the wide filter',
      [
        ['a/b', 1],
        ['a/#', 2],
      ],
    ],
  ]
  for (const [how, filters] of orders) {
    for (const isRestarted of [false, true]) {
      const title = `overlapping filters: one copy at the highest QoS, ${how}${isRestarted ? ', after a restart' : ''}`
      it(
        title,
        async lab => {
          const client = await lab.begin('kept')
          for (const filter of filters) await client.subscribe(filter)
          await client.disconnect()
          if (isRestarted) await lab.restart()
          const topics = ['a/b', 'a/c', 'a/b/c']
          await pour(
            await lab.guest(),
            topics.map(topic => ({ topic, qos: 2 })),
          )
          await lab.restart()
          const again = await lab.resume('kept')
          const wide = Object.fromEntries(filters)['a/#'] as number
          assert.deepEqual(
            (await take(again, 3)).map(({ topic, qos }) => [topic, qos]),
            [
              ['a/b', 2],
              ['a/c', wide],
              ['a/b/c', wide],
            ],
          )
          await silence(again)
        },
        isRestarted ? {} : { needs: 'overlapping filters in the life of the hub that took them' },
      )
    }
  }

  for (const qos of QOS) {
    it(`QoS ${qos}: a message that two sessions wait for reaches both, each in a life of the hub of its own`, async lab => {
      await lab.leaveSession('first', ['t', qos])
      await lab.leaveSession('second', ['t', qos])
      await pour(await lab.guest(), series('t', qos, 20))
      for (const id of ['first', 'second']) {
        await lab.restart()
        const client = await lab.resume(id)
        assert.deepEqual(textsOf(await take(client, 20)), texts(20))
        await silence(client)
      }
      await lab.restart()
      for (const id of ['first', 'second']) await silence(await lab.resume(id))
    })
  }

  it('a message that was published with RETAIN 1 comes out of the queue with RETAIN 0', async lab => {
    await lab.leaveSession('kept', ['t/#', 1])
    const published: PublishOptions[] = [
      { topic: 't/kept', qos: 1, payload: 'x', retain: true },
      { topic: 't/kept', qos: 1, payload: '', retain: true },
    ]
    await pour(await lab.guest(), published)
    await lab.restart()
    const client = await lab.resume('kept')
    assert.deepEqual(
      (await take(client, 2)).map(({ payload, retain }) => [payload.toString(), retain]),
      [
        ['x', false],
        ['', false],
      ],
    )
    await silence(client)
  })

  it('what waits for a clean session that is cut is gone with it', async lab => {
    const clean = await lab.guest('guest')
    await clean.subscribe(['t', 1])
    const sender = await lab.guest()
    await pour(sender, series('t', 1, 200))
    assert.ok((await untilSilence(clean)).length > 0, 'nothing was sent')
    clean.destroy()
    await pour(sender, series('t', 1, 5))
    await lab.restart()
    const again = await lab.begin('guest')
    await silence(again)
  })

  it('what nobody has read is there after many restarts', async lab => {
    await lab.leaveSession('kept', ['t', 2])
    await pour(await lab.guest(), [...series('t', 2, 3)])
    for (let life = 0; life < 5; life++) await lab.restart()
    const client = await lab.resume('kept')
    const messages = await hold(client, 3)
    assert.deepEqual(textsOf(messages), texts(3))
    assert.deepEqual(
      messages.map(({ dup }) => dup),
      [false, false, false],
    )
  })
}
