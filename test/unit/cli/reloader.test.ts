import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { certificateMark } from '../../../src/cli/hub/certificate-mark.ts'
import { Reloader, type ReloadParts } from '../../../src/cli/service/reloader.ts'
import { GatewayError, type LogMethod, silentLogger } from '../../../src/common/index.ts'
import { ConfigError, changedFields, defaultHubConfig, type HubConfig } from '../../../src/config/index.ts'

interface Line {
  readonly level: string
  readonly event: string
  readonly fields: Readonly<Record<string, unknown>>
}

function recorder(): { lines: Line[]; log: ReloadParts<HubConfig>['log'] } {
  const lines: Line[] = []
  const order = ['debug', 'info', 'warn', 'error']
  let least = 'info'
  const at = (level: string): LogMethod => {
    return (fields: object | string, event?: string) => {
      if (order.indexOf(level) < order.indexOf(least)) return
      lines.push({ level, event: event ?? '', fields: fields as Record<string, unknown> })
    }
  }
  const log = {
    ...silentLogger,
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    isLevelEnabled: (level: string) => order.indexOf(level) >= order.indexOf(least),
    setLevel: (level: string) => {
      least = level
      lines.push({ level: 'set', event: level, fields: {} })
    },
  }
  return { lines, log }
}

interface Stage {
  readonly reloader: Reloader<HubConfig>
  readonly lines: Line[]
  readonly applied: HubConfig[]
  /** What the file says. */
  file: Partial<HubConfig>
}

function stage(parts: Partial<ReloadParts<HubConfig>> = {}): Stage {
  const { lines, log } = recorder()
  const applied: HubConfig[] = []
  const base = defaultHubConfig()
  const made: Stage = {
    lines,
    applied,
    file: {},
    reloader: new Reloader({
      name: 'hub',
      started: base,
      changes: changedFields,
      load: () => ({ config: { ...base, ...made.file }, warnings: [] }),
      apply: async next => {
        applied.push(next)
      },
      log,
      warn: () => {},
      ...parts,
    }),
  }
  return made
}

const REDIRECTED: Partial<HubConfig> = { listen: ['tcp://127.0.0.1:7777'] }

function makeDir(t: TestContext): string {
  const dir = mkdtempSync(join(tmpdir(), 'openedge-reloader-'))
  t.after(() => rmSync(dir, { recursive: true, force: true }))
  return dir
}

