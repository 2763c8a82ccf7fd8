// What holds for every hook: where it comes from, when it is looked up, and what a careless one does.
import assert from 'node:assert/strict'
import type { Aedes, AedesOptions, Client } from 'aedes'
import { type Create, connectPacket, contract, emitted, type Lab, message, publish, turns, until } from './harness.ts'

type HookName =
  | 'preConnect'
  | 'authenticate'
  | 'authorizePublish'
  | 'authorizeSubscribe'
  | 'authorizeForward'
  | 'published'

type AnyHook = (this: unknown, ...values: unknown[]) => unknown
type Hooks = Record<HookName, AnyHook>

/** Hooks that allow everything; each tells `tell` its name and its `this` first. */
function permissive(tell: (hook: HookName, self: unknown) => void): Hooks {
  const last = (values: unknown[]) => values.at(-1) as (error: null, value?: unknown) => void
  return {
    preConnect(...values) {
      tell('preConnect', this)
      last(values)(null, true)
    },
    authenticate(...values) {
      tell('authenticate', this)
      last(values)(null, true)
    },
    authorizePublish(...values) {
      tell('authorizePublish', this)
      last(values)(null)
    },
    authorizeSubscribe(...values) {
      tell('authorizeSubscribe', this)
      last(values)(null, values[1])
    },
    authorizeForward(...values) {
      tell('authorizeForward', this)
      return values[1]
    },
    published(...values) {
      if ((values[0] as { topic: string }).topic === 'a') tell('published', this)
      last(values)(null)
    },
  }
}

const NAMES: HookName[] = [
  'authenticate',
  'authorizeForward',
  'authorizePublish',
  'authorizeSubscribe',
  'preConnect',
  'published',
]

/** Connects, subscribes and sends a message to itself: every hook has something to do. */
async function useAll(lab: Lab, broker: Aedes): Promise<void> {
  const device = await lab.connect(broker, 'self')
  await device.subscribe('a')
  const told = new Promise<void>(resolve => {
    broker.on('publish', packet => packet.topic === 'a' && resolve())
  })
  device.send(message('a', 'x'))
  await device.expect('publish')
  await told
}

