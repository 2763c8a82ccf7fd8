/** What somebody who fails again and again leaves in the log. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { silentLogger } from '../../src/common/index.ts'
import { type Cleanup, openSocket, readToEnd, startListener, untilStill } from './listener-harness.ts'

const LIMIT = { timeout: 20_000 }

async function fail(t: Cleanup, url: string, times: number): Promise<void> {
  for (let i = 0; i < times; i++) {
    const socket = await openSocket(t, url)
    socket.write('no HTTP\r\n\r\n')
    await readToEnd(socket)
  }
}

describe('handshakes that fail', () => {
  test('of one address are a few lines a minute, then the number of those left out', LIMIT, async t => {
    const { listener, lines } = await startListener(t, 'ws')
    const failures = () => lines.filter(line => line.event === 'listener.handshake_failed')
    const clock = performance.now.bind(performance)
    let later = 0
    t.mock.method(performance, 'now', () => clock() + later)

    await fail(t, listener.url, 20)
    await untilStill(() => lines.length)
    assert.equal(failures().length, 5)
    for (const { level, fields } of failures()) {
      assert.equal(level, 'debug')
      assert.deepEqual(Object.keys(fields), ['listener', 'address', 'error'])
    }

    later = 61_000
    await fail(t, listener.url, 2)
    await untilStill(() => lines.length)
    assert.deepEqual(
      failures()
        .slice(5)
        .map(({ fields }) => fields['leftOut']),
      [15, undefined],
    )
  })

  test('are not counted while nobody reads such lines', LIMIT, async t => {
    let debug = false
    let asked = 0
    let written = 0
    const isLevelEnabled = (): boolean => {
      asked++
      return debug
    }
    const log = { ...silentLogger, isLevelEnabled, debug: () => written++ }
    const { listener } = await startListener(t, 'ws', { log })
    await fail(t, listener.url, 8)
    await untilStill(() => asked)
    assert.equal(asked, 8)
    assert.equal(written, 0)
    debug = true
    await fail(t, listener.url, 1)
    await untilStill(() => asked)
    assert.equal(written, 1)
  })
})
