/** What the endpoint takes from whoever it serves; how it deals with clients is tested with that of a hub. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { suite, test } from 'node:test'
import { type Figures, FiguresServer } from '../../../src/metrics/index.ts'
import { parseExposition, valueOf } from '../../support/exposition.ts'
import { KeptLog } from '../../support/kept-log.ts'

const ROOT = join(import.meta.dirname, '../../..')

/** A figure that says how often it was taken. */
function counting(events: string[]): Figures {
  let taken = 0
  return {
    register: readings => readings.counter('test_taken_total', 'How often.', () => taken),
    take: () => {
      taken++
      events.push('take')
    },
  }
}

async function get(server: FiguresServer, path: string): Promise<{ status: number; body: string }> {
  const response = await fetch(server.url + path)
  return { status: response.status, body: await response.text() }
}

suite('an endpoint for figures', () => {
  test('has the title and the texts of whom it serves', async t => {
    const server = new FiguresServer({
      listen: 'http://127.0.0.1:0',
      log: new KeptLog(),
      title: 'openedge test',
      readiness: 'it does what it should',
      figures: () => counting([]),
      isReady: () => 'it sleeps',
    })
    t.after(() => server.stop())
    assert.equal(server.isOpen, false)
    await server.start()
    assert.equal(server.isOpen, true)
    const { body } = await get(server, '/')
    assert.match(body, /<title>openedge test<\/title>[\s\S]*<h1>openedge test<\/h1>/)
    assert.match(body, /\/readyz<\/a>: it does what it should</)
    assert.deepEqual(await get(server, '/readyz'), { status: 503, body: 'not ready: it sleeps\n' })
    await server.stop()
    assert.equal(server.isOpen, false)
  })

  test('takes the figures once a scrape, and says so before', async t => {
    const events: string[] = []
    const server = new FiguresServer({
      listen: 'http://127.0.0.1:0',
      log: new KeptLog(),
      title: '',
      readiness: '',
      figures: () => counting(events),
      isReady: () => null,
      onScrape: () => events.push('scrape'),
    })
    t.after(() => server.stop())
    await server.start()
    for (const times of [1, 2]) {
      assert.equal(valueOf(parseExposition((await get(server, '/metrics')).body), 'test_taken_total'), times)
    }
    assert.deepEqual(events, ['scrape', 'take', 'scrape', 'take'])
    await server.stop()
    await server.start()
    const families = parseExposition((await get(server, '/metrics')).body)
    assert.equal(valueOf(families, 'test_taken_total'), 1, 'each start asks for figures anew')
  })

  test('figures that fail are an answer, and the next ones may do', async t => {
    let isBroken = true
    const log = new KeptLog()
    const server = new FiguresServer({
      listen: 'http://127.0.0.1:0',
      log,
      title: '',
      readiness: '',
      figures: () => ({
        register: readings => readings.gauge('test_value', 'What.', () => 7),
        take: () => {
          if (isBroken) throw new TypeError('broken')
        },
      }),
      isReady: () => null,
    })
    t.after(() => server.stop())
    await server.start()
    assert.equal((await get(server, '/metrics')).status, 500)
    assert.equal(log.count('metrics.failed'), 1)
    isBroken = false
    assert.equal(valueOf(parseExposition((await get(server, '/metrics')).body), 'test_value'), 7)
  })

  test('loads the library when it is started, not before', () => {
    const script = `
      const { createRequire } = await import('node:module')
      const { FiguresServer } = await import('./src/metrics/index.ts')
      const isLoaded = () => Object.keys(createRequire(process.cwd() + '/x.js').cache).some(path => path.includes('prom-client'))
      const log = { info() {}, warn() {}, error() {}, debug() {} }
      const figures = () => ({ register() {}, take() {} })
      const server = new FiguresServer({ listen: 'http://127.0.0.1:0', log, title: '', readiness: '', figures, isReady: () => null })
      const before = isLoaded()
      await server.start()
      console.log(before, isLoaded())
      await server.stop()
    `
    const output = execFileSync(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script], {
      cwd: ROOT,
      encoding: 'utf8',
    })
    assert.equal(output.trim(), 'false true')
  })
})
