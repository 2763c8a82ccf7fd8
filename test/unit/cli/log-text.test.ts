import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { createLog, type Log } from '../../../src/cli/log/logger.ts'
import { localTime } from '../../../src/cli/log/text.ts'
import { GatewayError } from '../../../src/common/index.ts'

async function record(format: 'text' | 'json', act: (log: Log) => void): Promise<string[]> {
  const lines: string[] = []
  const config = { path: '', level: 'info', format, maxAgeDays: 1, maxSizeMb: 1, maxBackups: 1 } as const
  const log = await createLog({ config, baseDir: '/', base: { service: 'hub' }, console: line => lines.push(line) })
  act(log)
  await log.close()
  return lines
}

test('text lines look as those of OpenEdge', async () => {
  const [line] = await record('text', log =>
    log.info(
      { clientId: 'sensor-1', address: '::1', empty: '', count: 3, none: null, list: ['a'] },
      'client.connected',
    ),
  )
  assert.match(
    line ?? '',
    /^time="\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:Z|[+-]\d\d:\d\d)" level=info msg="client\.connected" service=hub clientId=sensor-1 address="::1" empty="" count=3 none=null list="\[\\"a\\"\]"\n$/,
  )
})

test('JSON lines have level, msg and time as OpenEdge names them', async () => {
  const [line] = await record('json', log => log.warn({ clientId: 'x' }, 'store.failed'))
  const { time, ...rest } = JSON.parse(line ?? '')
  assert.deepEqual(rest, { level: 'warning'.slice(0, 4), service: 'hub', clientId: 'x', msg: 'store.failed' })
  assert.ok(!Number.isNaN(Date.parse(time)))
})

test('errors are their text in the field error, with the stack when nobody foresaw them', async () => {
  const lines = await record('json', log => {
    log.error({ err: new GatewayError('ERR_STORE_FULL', 'disk full') }, 'store.failed')
    log.error({ error: new TypeError('x is not a function') }, 'listener.accept_threw')
  })
  const [foreseen, other] = lines.map(line => JSON.parse(line))
  assert.equal(foreseen.error, 'disk full')
  assert.equal('stack' in foreseen, false)
  assert.equal(other.error, 'x is not a function')
  assert.match(other.stack, /log-text\.test/)
})

test('a field can not take the place of time, level or msg', async () => {
  for (const format of ['text', 'json'] as const) {
    const [line] = await record(format, log => log.info({ level: 'error', time: 'never', msg: 'forged' }, 'real.event'))
    assert.match(
      line ?? '',
      format === 'text' ? / level=info msg="real\.event" / : /^\{"level":"info",.*"msg":"real\.event"\}\n$/,
    )
  }
})

test('levels below the configured one are not written, children keep their fields', async () => {
  const lines = await record('text', log => {
    log.debug('not.written')
    assert.equal(log.isLevelEnabled('debug'), false)
    log.child({ part: 'a b' }).info('written')
  })
  assert.equal(lines.length, 1)
  assert.match(lines[0] ?? '', / msg="written" service=hub part="a b"\n$/)
})

test('whatever a value holds, a line is one line of printable characters', async () => {
  await fc.assert(
    fc.asyncProperty(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' }), async (key, value) => {
      const [line] = await record('text', log => log.info({ [`k${key}`]: value }, 'event'))
      assert.match(line ?? '', /^[^\p{Cc}\u2028\u2029\u202e\p{Cs}]*\n$/u)
    }),
    { numRuns: 300 },
  )
})

test('times carry the offset of the place', () => {
  const time = new Date(Date.UTC(2026, 10, 21, 12, 0, 0, 999))
  assert.equal(Date.parse(localTime(time)), time.getTime() - 999)
  const india = new (class extends Date {
    override getTimezoneOffset(): number {
      return -330
    }
  })(time)
  assert.equal(localTime(india), '2026-11-21T17:30:00+05:30')
  const newfoundland = new (class extends Date {
    override getTimezoneOffset(): number {
      return 210
    }
  })(time)
  assert.equal(localTime(newfoundland), '2026-11-21T08:30:00-03:30')
})
