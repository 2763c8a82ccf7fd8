// The folders in examples, run as they are: only ports and folders are others.
import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { type ExampleHub, receiveLines as receive, runExampleHub } from '../support/example-hub.ts'
import { publish } from '../support/packets.ts'
import { linesOf } from '../support/rules.ts'

test('a message to t also arrives as t/topic with the example of OpenEdge 0.1.5', async t => {
  const { connect } = await runExampleHub(t, 'openedge-0.1.5/service.yml', {
    changes: { certificate: { ca: '', cert: '', key: '', identity: 'username' } },
    strict: false,
  })
  const client = await connect('test', 'hahaha')
  await client.subscribe(['#', 1])
  client.send(publish({ topic: 't', payload: 'hello', qos: 1, packetId: 7 }))
  const came = await client.everything()
  assert.deepEqual(linesOf(came).sort(), ['t 1 hello', 't/topic 0 hello'])
  assert.equal(came.filter(({ type }) => type === 'puback').length, 1, 'it is acknowledged')
})

describe('the gateway example', () => {
  test('passes on what machines publish, under the names of the cloud', async t => {
    const { connect } = await runGateway(t)
    const uplink = await connect('uplink', 'u')
    const machine = await connect('machine', 'm')
    await uplink.subscribe(['cloud/site-7/#', 1])
    await machine.publish({ topic: 'machines/press/temperature/oil', payload: '71', qos: 1 })
    await machine.publish({ topic: 'machines/press/temperature', payload: '24', qos: 1 })
    await machine.publish({ topic: 'machines/press/state', payload: 'running', qos: 1 })
    await machine.publish({ topic: 'machines/press/diary', payload: 'not for the cloud', qos: 1 })
    assert.deepEqual(await receive(uplink, 3), [
      'cloud/site-7/press/data/temperature 1 24',
      'cloud/site-7/press/data/temperature/oil 1 71',
      'cloud/site-7/press/state 1 running',
    ])
    await uplink.quiet()

    const later = await connect('uplink', 'u')
    await later.subscribe(['cloud/site-7/#', 1])
    assert.deepEqual(await receive(later, 1), ['cloud/site-7/press/state 1 running RETAIN'])
    await later.quiet()
  })

  test('brings alarms together for the display, and from there to the cloud', async t => {
    const { connect } = await runGateway(t)
    const uplink = await connect('uplink', 'u')
    const display = await connect('display', 'd')
    const machine = await connect('machine', 'm')
    await uplink.subscribe(['cloud/site-7/#', 1])
    await display.subscribe(['display/#', 1])
    await machine.publish({ topic: 'machines/lathe/alarm/door', payload: 'open', qos: 1 })
    assert.deepEqual(await receive(display, 1), ['display/alarms/door/lathe 1 open'])
    assert.deepEqual(await receive(uplink, 1), ['cloud/site-7/alarms/door/lathe 1 open'])
  })

  test('lets ten of many vibrations through to the cloud, and all to the display', async t => {
    const { connect, service } = await runGateway(t)
    const uplink = await connect('uplink', 'u')
    const display = await connect('display', 'd')
    const machine = await connect('machine', 'm')
    await uplink.subscribe(['cloud/site-7/#', 1])
    await display.subscribe(['display/#', 1])
    for (let number = 0; number < 50; number++) {
      await machine.publish({ topic: 'machines/press/vibration', payload: `${number}` })
    }
    assert.equal((await receive(display, 50)).length, 50)
    const passed = linesOf(await uplink.everything()).length
    assert.ok(passed >= 10 && passed < 50, `${passed} of 50 came through`)
    const rule = service.hub.state.rules.rules.find(({ name }) => name.startsWith('machines/+/vibration -> cloud/'))
    assert.deepEqual([rule?.matched, rule?.forwarded, rule?.dropped], [50, passed, 50 - passed])
  })

  test('takes commands from the uplink alone', async t => {
    const { connect } = await runGateway(t)
    const uplink = await connect('uplink', 'u')
    const machine = await connect('machine', 'm')
    await machine.subscribe(['commands/press', 1])
    await uplink.publish({ topic: 'cloud/site-7/press/command', payload: 'stop', qos: 1 })
    assert.deepEqual(await receive(machine, 1), ['commands/press 1 stop'])
  })

  test('tells its figures to the display and to Prometheus', async t => {
    const { connect, service } = await runGateway(t)
    const machine = await connect('machine', 'm')
    await machine.publish({ topic: 'machines/press/state', payload: 'running', qos: 1 })
    const display = await connect('display', 'd')
    await display.subscribe(['$SYS/broker/version', 0])
    assert.match((await receive(display, 1)).join(), /^\$SYS\/broker\/version 0 openedge version 1\.2\.3 RETAIN$/)
    await display.subscribe(['$SYS/broker/events/client/#', 0])
    await connect('uplink', 'u')
    assert.match((await receive(display, 1)).join(), /^\$SYS\/broker\/events\/client\/connected 0 .*"uplink"/)

    const answer = await fetch(`${service.metricsUrl}/metrics`)
    assert.equal(answer.status, 200)
    assert.match(await answer.text(), /machines\/\+\/state/)
    assert.equal((await fetch(`${service.metricsUrl}/readyz`)).status, 200)
  })
})

function runGateway(t: TestContext): Promise<ExampleHub> {
  const metrics = { reportIntervalMs: 1000, listen: 'http://127.0.0.1:0', events: true }
  return runExampleHub(t, 'gateway/service.yml', { changes: { metrics } })
}
