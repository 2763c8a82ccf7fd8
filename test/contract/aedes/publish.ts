// Messages on their way in: authorizePublish, published, the event publish, and publish() of the broker.
import assert from 'node:assert/strict'
import type { Aedes, Client } from 'aedes'
import type { IPublishPacket } from 'mqtt-packet'
import { type Create, contract, emitted, type Hook, listen, message, publish, turns, until, within } from './harness.ts'

type ClientAndError = [Client, Error]
type PacketAndClient = [IPublishPacket & { brokerId?: string }, Client | null]

/** The next publish event of a topic; the broker's own messages use the same event. */
function published(broker: Aedes, topic: string): Promise<PacketAndClient> {
  const arrived = new Promise<PacketAndClient>(resolve => {
    const onPublish = (packet: PacketAndClient[0], client: Client | null) => {
      if (packet.topic !== topic) return
      broker.removeListener('publish', onPublish)
      resolve([packet, client])
    }
    broker.on('publish', onPublish)
  })
  return within(arrived, `the event publish of ${topic}`)
}

export function suite(name: string, create: Create, oracle = false): void {
  contract(name, 'publish', create, oracle, it => {
    it('authorizePublish, delivery, published and the event publish come in this order', async lab => {
      const order: string[] = []
      const broker = await lab.open({
        authorizePublish: (_client, _packet, done) => {
          order.push('authorizePublish')
          done(null)
        },
        published: (packet, _client, done) => {
          if (packet.topic === 'a') order.push('published')
          done()
        },
      })
      broker.subscribe(
        'a',
        (_packet, done) => {
          order.push('deliver')
          done()
        },
        () => {},
      )
      broker.on('publish', packet => packet.topic === 'a' && order.push('publish'))
      const device = await lab.connect(broker, 'sender')
      const over = published(broker, 'a')
      device.send(message('a', 'x'))
      await over
      assert.deepEqual(order, ['authorizePublish', 'deliver', 'published', 'publish'])
    })

    for (const qos of [0, 1, 2] as const) {
      it(`QoS ${qos}: hooks and event get the packet as it was sent, and its client`, async lab => {
        const calls: Record<string, PacketAndClient> = {}
        const broker = await lab.open({
          authorizePublish: (client, packet, done) => {
            calls['authorizePublish'] = [{ ...packet }, client]
            done(null)
          },
          published: (packet, client, done) => {
            if (packet.topic === 'a/b') calls['published'] = [{ ...packet }, client]
            done()
          },
        })
        const device = await lab.connect(broker, 'sender')
        const event = published(broker, 'a/b')
        device.send({ ...message('a/b', 'x', { qos, retain: true }), messageId: 7 })
        calls['publish'] = await event
        for (const [what, [packet, client]] of Object.entries(calls)) {
          assert.equal(packet.cmd, 'publish', what)
          assert.equal(packet.topic, 'a/b', what)
          assert.equal(packet.payload.toString(), 'x', what)
          assert.ok(Buffer.isBuffer(packet.payload), what)
          assert.equal(packet.qos, qos, what)
          assert.equal(packet.retain, true, what)
          assert.equal(client, device.client, what)
        }
        assert.deepEqual(Object.keys(calls), ['authorizePublish', 'published', 'publish'])
        if (qos === 1) assert.equal((await device.expect('puback')).messageId, 7)
        if (qos === 2) assert.equal((await device.expect('pubrec')).messageId, 7)
      })
    }

    for (const variant of ['at once', 'later']) {
      it(`authorizePublish that fails ${variant}: clientError with its error, closed, nothing delivered or acknowledged`, async lab => {
        const refusal = new Error('not this topic')
        const broker = await lab.open({
          authorizePublish: (_client, _packet, done) =>
            variant === 'at once' ? done(refusal) : setImmediate(() => done(refusal)),
        })
        const seen = await listen(broker, 'a')
        for (const qos of [0, 1, 2] as const) {
          const device = await lab.connect(broker, 'sender')
          const order: string[] = []
          const onError = () => order.push('clientError')
          const onGone = () => order.push('clientDisconnect')
          broker.once('clientError', onError)
          broker.once('clientDisconnect', onGone)
          const own = emitted<[Error]>(device.client, 'error')
          const failed = emitted<ClientAndError>(broker, 'clientError')
          const gone = emitted(broker, 'clientDisconnect')
          device.send({ ...message('a', 'x', { qos }), messageId: 1 })
          assert.deepEqual(await failed, [device.client, refusal])
          assert.deepEqual(await own, [refusal])
          await gone
          await device.expectClosed()
          assert.deepEqual(order, ['clientError', 'clientDisconnect'])
          assert.deepEqual(device.inbox, [])
        }
        assert.deepEqual(seen, [])
      })
    }

    it('authorizePublish may change topic, payload and retain', async lab => {
      const broker = await lab.open({
        authorizePublish: (_client, packet, done) => {
          packet.topic = 'changed'
          packet.payload = Buffer.from('other')
          packet.retain = true
          done(null)
        },
      })
      const subscriber = await lab.connect(broker, 'subscriber')
      await subscriber.subscribe('changed')
      await subscriber.subscribe('asked', 0, 2)
      const sender = await lab.connect(broker, 'sender')
      const over = published(broker, 'changed')
      sender.send({ ...message('asked', 'x', { qos: 1 }), messageId: 3 })
      assert.equal((await sender.expect('puback')).messageId, 3)
      await over
      const [packet, ...rest] = await subscriber.settle()
      assert.ok(packet?.cmd === 'publish', 'it is a PUBLISH')
      assert.equal(packet.topic, 'changed')
      assert.equal(packet.payload.toString(), 'other')
      assert.deepEqual(rest, [])
      const late = await lab.connect(broker, 'late')
      await late.subscribe('changed')
      const retained = await late.expect('publish')
      assert.equal(retained.payload.toString(), 'other')
      assert.equal(retained.retain, true)
    })

    it('authorizePublish answers in its own time; others are not held up', async lab => {
      const waiting: (() => void)[] = []
      const broker = await lab.open({
        authorizePublish: (client, _packet, done) => {
          if (client?.id === 'slow') waiting.push(() => done(null))
          else done(null)
        },
      })
      const seen = await listen(broker, 'a')
      const slow = await lab.connect(broker, 'slow')
      const quick = await lab.connect(broker, 'quick')
      slow.send({ ...message('a', 'slow', { qos: 1 }), messageId: 1 })
      await until(() => waiting.length === 1, 'authorizePublish is called')
      quick.send({ ...message('a', 'quick', { qos: 1 }), messageId: 1 })
      await quick.expect('puback')
      await until(() => seen.length === 1, 'the quick message arrives')
      assert.equal(seen[0]?.payload.toString(), 'quick')
      assert.deepEqual(slow.inbox, [])
      waiting[0]?.()
      await slow.expect('puback')
      await until(() => seen.length === 2, 'the slow message arrives')
    })

    it('the default authorizePublish refuses topics below $SYS/', async lab => {
      const broker = await lab.open()
      const seen = await listen(broker, '$SYS/lie')
      const device = await lab.connect(broker, 'liar')
      const failed = emitted<ClientAndError>(broker, 'clientError')
      device.send(message('$SYS/lie', 'x'))
      const [client, error] = await failed
      assert.equal(client, device.client)
      assert.equal(error.message, '$SYS/ topic is reserved')
      await device.expectClosed()
      assert.deepEqual(seen, [])
    })

    it('the default authorizePublish allows other topics that begin with $', async lab => {
      const broker = await lab.open()
      const seen = await listen(broker, '$site/a')
      const device = await lab.connect(broker, 'sender')
      device.send(message('$site/a', 'x'))
      await until(() => seen.length === 1, 'the message arrives')
    })

    for (const topic of ['a/#', 'a/+', '']) {
      it(`a PUBLISH to '${topic}': clientError, closed, authorizePublish is not asked`, async lab => {
        let asked = 0
        const broker = await lab.open({
          authorizePublish: (_client, _packet, done) => {
            asked++
            done(null)
          },
        })
        const device = await lab.connect(broker, 'careless')
        const failed = emitted<ClientAndError>(broker, 'clientError')
        const topicBytes = Buffer.from(topic)
        device.write(
          Buffer.concat([
            Buffer.from([0x30, topicBytes.length + 3, 0, topicBytes.length]),
            topicBytes,
            Buffer.from('x'),
          ]),
        )
        const [client, error] = await failed
        assert.equal(client, device.client)
        assert.ok(error instanceof Error, 'an error is given')
        await device.expectClosed()
        assert.equal(asked, 0)
      })
    }

    it('published that fails: publish() calls back with its error, the sending client gets clientError', async lab => {
      const refusal = new Error('cannot record')
      const broker = await lab.open({
        published: (packet, _client, done) => done(packet.topic === 'a' ? refusal : null),
      })
      await assert.rejects(publish(broker, message('a', 'x')), refusal)
      const device = await lab.connect(broker, 'sender')
      const failed = emitted<ClientAndError>(broker, 'clientError')
      device.send(message('a', 'x'))
      assert.deepEqual(await failed, [device.client, refusal])
      await device.expectClosed()
    })

    it('published holds back the callback of publish() and the PUBREC of QoS 2', async lab => {
      const waiting: (() => void)[] = []
      const broker = await lab.open({
        published: (packet, _client, done) => {
          if (packet.topic === 'a') waiting.push(() => done())
          else done()
        },
      })
      const order: string[] = []
      const direct = publish(broker, message('a', 'x')).then(() => order.push('callback'))
      await until(() => waiting.length === 1, 'published is called')
      await turns()
      assert.deepEqual(order, [])
      waiting[0]?.()
      await direct
      const device = await lab.connect(broker, 'sender')
      device.send({ ...message('a', 'x', { qos: 2 }), messageId: 4 })
      await until(() => waiting.length === 2, 'published is called again')
      await turns()
      assert.deepEqual(device.inbox, [])
      waiting[1]?.()
      assert.equal((await device.expect('pubrec')).messageId, 4)
    })

    it('published that does not keep up: the broker stops taking messages from that connection', async lab => {
      const waiting: (() => void)[] = []
      const payloads: string[] = []
      const broker = await lab.open({
        published: (packet, _client, done) => {
          if (packet.topic !== 'a') return done()
          payloads.push(packet.payload.toString())
          waiting.push(() => done())
        },
      })
      const device = await lab.connect(broker, 'fast')
      const chunks = 40
      const each = 10
      for (let chunk = 0; chunk < chunks; chunk++) {
        device.send(...Array.from({ length: each }, (_value, index) => message('a', String(chunk * each + index))))
        await turns(2)
      }
      await turns()
      assert.ok(payloads.length >= 1, 'published was called')
      assert.ok(payloads.length <= (chunks * each) / 2, `${payloads.length} of ${chunks * each} messages were taken`)
      while (payloads.length < chunks * each || waiting.length > 0) {
        await until(() => waiting.length > 0, 'published is called')
        waiting.shift()?.()
      }
      assert.deepEqual(
        payloads,
        Array.from({ length: chunks * each }, (_value, index) => String(index)),
      )
      assert.deepEqual(await device.settle(), [])
    })

    it('publish() of the broker: delivers, skips authorizePublish, and calls published and the event with null', async lab => {
      const asked: string[] = []
      const clients: unknown[] = []
      const authorizePublish: Hook<'authorizePublish'> = (_client, packet, done) => {
        asked.push(packet.topic)
        done(new Error('no'))
      }
      const broker = await lab.open({
        authorizePublish,
        published: (packet, client, done) => {
          if (packet.topic === 'a') clients.push(client)
          done()
        },
      })
      const subscriber = await lab.connect(broker, 'subscriber')
      await subscriber.subscribe('a', 1)
      const event = published(broker, 'a')
      await publish(broker, message('a', 'x', { qos: 1 }))
      const packet = await subscriber.expect('publish')
      assert.equal(packet.payload.toString(), 'x')
      assert.equal(packet.qos, 1)
      assert.deepEqual(asked, [])
      assert.deepEqual(clients, [null])
      assert.equal((await event)[1], null)
    })

    it('publish() takes text as payload, and no payload at all', async lab => {
      const broker = await lab.open()
      const subscriber = await lab.connect(broker, 'subscriber')
      await subscriber.subscribe('a')
      await publish(broker, { ...message('a', ''), payload: 'text' as unknown as Buffer })
      const bare = broker as unknown as { publish(packet: { topic: string }, done: () => void): void }
      await within(new Promise<void>(resolve => bare.publish({ topic: 'a' }, resolve)), 'the callback')
      assert.equal((await subscriber.expect('publish')).payload.toString(), 'text')
      assert.equal((await subscriber.expect('publish')).payload.length, 0)
    })

    it('publish() works without a callback', async lab => {
      const broker = (await lab.open()) as Aedes & { publish(packet: unknown): void }
      const seen = await listen(broker, 'a')
      broker.publish(message('a', 'x'))
      await until(() => seen.length === 1, 'the message arrives')
    })

    it('publish() may publish below $SYS/', async lab => {
      const broker = await lab.open()
      const subscriber = await lab.connect(broker, 'subscriber')
      await subscriber.subscribe('$SYS/own')
      await publish(broker, message('$SYS/own', 'x'))
      assert.equal((await subscriber.expect('publish')).topic, '$SYS/own')
    })

    it('the event publish comes without any subscriber', async lab => {
      const broker = await lab.open()
      const device = await lab.connect(broker, 'sender')
      const event = published(broker, 'nobody/listens')
      device.send(message('nobody/listens', 'x'))
      assert.equal((await event)[1], device.client)
    })

    it('a listener of publish that comes late hears the next message', async lab => {
      const broker = await lab.open()
      const device = await lab.connect(broker, 'sender')
      device.send({ ...message('a', 'before', { qos: 1 }), messageId: 1 })
      await device.expect('puback')
      await turns()
      const event = published(broker, 'a')
      device.send(message('a', 'after'))
      assert.equal((await event)[0].payload.toString(), 'after')
    })
  })
}
