import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { BridgeAnswer, FlowFigures, LinkFigures, RuleFigures } from '../../../src/bridge/index.ts'
import { statusLines } from '../../../src/cli/bridge/status-view.ts'

const NOW = 1_000_000_000
const NONE: FlowFigures['dropped'] = {
  offline: 0,
  limited: 0,
  unmatched: 0,
  invalid: 0,
  echo: 0,
  rejected: 0,
  oversize: 0,
}

function link(side: LinkFigures['side'], more: Partial<LinkFigures> = {}): LinkFigures {
  return {
    side,
    address: 'tcp://127.0.0.1:1883',
    clientId: 'c',
    phase: 'connected',
    since: NOW - 60_000,
    connects: 1,
    lastError: '',
    lastErrorCode: '',
    lastErrorAt: 0,
    refused: [],
    isPrivate: true,
    ...more,
  }
}

function flow(direction: FlowFigures['direction'], more: Partial<FlowFigures> = {}): FlowFigures {
  return {
    direction,
    received: 0,
    forwarded: 0,
    forwardedBytes: 0,
    acknowledged: 0,
    duplicates: 0,
    dropped: NONE,
    inFlight: 0,
    waiting: 0,
    lagMs: 0,
    ...more,
  }
}

function rule(more: Partial<RuleFigures> = {}): RuleFigures {
  return {
    name: 'plant1',
    remote: 'cloud',
    links: [link('hub'), link('remote')],
    flows: [flow('out'), flow('in')],
    ...more,
  }
}

function status(...rules: RuleFigures[]): string[] {
  const answer: BridgeAnswer = { version: '1.2.3', pid: 42, startedAt: NOW - 3_600_000, rules }
  return statusLines(answer, NOW)
}

/** Cells of the first rule by the title of their column. */
function cells(...rules: RuleFigures[]): Map<string, string> {
  const [, , titles = '', row = ''] = status(...rules)
  const names = titles.split(/ {2,}/)
  const values = row.split(/ {2,}/)
  assert.equal(values.length, names.length, row)
  return new Map(names.map((name, i) => [name, values[i] ?? '']))
}

describe('the status of a bridge', () => {
  test('begins with the bridge as a whole', () => {
    const away = rule({ links: [link('hub'), link('remote', { phase: 'waiting' })] })
    assert.equal(status(rule(), away)[0], 'OpenEdge 1.2.3 bridge  up 01:00:00  pid 42  rules 2, connected 1')
    assert.deepEqual(status(), ['OpenEdge 1.2.3 bridge  up 01:00:00  pid 42  rules 0, connected 0'])
  })

  test('has a row for each rule, with the sums of its directions', () => {
    const out = flow('out', { forwarded: 12_345, inFlight: 2, waiting: 3, lagMs: 10, duplicates: 1 })
    const dropped = { ...NONE, offline: 4, echo: 1 }
    const back = flow('in', { forwarded: 7, inFlight: 5, waiting: 1, lagMs: 2500, duplicates: 2, dropped })
    assert.deepEqual(Object.fromEntries(cells(rule({ flows: [out, back] }))), {
      RULE: 'plant1',
      REMOTE: 'cloud',
      'HUB LINK': 'connected',
      'REMOTE LINK': 'connected',
      SINCE: '00:01:00',
      OUT: '12.3k',
      IN: '7',
      'IN FLIGHT': '7',
      WAITING: '4',
      LAG: '2.5 s',
      DROPPED: '5',
      DUPLICATES: '3',
    })
  })

  test('has a dash for a direction that there is not', () => {
    const found = cells(rule({ flows: [flow('in', { forwarded: 1 })] }))
    assert.deepEqual([found.get('OUT'), found.get('IN'), found.get('LAG')], ['-', '1', '-'])
  })

  test('tells since when all is well, or since when something is not', () => {
    const since = (hub: Partial<LinkFigures>, remote: Partial<LinkFigures>): string | undefined =>
      cells(rule({ links: [link('hub', hub), link('remote', remote)] })).get('SINCE')
    assert.equal(since({ since: NOW - 9000 }, { since: NOW - 5000 }), '00:00:05')
    assert.equal(since({ since: NOW - 1000 }, { since: NOW - 5000, phase: 'waiting' }), '00:00:05')
    const both = since({ since: NOW - 7000, phase: 'connecting' }, { since: NOW - 5000, phase: 'waiting' })
    assert.equal(both, '00:00:07')
  })

  test('says what went wrong, below the rule and in one line', () => {
    const remote = link('remote', {
      phase: 'waiting',
      lastError: 'rule plant1: remote cloud: refused\u001b[2J\nby the broker',
      lastErrorCode: 'ERR_BRIDGE_AUTH',
      lastErrorAt: NOW - 90_000,
    })
    const lines = status(rule({ links: [link('hub'), remote] }), rule({ name: 'other' }))
    assert.equal(lines[4], '  last error, 1m ago: rule plant1: remote cloud: refused\\u001b[2J\\u000aby the broker')
    assert.match(lines[5] ?? '', /^other /)
    assert.equal(lines.length, 6)
  })

  test('names the filters that a broker refused', () => {
    const lines = status(rule({ links: [link('hub', { refused: ['a/#', 'b'] }), link('remote')] }))
    assert.match(lines[3] ?? '', /^plant1 {2}cloud {3}connected, 2 refused {2}connected /)
    assert.equal(lines[4], '  hub refused: a/#, b')
  })

  test('is a table, however wide names are', () => {
    const lines = status(rule({ name: '工場の橋', remote: 'x' }), rule({ name: 'p' })).slice(2)
    const at = (line: string, word: string): number => {
      const before = line.slice(0, line.indexOf(word))
      // Those of East Asia take two columns each.
      return before.length + before.replace(/[^\u2e80-\uffff]/g, '').length
    }
    const [titles = '', first = '', second = ''] = lines
    assert.equal(at(first, 'connected'), at(titles, 'HUB LINK'))
    assert.equal(at(second, 'connected'), at(titles, 'HUB LINK'))
  })
})
