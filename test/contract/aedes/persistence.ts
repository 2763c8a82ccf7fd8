// The persistence plug-in: which of its methods are called, when and with what.
import assert from 'node:assert/strict'
import type { Aedes } from 'aedes'
import { type Create, contract, type Lab, listen, message, publish, turns, until } from './harness.ts'
import { type Call, callsOf, memoryPersistence, watched } from './plugins.ts'

const WILL = { topic: 'last/words', payload: Buffer.from('goodbye'), qos: 1, retain: false } as const

interface Stored {
  topic: string
  payload: Buffer
  qos: number
  retain: boolean
  messageId?: number
}

async function open(lab: Lab, options: object = {}): Promise<{ broker: Aedes; calls: Call[] }> {
  const { plugin, calls } = watched(memoryPersistence())
  const broker = await lab.open({ ...options, persistence: plugin })
  return { broker, calls }
}

/** The id of the client or client-like object that a call was made for. */
function clientId(value: unknown): string {
  const { id, clientId: of } = value as { id?: string; clientId?: string }
  return id ?? of ?? ''
}

/** The calls of a method that were made for one client. */
function callsFor(calls: Call[], method: string, id: string): unknown[][] {
  return callsOf(calls, method).filter(values => clientId(values[0]) === id)
}

export function suite(name: string, create: Create, oracle = false): void {
  contract(name, 'persistence', create, oracle, it => {
    it('setup is called once with the broker, before anything else', async lab => {
      const { plugin, calls } = watched(memoryPersistence())
      const broker = await lab.open({ persistence: plugin })
      assert.equal(calls[0]?.method, 'setup')
      assert.equal(callsOf(calls, 'setup').length, 1)
      assert.equal((plugin as unknown as { broker: Aedes }).broker, broker)
      assert.equal((broker as Aedes & { persistence: unknown }).persistence, plugin)
    })

    it('a persistence whose setup is no async function is refused', async lab => {
      await assert.rejects(lab.open({ persistence: { setup: () => {} } }), /async function/)
    })

    it('a setup that rejects makes create reject', async lab => {
      const broken = async () => {
        throw new Error('disk is gone')
      }
      await assert.rejects(lab.open({ persistence: { setup: broken } }), /disk is gone/)
    })

    it('storeRetained: for a retained message of a client or the broker, whatever its QoS', async lab => {
      const { broker, calls } = await open(lab)
      const device = await lab.connect(broker, 'sender')
      for (const qos of [0, 1] as const) {
        device.send({ ...message(`a/${qos}`, 'x', { qos, retain: true }), messageId: 1 })
        await until(() => callsOf(calls, 'storeRetained').length === qos + 1, 'storeRetained is called')
      }
      await publish(broker, message('a/own', 'y', { retain: true }))
      await publish(broker, message('a/plain', 'z'))
      const stored = callsOf(calls, 'storeRetained').map(([packet]) => packet as Stored)
      assert.deepEqual(
        stored.map(packet => [packet.topic, packet.payload.toString(), packet.qos, packet.retain]),
        [
          ['a/0', 'x', 0, true],
          ['a/1', 'x', 1, true],
          ['a/own', 'y', 0, true],
        ],
      )
    })

    it('storeRetained: an empty payload is passed on too, and the retained message is gone', async lab => {
      const { broker, calls } = await open(lab)
      await publish(broker, message('a', 'x', { retain: true }))
      await publish(broker, message('a', '', { retain: true }))
      const emptied = callsOf(calls, 'storeRetained')[1]?.[0] as Stored | undefined
      assert.equal(emptied?.payload.length, 0)
      const device = await lab.connect(broker, 'late')
      await device.subscribe('a')
      await turns()
      assert.deepEqual(await device.settle(), [])
    })

    it('a retained message that the persistence already has is found by SUBSCRIBE', async lab => {
      const persistence = memoryPersistence() as unknown as { storeRetained(packet: object): Promise<void> }
      await persistence.storeRetained(message('before/start', 'old', { retain: true }))
      const broker = await lab.open({ persistence })
      const device = await lab.connect(broker, 'late')
      await device.subscribe('before/+')
      const packet = await device.expect('publish')
      assert.equal(packet.topic, 'before/start')
      assert.equal(packet.payload.toString(), 'old')
      assert.equal(packet.retain, true)
    })

    it('a kept session: subscriptionsByClient on CONNECT, addSubscriptions, removeSubscriptions', async lab => {
      const { broker, calls } = await open(lab)
      const device = await lab.connect(broker, 'kept', { clean: false })
      assert.equal(callsFor(calls, 'subscriptionsByClient', 'kept').length, 1)
      assert.equal(callsFor(calls, 'cleanSubscriptions', 'kept').length, 0)
      await device.subscribe('a/+', 1)
      const [client, subscriptions] = callsFor(calls, 'addSubscriptions', 'kept')[0] ?? []
      assert.equal(clientId(client), 'kept')
      assert.deepEqual(
        (subscriptions as Stored[]).map(({ topic, qos }) => [topic, qos]),
        [['a/+', 1]],
      )
      device.send({ cmd: 'unsubscribe', messageId: 2, unsubscriptions: ['a/+'] })
      await device.expect('unsuback')
      assert.deepEqual(callsFor(calls, 'removeSubscriptions', 'kept')[0]?.[1], ['a/+'])
    })

    it('a clean session: cleanSubscriptions and cleanIncoming on CONNECT, its subscriptions are not stored', async lab => {
      const { broker, calls } = await open(lab)
      const device = await lab.connect(broker, 'clean')
      assert.equal(callsFor(calls, 'cleanSubscriptions', 'clean').length, 1)
      assert.ok(callsFor(calls, 'cleanIncoming', 'clean').length >= 1, 'cleanIncoming was called')
      await device.subscribe('a', 1)
      device.send({ cmd: 'unsubscribe', messageId: 2, unsubscriptions: ['a'] })
      await device.expect('unsuback')
      assert.deepEqual(callsOf(calls, 'addSubscriptions'), [])
      assert.deepEqual(callsOf(calls, 'removeSubscriptions'), [])
    })

    it('a clean CONNECT ends the kept session of that client in the persistence', async lab => {
      const persistence = memoryPersistence()
      const broker = await lab.open({ persistence })
      const kept = await lab.connect(broker, 'device', { clean: false })
      await kept.subscribe('a', 1)
      await kept.disconnect()
      assert.equal((await persistence.subscriptionsByClient({ id: 'device' })).length, 1)
      const clean = await lab.connect(broker, 'device')
      assert.equal(clean.connack?.sessionPresent, false)
      assert.deepEqual(await persistence.subscriptionsByClient({ id: 'device' }), [])
    })

    it('outgoingEnqueueCombi: for a QoS 1 message with the sessions that are away', async lab => {
      const { broker, calls } = await open(lab)
      for (const id of ['one', 'two']) {
        const device = await lab.connect(broker, id, { clean: false })
        await device.subscribe('a/+', 1)
        await device.disconnect()
      }
      await publish(broker, message('a/b', 'x', { qos: 1 }))
      const enqueued = callsOf(calls, 'outgoingEnqueueCombi').filter(
        ([subscriptions]) => (subscriptions as unknown[]).length > 0,
      )
      assert.equal(enqueued.length, 1)
      const [subscriptions, packet] = enqueued[0] as [unknown[], Stored]
      assert.deepEqual(subscriptions.map(clientId).sort(), ['one', 'two'])
      assert.equal(packet.topic, 'a/b')
      assert.equal(packet.payload.toString(), 'x')
      assert.equal(packet.qos, 1)
    })

    it('outgoingEnqueueCombi: not for QoS 0, nor for a session that has QoS 0', async lab => {
      const { broker, calls } = await open(lab)
      for (const [id, qos] of [
        ['zero', 0],
        ['one', 1],
      ] as const) {
        const device = await lab.connect(broker, id, { clean: false })
        await device.subscribe('a', qos)
        await device.disconnect()
      }
      await publish(broker, message('a', 'x'))
      await publish(broker, message('a', 'y', { qos: 1 }))
      const ids = callsOf(calls, 'outgoingEnqueueCombi').flatMap(([subscriptions]) =>
        (subscriptions as unknown[]).map(clientId),
      )
      assert.deepEqual(ids, ['one'])
    })

    it('a session that comes back: outgoingStream, then outgoingClearMessageId for each PUBACK', async lab => {
      const { broker, calls } = await open(lab)
      const device = await lab.connect(broker, 'kept', { clean: false })
      await device.subscribe('a', 1)
      await device.disconnect()
      await publish(broker, message('a', 'x', { qos: 1 }))
      calls.length = 0
      const again = await lab.connect(broker, 'kept', { clean: false })
      const packet = await again.expect('publish')
      assert.ok(callsFor(calls, 'outgoingStream', 'kept').length >= 1, 'outgoingStream was called')
      again.send({ cmd: 'puback', messageId: packet.messageId ?? 0 })
      await until(
        () => callsFor(calls, 'outgoingClearMessageId', 'kept').length > 0,
        'outgoingClearMessageId is called',
      )
      const cleared = callsFor(calls, 'outgoingClearMessageId', 'kept')[0]?.[1] as Stored | undefined
      assert.equal(cleared?.messageId, packet.messageId)
      await again.disconnect()
      const third = await lab.connect(broker, 'kept', { clean: false })
      assert.deepEqual(await third.settle(), [])
    })

    it('QoS 2 into a kept session: incomingStorePacket before PUBREC, incomingDelPacket before PUBCOMP', async lab => {
      const { broker, calls } = await open(lab)
      const device = await lab.connect(broker, 'sender', { clean: false })
      device.send({ ...message('a', 'x', { qos: 2 }), messageId: 11 })
      await device.expect('pubrec')
      const stored = callsFor(calls, 'incomingStorePacket', 'sender')
      assert.equal(stored.length, 1)
      const packet = stored[0]?.[1] as Stored
      assert.equal(packet.topic, 'a')
      assert.equal(packet.messageId, 11)
      assert.deepEqual(callsOf(calls, 'incomingDelPacket'), [])
      device.send({ cmd: 'pubrel', messageId: 11 })
      await device.expect('pubcomp')
      const deleted = callsFor(calls, 'incomingDelPacket', 'sender')[0]?.[1] as Stored | undefined
      assert.equal(deleted?.messageId, 11)
    })

    it('QoS 2 into a kept session: a repeated PUBLISH is asked for by incomingGetPacket and not stored or published again', async lab => {
      const { broker, calls } = await open(lab)
      const seen = await listen(broker, 'a')
      const device = await lab.connect(broker, 'sender', { clean: false })
      for (const dup of [false, true]) {
        device.send({ ...message('a', 'x', { qos: 2 }), messageId: 11, dup })
        await device.expect('pubrec')
      }
      assert.ok(callsFor(calls, 'incomingGetPacket', 'sender').length >= 1, 'incomingGetPacket was called')
      assert.equal(callsFor(calls, 'incomingStorePacket', 'sender').length, 1)
      assert.equal(seen.length, 1)
    })

    it('putWill: on CONNECT, before CONNACK, with the client and its will', async lab => {
      const { broker, calls } = await open(lab)
      await lab.connect(broker, 'mortal', { will: WILL })
      const [[client, will] = []] = callsOf(calls, 'putWill') as [unknown, Stored][]
      assert.equal(clientId(client), 'mortal')
      assert.equal(will?.topic, 'last/words')
      assert.equal(will?.payload.toString(), 'goodbye')
      assert.equal(will?.qos, 1)
      await lab.connect(broker, 'immortal')
      assert.equal(callsOf(calls, 'putWill').length, 1)
    })

    for (const [how, leave] of [
      ['DISCONNECT', 'disconnect'],
      ['a lost connection', 'cut'],
    ] as const) {
      it(`delWill: after ${how}`, async lab => {
        const { broker, calls } = await open(lab, { id: 'home' })
        const device = await lab.connect(broker, 'mortal', { will: WILL })
        calls.length = 0
        await device[leave]()
        await until(() => callsFor(calls, 'delWill', 'mortal').length > 0, 'delWill is called')
        assert.deepEqual(callsFor(calls, 'delWill', 'mortal')[0]?.[0], { id: 'mortal', brokerId: 'home' })
      })
    }

    it('QoS 2 into a clean session: nothing of it is left when the session ends', async lab => {
      const persistence = memoryPersistence()
      const broker = await lab.open({ persistence })
      const device = await lab.connect(broker, 'sender')
      device.send({ ...message('a', 'x', { qos: 2 }), messageId: 1 })
      await device.expect('pubrec')
      await device.disconnect()
      await turns()
      await assert.rejects(persistence.incomingGetPacket({ id: 'sender' }, { messageId: 1 }))
    })

    it('a persistence without cleanIncoming still works', async lab => {
      const { plugin } = watched(memoryPersistence())
      const old = new Proxy(plugin, {
        get: (target, property) => (property === 'cleanIncoming' ? undefined : Reflect.get(target, property)),
      })
      const broker = await lab.open({ persistence: old })
      const device = await lab.connect(broker, 'a')
      device.send({ ...message('a', 'x', { qos: 2 }), messageId: 1 })
      await device.expect('pubrec')
      await device.disconnect()
    })
  })
}
