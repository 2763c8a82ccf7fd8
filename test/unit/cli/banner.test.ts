import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { configuredBanner, openBanner, type Started, type StoreNote } from '../../../src/cli/banner.ts'

const urls = ['tcp://127.0.0.1:2883', 'ws://127.0.0.1:9083']

function started(store: StoreNote): Started {
  return { version: '1.2.3', urls, program: 'npx openedge', store }
}

function lastLine(store: StoreNote): string {
  return configuredBanner(started(store), 'edge/service.yml').split('\n').at(-1) ?? ''
}

describe('the banner', () => {
  test('of a configured hub: the file, the addresses, the store', () => {
    const store = { dir: 'edge/data', sync: 'always', intervalMs: 1000 } as const
    assert.deepEqual(configuredBanner(started(store), 'edge/service.yml').split('\n'), [
      'OpenEdge 1.2.3 hub, configured by edge/service.yml, listens on',
      '  tcp://127.0.0.1:2883',
      '  ws://127.0.0.1:9083',
      'Stored in edge/data (sync: always): what is acknowledged survives a stop, a crash and a power cut.',
    ])
    const nowhere = configuredBanner({ ...started(store), urls: [] }, 'f')
    assert.match(nowhere, /^ {2}nothing: no listen in the configuration$/m)
  })

  test('promises no more than the way of syncing keeps', () => {
    const head = (sync: string): string =>
      `Stored in d (sync: ${sync}): what is acknowledged survives a stop and a crash; a power cut may take`
    assert.equal(
      lastLine({ dir: 'd', sync: 'interval', intervalMs: 1500 }),
      `${head('interval')} the last 1s500ms of it.`,
    )
    assert.equal(lastLine({ dir: 'd', sync: 'never', intervalMs: 1500 }), `${head('never')} the last seconds of it.`)
  })

  test('of a hub in memory says that nothing survives, and why', () => {
    const note = 'In memory: nothing survives a stop, neither sessions nor queued or retained messages'
    assert.equal(lastLine({ because: 'flag' }), `${note} (--memory).`)
    assert.equal(lastLine({ because: 'config' }), `${note} (storage.dir is empty).`)
  })

  test('of an open hub: who may connect, how to try it, how to keep what it has', () => {
    const memory = openBanner(started({ because: 'nowhere' }))
    assert.match(memory, /^Open: every program on this machine /m)
    assert.match(memory, /^In memory: nothing survives a stop, .*\n {2}npx openedge hub -w DIR +keeps them on disk/m)
    assert.match(memory, /mosquitto_sub -h 127\.0\.0\.1 -p 2883 /)
    assert.match(memory, /^ {2}npx openedge hub top /m)
    assert.match(memory, /^ {2}mosquitto_sub .* -t '\$SYS\/#' -v$/m)
    assert.match(memory, /connect\('ws:\/\/127\.0\.0\.1:9083'\)/)
    const durable = openBanner(started({ dir: 'edge/data', sync: 'always', intervalMs: 1000 }))
    assert.match(durable, /^Stored in edge\/data \(sync: always\): /m)
    assert.doesNotMatch(durable, /In memory|hub -w/)
    const asked = openBanner(started({ because: 'flag' }))
    assert.match(asked, /\(--memory\)\.$/m)
    assert.doesNotMatch(asked, /hub -w/)
  })
})
