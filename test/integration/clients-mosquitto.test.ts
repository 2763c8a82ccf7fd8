import assert from 'node:assert/strict'
import { once } from 'node:events'
import { after, before, suite, test } from 'node:test'
import {
  ACCOUNT,
  type ClientHub,
  type Identity,
  PRINCIPAL,
  startClientHub,
  useClientHub,
} from '../support/client-hub.ts'
import type { Cleanup } from '../support/raw-client.ts'
import { type Finished, RunningTool, runTool } from '../support/run-tool.ts'
import { skipWithout } from '../support/tools.ts'

const skip = skipWithout('mosquitto_pub', 'mosquitto_sub')
const LOGIN = ['-u', ACCOUNT.username, '-P', ACCOUNT.password]
const MESSAGES = 2000
/** Prints QoS, RETAIN, length and payload of each message. */
const FORMAT = '%t %q %r %l %p'

type Transport = 'tcp' | 'tls'

/** The part of the hub's clients that tells who they are. */
interface Client {
  readonly principal: { readonly name: string }
}

/** What leads a mosquitto client to the hub. */
function to(hub: ClientHub, transport: Transport): string[] {
  const tls = transport === 'tls' ? ['--cafile', hub.files.ca] : []
  return ['-h', '127.0.0.1', '-p', String(hub.port(transport)), ...tls]
}

function pub(t: Cleanup, args: readonly string[], input?: string): Promise<Finished> {
  return runTool(t, 'mosquitto_pub', args, input)
}

/** Runs to the end, which must be a good one; returns the lines of its output. */
async function lines(running: Promise<Finished> | RunningTool): Promise<string[]> {
  const { code, stdout, stderr } = await (running instanceof RunningTool ? running.finished() : running)
  assert.equal(code, 0, stderr)
  return stdout.split('\n').slice(0, -1)
}

/** Starts a subscriber and waits until the hub has its subscription. */
async function subscriber(t: Cleanup, hub: ClientHub, args: readonly string[]): Promise<RunningTool> {
  const subscribed = once(hub.hub, 'subscribe')
  const tool = new RunningTool(t, 'mosquitto_sub', ['-F', FORMAT, '-W', '25', ...args])
  await subscribed
  return tool
}

/** Payloads of 0 bytes to 32 KiB without a line feed, the same on every run; less than 1 MiB altogether. */
function payloads(): string[] {
  return Array.from({ length: MESSAGES }, (_, i) => {
    if (i % 100 === 50) return ''
    const length = i % 250 === 249 ? 32_700 : (i * 37) % 300
    return `${i} `.padEnd(length, 'abcdefghij')
  })
}

