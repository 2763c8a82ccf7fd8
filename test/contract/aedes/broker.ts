// The broker itself: its properties, opening and closing.
import assert from 'node:assert/strict'
import { Aedes, type AedesOptions } from 'aedes'
import {
  type Create,
  closing,
  connectPacket,
  contract,
  emitted,
  listen,
  message,
  publish,
  turns,
  until,
} from './harness.ts'

type BrokerClass = { new (options?: AedesOptions): Aedes; createBroker(options?: AedesOptions): Promise<Aedes> }

export function suite(name: string, create: Create, oracle = false): void {
  contract(name, 'broker', create, oracle, it => {
    it('is an Aedes', async lab => {
      assert.ok((await lab.open()) instanceof Aedes, 'it is an Aedes')
    })

    it('has the id it is given', async lab => {
      assert.equal((await lab.open({ id: 'kitchen' })).id, 'kitchen')
    })

    it('makes an id of its own, different for each broker', async lab => {
      const first = await lab.open()
      const second = await lab.open()
      assert.match(first.id, /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/)
      assert.notEqual(first.id, second.id)
    })

    it('tells a version', async lab => {
      const broker = (await lab.open()) as Aedes & { version: string }
      assert.match(broker.version, /^\d+\.\d+\.\d+/)
    })

    it('is open after create and has no clients', async lab => {
      const broker = await lab.open()
      assert.equal(broker.closed, false)
      assert.equal(broker.connectedClients, 0)
    })

    it('is closed between its constructor and listen()', async lab => {
      const Broker = (await lab.open()).constructor as BrokerClass
      const broker = new Broker({ id: 'by-hand' })
      assert.equal(broker.closed, true)
      assert.equal(broker.id, 'by-hand')
      await broker.listen()
      assert.equal(broker.closed, false)
      await closing(broker)
    })

    it('comes from the static createBroker as well', async lab => {
      const Broker = (await lab.open()).constructor as BrokerClass
      const broker = await Broker.createBroker({ id: 'static' })
      assert.ok(broker instanceof Broker, 'it is of the same class')
      assert.equal(broker.closed, false)
      assert.equal(broker.id, 'static')
      await closing(broker)
    })

    it('counts connected clients', async lab => {
      const broker = await lab.open()
      const one = await lab.connect(broker, 'one')
      assert.equal(broker.connectedClients, 1)
      await lab.connect(broker, 'two')
      assert.equal(broker.connectedClients, 2)
      const gone = emitted(broker, 'clientDisconnect')
      await one.disconnect()
      await gone
      assert.equal(broker.connectedClients, 1)
    })

    it('does not count a connection that has not connected', async lab => {
      const broker = await lab.open()
      lab.attach(broker)
      assert.equal(broker.connectedClients, 0)
    })

    it('close disconnects every client, emits closed, then calls back', async lab => {
      const broker = await lab.open()
      const devices = [await lab.connect(broker, 'one'), await lab.connect(broker, 'two')]
      const order: string[] = []
      broker.on('closed', () => order.push('closed'))
      await closing(broker)
      order.push('callback')
      assert.equal(broker.closed, true)
      assert.deepEqual(order, ['closed', 'callback'])
      for (const device of devices) await device.expectClosed()
      assert.equal(broker.connectedClients, 0)
    })

    it('close without a callback emits closed', async lab => {
      const broker = await lab.open()
      const closed = emitted(broker, 'closed')
      broker.close()
      await closed
    })

    it('close calls back at once when closed already, without a second event', async lab => {
      const broker = await lab.open()
      let events = 0
      broker.on('closed', () => events++)
      await closing(broker)
      await closing(broker)
      assert.equal(events, 1)
    })

    it('publish after close calls back with an error', async lab => {
      const broker = await lab.open()
      await closing(broker)
      await assert.rejects(publish(broker, message('a', 'late')), Error)
    })

    it('close does not wait for an authentication under way, and its late answer changes nothing', async lab => {
      let answer: (() => void) | undefined
      const broker = await lab.open({
        authenticate: (_client, _username, _password, done) => {
          answer = () => done(null, true)
        },
      })
      const clients: unknown[] = []
      broker.on('client', client => clients.push(client))
      const device = lab.attach(broker)
      device.send(connectPacket('slow'))
      await until(() => answer !== undefined, 'authenticate is called')
      await closing(broker)
      answer?.()
      await turns()
      assert.deepEqual(clients, [])
      assert.deepEqual(device.inbox, [])
      assert.equal(broker.connectedClients, 0)
    })

    it('two brokers know nothing of each other', async lab => {
      const first = await lab.open()
      const second = await lab.open()
      const seen = await listen(second, 'a')
      await publish(first, message('a', 'for the first'))
      await publish(second, message('a', 'for the second'))
      assert.deepEqual(
        seen.map(packet => packet.payload.toString()),
        ['for the second'],
      )
    })
  })
}
