/** What commands can ask of a bridge. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { bridgeRoutes } from '../../../src/bridge/report/index.ts'
import type { ReloadAnswer } from '../../../src/control/index.ts'
import { bridgeFigures, flowFigures, ruleFigures } from './report-figures.ts'

const FIGURES = bridgeFigures(ruleFigures('plant1', { flows: [flowFigures('out', { received: 7 })] }))
const REFUSED: ReloadAnswer = { ok: false, problems: ['service.yml:1:1: rules: is wrong'] }

suite('routes of a bridge', () => {
  const routes = bridgeRoutes({ figures: () => FIGURES, version: '1.2.3', reload: async () => REFUSED })

  test('GET /v1/rules has all figures, and whose they are', async () => {
    const { status, body } = await routes('GET', '/v1/rules?whatever=1')
    assert.equal(status, 200)
    assert.deepEqual(JSON.parse(JSON.stringify(body)), { version: '1.2.3', pid: process.pid, ...FIGURES })
  })

  test('POST /v1/reload has the configuration read again, each time', async () => {
    const answers: ReloadAnswer[] = [{ ok: true, changed: ['rules'], restart: [], warnings: [] }, REFUSED]
    const reloading = bridgeRoutes({
      figures: () => FIGURES,
      version: '',
      reload: async () => answers.shift() ?? REFUSED,
    })
    assert.deepEqual(await reloading('POST', '/v1/reload'), {
      status: 200,
      body: { ok: true, changed: ['rules'], restart: [], warnings: [] },
    })
    assert.deepEqual((await reloading('POST', '/v1/reload')).body, REFUSED)
  })

  test('another method is refused with the one that would do, another path with its name', async () => {
    assert.deepEqual(await routes('POST', '/v1/rules'), {
      status: 405,
      body: { error: '/v1/rules takes GET only' },
      allow: 'GET',
    })
    assert.equal((await routes('GET', '/v1/reload')).allow, 'POST')
    assert.deepEqual(await routes('GET', '/v1/top?x'), { status: 404, body: { error: 'there is no /v1/top' } })
    assert.equal((await routes('GET', '')).status, 404)
  })

  test('what fails rejects, so that whoever serves it can tell', async () => {
    const broken = bridgeRoutes({
      figures: () => {
        throw new TypeError('broken')
      },
      version: '',
      reload: () => Promise.reject(new TypeError('broken')),
    })
    await assert.rejects(broken('GET', '/v1/rules'), TypeError)
    await assert.rejects(broken('POST', '/v1/reload'), TypeError)
  })
})
