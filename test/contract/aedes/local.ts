// subscribe() and unsubscribe() of the broker: functions that hear messages as clients do.
import assert from 'node:assert/strict'
import type { Aedes } from 'aedes'
import { type Create, contract, listen, message, publish, turns, until, within } from './harness.ts'

export function suite(name: string, create: Create, oracle = false): void {
  contract(name, 'subscribe of the broker', create, oracle, it => {
    it('subscribe() of the broker: callback, then messages of clients and of the broker, as aedes packets', async lab => {
      const broker = await lab.open({ id: 'home' })
      const seen = await listen(broker, 'a/+')
      const device = await lab.connect(broker, 'sender')
      device.send({ ...message('a/one', 'from a client', { qos: 1 }), messageId: 5 })
      await device.expect('puback')
      await until(() => seen.length === 1, 'the message of the client arrives')
      await publish(broker, message('a/two', 'from the broker', { retain: true }))
      assert.equal(seen.length, 2)
      const [first, second] = seen
      assert.ok(first !== undefined && second !== undefined, 'both arrived')
      assert.equal(first.cmd, 'publish')
      assert.equal(first.topic, 'a/one')
      assert.ok(Buffer.isBuffer(first.payload), 'the bytes are a Buffer')
      assert.equal(first.payload.toString(), 'from a client')
      assert.equal(first.qos, 1)
      assert.equal(first.retain, false)
      assert.equal(first.brokerId, 'home')
      assert.equal(first.clientId, 'sender')
      assert.equal(second.topic, 'a/two')
      assert.equal(second.retain, true)
      assert.equal(second.brokerId, 'home')
      assert.equal(second.clientId, undefined)
      assert.ok(second.brokerCounter > first.brokerCounter, 'the counter grows')
    })

    it('subscribe() of the broker skips authorizeSubscribe and authorizeForward, and gets no retained message', async lab => {
      let asked = 0
      const broker = await lab.open({
        authorizeSubscribe: (_client, _subscription, done) => {
          asked++
          done(null, null)
        },
        authorizeForward: () => {
          asked++
          return null
        },
      })
      await publish(broker, message('a', 'old', { retain: true }))
      const seen = await listen(broker, 'a')
      await turns()
      assert.deepEqual(seen, [])
      await publish(broker, message('a', 'new'))
      assert.equal(seen.length, 1)
      assert.equal(asked, 0)
    })

    it('subscribe() of the broker with # hears $SYS as well', async lab => {
      const broker = await lab.open({ id: 'home' })
      const seen = await listen(broker, '#')
      await lab.connect(broker, 'someone')
      await until(() => seen.some(packet => packet.topic === '$SYS/home/new/clients'), '$SYS is heard')
    })

    it('subscribe() of the broker: two functions on one filter both hear; unsubscribe ends one', async lab => {
      const broker = await lab.open()
      const heard: string[] = []
      const hearer =
        (who: string) =>
        (packet: { payload: Buffer | string }, done: () => void): void => {
          heard.push(`${who} ${packet.payload.toString()}`)
          done()
        }
      const one = hearer('one')
      const two = hearer('two')
      for (const func of [one, two]) {
        await within(new Promise<void>(resolve => broker.subscribe('a', func, resolve)), 'the callback')
      }
      await publish(broker, message('a', '1'))
      await within(new Promise<void>(resolve => broker.unsubscribe('a', one, resolve)), 'the callback')
      await publish(broker, message('a', '2'))
      assert.deepEqual(heard.sort(), ['one 1', 'two 1', 'two 2'])
    })

    it('unsubscribe() of the broker with another function or filter takes nothing away', async lab => {
      const broker = await lab.open()
      const seen: unknown[] = []
      const func = (packet: unknown, done: () => void): void => {
        seen.push(packet)
        done()
      }
      await within(new Promise<void>(resolve => broker.subscribe('a', func, resolve)), 'the callback')
      const other = (_packet: unknown, done: () => void): void => done()
      await within(new Promise<void>(resolve => broker.unsubscribe('a', other, resolve)), 'the callback')
      await within(new Promise<void>(resolve => broker.unsubscribe('b', func, resolve)), 'the callback')
      await publish(broker, message('a', 'x'))
      assert.equal(seen.length, 1)
    })

    it('subscribe() and unsubscribe() of the broker work without a callback', async lab => {
      const broker = (await lab.open()) as Aedes & Record<'subscribe' | 'unsubscribe', (...values: unknown[]) => void>
      let heard = 0
      const func = (_packet: unknown, done: () => void): void => {
        heard++
        done()
      }
      broker.subscribe('a', func)
      await publish(broker, message('a', 'x'))
      assert.equal(heard, 1)
      broker.unsubscribe('a', func)
      await turns()
      await publish(broker, message('a', 'y'))
      assert.equal(heard, 1)
    })

    it('a deliver function holds back the callback of publish() until it is done', async lab => {
      const broker = await lab.open()
      const waiting: (() => void)[] = []
      await within(
        new Promise<void>(resolve =>
          broker.subscribe(
            'a',
            (_packet, done) => {
              waiting.push(done)
            },
            resolve,
          ),
        ),
        'the callback',
      )
      let over = false
      const sent = publish(broker, message('a', 'x')).then(() => {
        over = true
      })
      await until(() => waiting.length === 1, 'the deliver function is called')
      await turns()
      assert.equal(over, false)
      waiting[0]?.()
      await sent
    })
  })
}