suite('mosquitto_pub and mosquitto_sub', { skip }, () => {
  let hub: ClientHub
  before(async () => {
    hub = await startClientHub()
  })
  after(() => hub.close())

  for (const transport of ['tcp', 'tls'] as const) {
    for (const qos of [0, 1, 2]) {
      test(`${MESSAGES} messages of 0 B to 32 KiB at QoS ${qos} over ${transport}`, { timeout: 60_000 }, async t => {
        const topic = `t/big/${transport}/${qos}`
        const at = [...to(hub, transport), ...LOGIN, '-q', String(qos), '-t', topic]
        const received = await subscriber(t, hub, [...at, '-C', String(MESSAGES)])
        const sent = payloads()
        await lines(pub(t, [...at, '-l'], `${sent.join('\n')}\n`))
        assert.deepEqual(
          await lines(received),
          sent.map(payload => `${topic} ${qos} 0 ${payload.length} ${payload}`),
        )
      })
    }

    test(`a retained message over ${transport}, replaced and removed`, async t => {
      const at = [...to(hub, transport), ...LOGIN, '-t', `t/retained/${transport}`]
      const last = (more: string[]): Promise<Finished> =>
        runTool(t, 'mosquitto_sub', [...at, '-q', '1', '-F', FORMAT, '-W', '1', ...more])
      await lines(pub(t, [...at, '-r', '-q', '1', '-m', 'first']))
      await lines(pub(t, [...at, '-r', '-q', '2', '-m', 'second']))
      assert.deepEqual(await lines(last(['-C', '1'])), [`t/retained/${transport} 1 1 6 second`])
      await lines(pub(t, [...at, '-r', '-n', '-q', '1']))
      const { stdout } = await last([])
      assert.equal(stdout, '')
    })

    test(`a will over ${transport}, published when the client is killed and not when it says goodbye`, async t => {
      const topic = `t/will/${transport}`
      const at = [...to(hub, transport), ...LOGIN]
      const witness = await subscriber(t, hub, [...at, '-t', topic, '-q', '1', '-C', '2'])
      const withWill = [...at, '--will-topic', topic, '--will-qos', '1', '-q', '1', '-t', 't/other']
      const polite = await pub(t, [...withWill, '--will-payload', 'said goodbye', '-m', 'x'])
      assert.equal(polite.code, 0)
      const arrived = once(hub.hub, 'clientReady')
      const doomed = new RunningTool(t, 'mosquitto_pub', [...withWill, '--will-payload', 'was killed', '-l'])
      await arrived
      doomed.kill()
      assert.equal((await doomed.finished()).signal, 'SIGKILL')
      await lines(pub(t, [...at, '-t', topic, '-m', 'the end']))
      assert.deepEqual(await lines(witness), [`${topic} 1 0 10 was killed`, `${topic} 0 0 7 the end`])
    })

    for (const qos of [1, 2]) {
      test(`a kept session over ${transport}: QoS ${qos} messages wait for the client, in order`, async t => {
        const topic = `t/kept/${transport}/${qos}`
        const at = [...to(hub, transport), ...LOGIN, '-q', String(qos), '-t', topic]
        const kept = ['-c', '-i', `kept-${transport}-${qos}`]
        await lines(runTool(t, 'mosquitto_sub', [...at, ...kept, '-E', '-W', '25']))
        const sent = Array.from({ length: 300 }, (_, i) => `m${i}`)
        await lines(pub(t, [...at, '-l'], `${sent.join('\n')}\n`))
        await lines(pub(t, [...at.with(at.indexOf('-q') + 1, '0'), '-m', 'QoS 0 does not wait']))
        const back = [...at, ...kept, '-C', '300', '-F', FORMAT, '-W', '25']
        assert.deepEqual(
          await lines(runTool(t, 'mosquitto_sub', back)),
          sent.map(payload => `${topic} ${qos} 0 ${payload.length} ${payload}`),
        )
        // Nothing of it comes twice.
        const again = await runTool(t, 'mosquitto_sub', [...at, ...kept, '-W', '1', '-F', FORMAT])
        assert.equal(again.stdout, '')
      })
    }

    test(`who may not, does not: over ${transport}`, async t => {
      const wrong = await pub(t, [...to(hub, transport), '-u', ACCOUNT.username, '-P', 'wrong', '-t', 't/x', '-m', 'x'])
      assert.notEqual(wrong.code, 0)
      assert.match(wrong.stderr, /bad user name or password|not authori[sz]ed/i)
      const refused = await runTool(t, 'mosquitto_sub', [
        ...to(hub, transport),
        ...LOGIN,
        '-t',
        'secret/x',
        '-E',
        '-W',
        '5',
      ])
      assert.match(refused.stderr, /denied|0x80|128/i)
    })
  }

  test('TLS fails for a client that does not trust the authority', async t => {
    const { port } = { port: String(hub.port('tls')) }
    const { code } = await pub(t, [
      '-h',
      '127.0.0.1',
      '-p',
      port,
      ...LOGIN,
      '--tls-use-os-certs',
      '-t',
      't/x',
      '-m',
      'x',
    ])
    assert.notEqual(code, 0)
  })
})

suite('mosquitto clients known by certificate', { skip }, () => {
  for (const identity of ['username', 'cn', 'san'] as const satisfies readonly Identity[]) {
    test(`identity: ${identity}`, async t => {
      const hub = await useClientHub(t, identity)
      const certificate = ['--cert', hub.files.cert, '--key', hub.files.key]
      const name = identity === 'username' ? ['-u', PRINCIPAL.username] : []
      const at = [...to(hub, 'tls'), ...certificate, ...name, '-q', '2', '-t', 't/cert']
      const principals: string[] = []
      hub.hub.on('clientReady', client => principals.push((client as unknown as Client).principal.name))
      const received = await subscriber(t, hub, [...at, '-C', '1'])
      await lines(pub(t, [...at, '-m', 'hello']))
      assert.deepEqual(await lines(received), ['t/cert 2 0 5 hello'])
      assert.deepEqual(principals, [PRINCIPAL[identity], PRINCIPAL[identity]])

      const nobody = await pub(t, [...to(hub, 'tls'), ...name, '-t', 't/cert', '-m', 'without certificate'])
      assert.notEqual(nobody.code, 0)
      const { username } = ACCOUNT
      const other = await pub(t, [
        ...to(hub, 'tls'),
        ...certificate,
        '-u',
        username,
        '-t',
        't/cert',
        '-m',
        'no password',
      ])
      assert.notEqual(other.code, 0)
      const both = await pub(t, [...to(hub, 'tls'), ...certificate, ...LOGIN, '-t', 't/cert', '-m', 'with password'])
      assert.equal(both.code, 0, both.stderr)
    })
  }
})
