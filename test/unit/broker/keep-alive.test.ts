import assert from 'node:assert/strict'
import { once } from 'node:events'
import { suite, test } from 'node:test'
import { embedHub } from '../../support/embedded-hub.ts'

const KEEP_ALIVE_MS = 1000
/** When it is enforced [MQTT-3.1.2-24]. */
const LIMIT_MS = 1500

suite('keep alive', { concurrency: true }, () => {
  test('does not begin before authentication is over', async t => {
    const { open } = await embedHub(t, {
      authenticate: (_client, _username, _password, done) => void setTimeout(done, LIMIT_MS + 300, null, true),
    })
    const client = await open()
    assert.equal((await client.connect({ keepAlive: 1 })).returnCode, 0)
    await client.nothing(LIMIT_MS / 2)
    await client.quiet()
  })

  test('is enforced from CONNACK on', async t => {
    const { hub, open } = await embedHub(t, {
      authenticate: (_client, _username, _password, done) => void setTimeout(done, 300, null, true),
    })
    const client = await open()
    assert.equal((await client.connect({ keepAlive: 1 })).returnCode, 0)
    const since = performance.now()
    const told = once(hub, 'keepaliveTimeout')
    await client.closed()
    await told
    const took = performance.now() - since
    assert.ok(took > KEEP_ALIVE_MS && took < LIMIT_MS + 1500, `closed after ${took} ms`)
  })
})