describe('reading the configuration again', () => {
  test('names what changed, against what was read last', async () => {
    const hub = stage()
    assert.deepEqual(await hub.reloader.reload(), { ok: true, changed: [], restart: [], warnings: [] })
    hub.file = REDIRECTED
    assert.deepEqual(await hub.reloader.reload(), { ok: true, changed: ['listen'], restart: [], warnings: [] })
    assert.deepEqual(await hub.reloader.reload(), { ok: true, changed: [], restart: [], warnings: [] })
    const told = hub.lines.filter(({ event }) => event === 'config.reloaded').map(({ fields }) => fields['changed'])
    assert.deepEqual(told, ['nothing', 'listen', 'nothing'])
    assert.equal(hub.applied.length, 3)
  })

  test('names what only a restart changes, against what the hub was started with, as long as it differs', async () => {
    const hub = stage()
    hub.file = { storage: { ...defaultHubConfig().storage, dir: 'elsewhere' } }
    for (let i = 0; i < 2; i++) {
      const answer = await hub.reloader.reload()
      assert.deepEqual(answer, { ok: true, changed: [], restart: ['storage.dir'], warnings: [] })
    }
    const warned = hub.lines.filter(({ level }) => level === 'warn')
    assert.deepEqual(
      warned.map(({ event, fields }) => [event, fields['fields']]),
      [
        ['config.restart_needed', 'storage.dir'],
        ['config.restart_needed', 'storage.dir'],
      ],
    )
    hub.file = {}
    assert.deepEqual(await hub.reloader.reload(), { ok: true, changed: [], restart: [], warnings: [] })
  })

  test('sees that the content of a certificate changed under the same name', async t => {
    const dir = makeDir(t)
    const certificate = { ...defaultHubConfig().certificate, cert: 'server.pem' }
    const started = { ...defaultHubConfig(), certificate }
    writeFileSync(join(dir, 'server.pem'), 'one')
    const hub = stage({ started, mark: config => certificateMark(config, dir) })
    hub.file = { certificate }
    const changed = async (): Promise<unknown> => Reflect.get(await hub.reloader.reload(), 'changed')
    assert.deepEqual(await changed(), [])
    writeFileSync(join(dir, 'server.pem'), 'two')
    assert.deepEqual(await changed(), ['certificate'])
    assert.deepEqual(await changed(), [])
    assert.equal(hub.applied.length, 3)
  })

  test('is refused for a file that can not be used, and for one that can not be put in force', async () => {
    const problem = { file: 's.yml', line: 2, column: 3, path: 'listen', message: 'is wrong' }
    const refused = stage({
      load: () => {
        throw new ConfigError([problem, { ...problem, line: 4 }])
      },
    })
    const problems = ['s.yml:2:3: listen: is wrong', 's.yml:4:3: listen: is wrong']
    assert.deepEqual(await refused.reloader.reload(), { ok: false, problems })
    assert.deepEqual(refused.applied, [])
    assert.deepEqual(
      refused.lines.map(({ level, event, fields }) => [level, event, fields['problem']]),
      problems.map(text => ['error', 'config.refused', text]),
    )

    let isFree = false
    const applied = stage({
      apply: async () => {
        if (!isFree) throw new GatewayError('ERR_LISTEN_ADDRESS_IN_USE', "can't listen there")
      },
    })
    applied.file = REDIRECTED
    assert.deepEqual(await applied.reloader.reload(), { ok: false, problems: ["can't listen there"] })
    isFree = true
    const then = await applied.reloader.reload()
    assert.deepEqual(
      then,
      { ok: true, changed: ['listen'], restart: [], warnings: [] },
      'nothing was taken over before',
    )
  })

  test('an error that nobody foresaw is told with where it comes from', async () => {
    const boom = new Error('boom')
    const hub = stage({ apply: () => Promise.reject(boom) })
    assert.deepEqual(await hub.reloader.reload(), { ok: false, problems: ['boom'] })
    assert.equal(hub.lines[0]?.fields['error'], boom)
  })

  test('without a file there is nothing to read', async () => {
    const hub = stage({ load: null })
    const answer = await hub.reloader.reload()
    assert.equal(answer.ok, false)
    assert.match(String(hub.lines[0]?.fields['problem']), /there is nothing to read/)
  })

  test('never two at a time; those that ask meanwhile share the next one', async () => {
    let underWay = 0
    let most = 0
    const releases: (() => void)[] = []
    const hub = stage({
      apply: async () => {
        most = Math.max(most, ++underWay)
        await new Promise<void>(resolve => releases.push(resolve))
        underWay--
      },
    })
    const first = hub.reloader.reload()
    const others = Array.from({ length: 10 }, () => hub.reloader.reload())
    while (releases.length === 0) await new Promise(resolve => setImmediate(resolve))
    hub.file = REDIRECTED
    releases.shift()?.()
    assert.deepEqual(Reflect.get(await first, 'changed'), [])
    // Asked for in the very turn in which one ends and the next begins.
    const last = hub.reloader.reload()
    let isOver = false
    const all = Promise.all([...others, last]).finally(() => {
      isOver = true
    })
    while (!isOver) {
      releases.shift()?.()
      await new Promise(resolve => setImmediate(resolve))
    }
    const answers = await all
    assert.equal(new Set(others).size, 1, 'one reload for all of them')
    for (const answer of answers.slice(0, -1)) assert.deepEqual(Reflect.get(answer, 'changed'), ['listen'])
    assert.equal(most, 1)
  })

  test('is over when the hub stops', async () => {
    let release = (): void => {}
    const hub = stage({
      apply: () =>
        new Promise<void>(resolve => {
          release = resolve
        }),
    })
    const running = hub.reloader.reload()
    const waiting = hub.reloader.reload()
    await new Promise(resolve => setImmediate(resolve))
    const closed = hub.reloader.close()
    release()
    await closed
    assert.equal((await running).ok, true)
    assert.deepEqual(await waiting, { ok: false, problems: ['the hub is stopping'] })
    assert.equal((await hub.reloader.reload()).ok, false)
  })

  test('the level of the log follows, and the line that tells so is written', async () => {
    const hub = stage()
    const { logger } = defaultHubConfig()
    for (const level of ['error', 'debug'] as const) {
      hub.file = { logger: { ...logger, level } }
      await hub.reloader.reload()
    }
    assert.deepEqual(
      hub.lines.map(({ event }) => event),
      ['config.reloaded', 'error', 'debug', 'config.reloaded'],
    )
    assert.deepEqual(
      hub.lines.flatMap(({ fields }) => fields['changed'] ?? []),
      ['logger.level', 'logger.level'],
    )
  })
})