export function suite(name: string, create: Create, oracle = false): void {
  contract(name, 'hooks', create, oracle, it => {
    it('given as options: all are called, with the broker as this', async lab => {
      const called = new Map<HookName, unknown>()
      const broker = await lab.open(permissive((hook, self) => called.set(hook, self)) as unknown as AedesOptions)
      await useAll(lab, broker)
      assert.deepEqual([...called.keys()].sort(), NAMES)
      for (const [hook, self] of called) assert.equal(self, broker, hook)
    })

    it('set as properties later: all are called, with the broker as this', async lab => {
      const called = new Map<HookName, unknown>()
      const broker = await lab.open()
      Object.assign(
        broker,
        permissive((hook, self) => called.set(hook, self)),
      )
      await useAll(lab, broker)
      assert.deepEqual([...called.keys()].sort(), NAMES)
      for (const [hook, self] of called) assert.equal(self, broker, hook)
    })

    it('a property replaces the option', async lab => {
      const options: HookName[] = []
      const properties: HookName[] = []
      const broker = await lab.open(permissive(hook => options.push(hook)) as unknown as AedesOptions)
      Object.assign(
        broker,
        permissive(hook => properties.push(hook)),
      )
      await useAll(lab, broker)
      assert.deepEqual(options, [])
      assert.deepEqual(properties.sort(), NAMES)
    })

    it('can be read back, and are functions when none was given', async lab => {
      const mine = permissive(() => {})
      const broker = (await lab.open(mine as unknown as AedesOptions)) as unknown as Hooks
      const bare = (await lab.open()) as unknown as Hooks
      for (const hook of NAMES) {
        assert.equal(broker[hook], mine[hook], hook)
        assert.equal(typeof bare[hook], 'function', hook)
      }
    })

    it('authorizePublish set while messages flow holds from the next message on', async lab => {
      const broker = await lab.open()
      const subscriber = await lab.connect(broker, 'subscriber')
      await subscriber.subscribe('a')
      const sender = await lab.connect(broker, 'sender')
      for (const payload of ['1', '2', '3']) {
        sender.send(message('a', payload))
        await subscriber.expect('publish')
      }
      broker.authorizePublish = (_client, _packet, done) => done(new Error('from now on'))
      const failed = emitted<[Client, Error]>(broker, 'clientError')
      sender.send(message('a', '4'))
      assert.equal((await failed)[1].message, 'from now on')
      await sender.expectClosed()
      assert.deepEqual(await subscriber.settle(), [])
    })

    it('authorizeForward set while messages flow holds from the next message on, and can be taken back', async lab => {
      const broker = await lab.open()
      const subscriber = await lab.connect(broker, 'subscriber')
      await subscriber.subscribe('a')
      const sender = await lab.connect(broker, 'sender')
      sender.send(message('a', '1'))
      await subscriber.expect('publish')
      const before = broker.authorizeForward
      let asked = 0
      broker.authorizeForward = () => {
        asked++
        return null
      }
      sender.send(message('a', '2'))
      await until(() => asked === 1, 'the new hook is asked')
      assert.deepEqual(await subscriber.settle(), [])
      broker.authorizeForward = before
      sender.send(message('a', '3'))
      assert.equal((await subscriber.expect('publish')).payload.toString(), '3')
      assert.equal(asked, 1)
    })

    it('published set while messages flow holds from the next message on', async lab => {
      const broker = await lab.open()
      const sender = await lab.connect(broker, 'sender')
      sender.send({ ...message('a', '1', { qos: 1 }), messageId: 1 })
      await sender.expect('puback')
      await turns()
      const heard: string[] = []
      broker.published = (packet, _client, done) => {
        if (packet.topic === 'a') heard.push(packet.payload.toString())
        done()
      }
      sender.send({ ...message('a', '2', { qos: 1 }), messageId: 2 })
      await sender.expect('puback')
      await until(() => heard.length === 1, 'the new hook is called')
      assert.deepEqual(heard, ['2'])
    })

    it('a hook that never answers holds up its own client only', async lab => {
      const stuck: HookName[] = []
      const hooks = permissive(() => {})
      const isStuck = (client: unknown, hook: HookName) => (client as Client).id === 'stuck' && stuck.push(hook) > 0
      const broker = await lab.open({
        ...hooks,
        authorizePublish: (client: Client, ...values: unknown[]) =>
          isStuck(client, 'authorizePublish') || hooks.authorizePublish(client, ...values),
        authorizeSubscribe: (client: Client, ...values: unknown[]) =>
          (client.id === 'deaf' && stuck.push('authorizeSubscribe') > 0) || hooks.authorizeSubscribe(client, ...values),
        authenticate: (client: Client, ...values: unknown[]) =>
          (client.id === 'nobody' && stuck.push('authenticate') > 0) || hooks.authenticate(client, ...values),
        preConnect: (client: Client, packet: { clientId: string }, ...values: unknown[]) =>
          (packet.clientId === 'ghost' && stuck.push('preConnect') > 0) || hooks.preConnect(client, packet, ...values),
      } as unknown as AedesOptions)
      const ghost = lab.attach(broker)
      ghost.send(connectPacket('ghost'))
      const nobody = lab.attach(broker)
      nobody.send(connectPacket('nobody'))
      const deaf = await lab.connect(broker, 'deaf')
      deaf.send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: 'a', qos: 0 }] })
      const mute = await lab.connect(broker, 'stuck')
      mute.send({ ...message('a', 'x', { qos: 1 }), messageId: 1 })
      await until(() => stuck.length === 4, 'each hook is stuck')
      await useAll(lab, broker)
      await turns()
      for (const device of [ghost, nobody, deaf, mute]) assert.deepEqual(device.inbox, [])
    })

    it(
      'a hook that answers twice has answered once',
      async lab => {
        const twice =
          (hook: AnyHook): AnyHook =>
          (...values) => {
            const done = values.at(-1) as (...answer: unknown[]) => void
            return hook(...values.slice(0, -1), (...answer: unknown[]) => {
              done(...answer)
              done(...answer)
              setImmediate(() => done(...answer))
            })
          }
        const hooks = permissive(() => {})
        const broker = await lab.open({
          preConnect: twice(hooks.preConnect),
          authenticate: twice(hooks.authenticate),
          authorizePublish: twice(hooks.authorizePublish),
          authorizeSubscribe: twice(hooks.authorizeSubscribe),
          published: twice(hooks.published),
        } as unknown as AedesOptions)
        const counts = new Map<string, number>()
        for (const event of ['client', 'connackSent', 'clientReady', 'subscribe', 'clientError'] as const) {
          ;(broker as unknown as NodeJS.EventEmitter).on(event, () => counts.set(event, (counts.get(event) ?? 0) + 1))
        }
        const device = await lab.connect(broker, 'a')
        assert.equal(await device.subscribe('a', 1), 1)
        device.send({ ...message('a', 'x', { qos: 2 }), messageId: 3 })
        const answers = [await device.next(), await device.next()]
        assert.deepEqual(answers.map(packet => packet.cmd).sort(), ['publish', 'pubrec'])
        let callbacks = 0
        broker.publish(message('b', 'x'), () => callbacks++)
        await turns()
        assert.deepEqual(await device.settle(), [])
        assert.equal(callbacks, 1)
        assert.equal(broker.connectedClients, 1)
        assert.deepEqual(Object.fromEntries(counts), { client: 1, connackSent: 1, clientReady: 1, subscribe: 1 })
      },
      { oracle: false },
    )

    for (const hook of ['preConnect', 'authenticate', 'authorizePublish', 'authorizeSubscribe', 'published'] as const) {
      it(
        `${hook} that throws: its connection gets the error and is closed, others go on`,
        async lab => {
          const bug = new Error('a bug in the hook')
          let armed = false
          const broker = await lab.open()
          const other = await lab.connect(broker, 'other')
          ;(broker as unknown as Hooks)[hook] = function (...values) {
            if (armed) throw bug
            return permissive(() => {})[hook].apply(this, values)
          }
          const errors: unknown[] = []
          for (const event of ['clientError', 'connectionError'] as const) {
            broker.on(event, (_client, error) => errors.push(error))
          }
          const device = lab.attach(broker)
          armed = hook === 'preConnect' || hook === 'authenticate'
          device.send(connectPacket('victim'))
          if (!armed) {
            await device.expect('connack')
            await turns()
            armed = true
            if (hook === 'authorizeSubscribe') {
              device.send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: 'a', qos: 0 }] })
            } else device.send(message('a', 'x'))
          }
          await device.expectClosed()
          assert.deepEqual(errors, [bug])
          armed = false
          assert.equal(await other.subscribe('a'), 0)
          await publish(broker, message('a', 'x'))
          await other.expect('publish')
        },
        { oracle: false },
      )
    }

    it(
      'authorizeForward that throws: that subscriber gets clientError and is closed, others get the message',
      async lab => {
        const bug = new Error('a bug in the hook')
        const broker = await lab.open({
          authorizeForward: (client, packet) => {
            if (client.id === 'victim') throw bug
            return packet
          },
        })
        const victim = await lab.connect(broker, 'victim')
        const other = await lab.connect(broker, 'other')
        await victim.subscribe('a')
        await other.subscribe('a')
        const failed = emitted<[Client, Error]>(broker, 'clientError')
        await publish(broker, message('a', 'x'))
        assert.deepEqual(await failed, [victim.client, bug])
        await victim.expectClosed()
        assert.equal((await other.expect('publish')).payload.toString(), 'x')
      },
      { oracle: false },
    )
  })
}
