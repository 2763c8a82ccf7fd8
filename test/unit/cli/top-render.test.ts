import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { widthOf } from '../../../src/cli/text.ts'
import { amount, bytes, span, uptime } from '../../../src/cli/top/figures.ts'
import { plainLine } from '../../../src/cli/top/plain.ts'
import { type Line, render } from '../../../src/cli/top/render.ts'
import { type View, viewOf } from '../../../src/cli/top/view.ts'
import { topAnswer } from './top-answer.ts'

const HOSTILE = 'a\u001b[2J\u001b]0;x\u0007\r\n\u202e\u009b温度/😀'

const before = topAnswer(
  {
    at: 1000,
    topics: [
      { topic: 'quiet', messages: 5000 },
      { topic: 'loud', messages: 100 },
    ],
    clients: [
      { id: 'old', username: '', address: '10.0.0.1', transport: 'tcp', connectedAt: 1, received: 10, sent: 20 },
    ],
  },
  {
    messages: { received: 1000, sent: 2000, droppedQos0: 5 },
    bytes: { received: 1024, sent: 0 },
    process: { cpuSeconds: 3 },
    rules: { forwarded: 10, dropped: 0 },
  },
)

const after = topAnswer(
  {
    at: 3000,
    loopDelay: { meanMs: 0.25, maxMs: 17 },
    topics: [
      { topic: 'quiet', messages: 5002 },
      { topic: 'loud', messages: 1100 },
      { topic: HOSTILE, messages: 7 },
    ],
    rules: [
      {
        name: `${HOSTILE} -> b`,
        source: HOSTILE,
        target: 'b',
        matched: 12,
        forwarded: 10,
        dropped: 2,
        lastError: `no ${HOSTILE}`,
        lastErrorAt: 1,
      },
    ],
    slow: [
      { id: HOSTILE, connected: true, queued: 12_345, unacknowledged: 20, blockedMs: 90_000, outputBytes: 2_097_152 },
      { id: 'away', connected: false, queued: 3, unacknowledged: 0, blockedMs: 0, outputBytes: 0 },
    ],
    clients: [
      { id: 'old', username: '', address: '10.0.0.1', transport: 'tcp', connectedAt: 1, received: 10, sent: 60 },
      { id: HOSTILE, username: HOSTILE, address: '', transport: 'unix', connectedAt: 2, received: 1, sent: 2 },
    ],
  },
  {
    clients: { connected: 2, maximum: 9, sessions: 3 },
    messages: { received: 3000, sent: 6000, droppedQos0: 25, droppedQueued: 1 },
    bytes: { received: 3 * 1024, sent: 4_194_304 },
    process: { cpuSeconds: 4, rssBytes: 80 * 1024 * 1024 },
    rules: { count: 1, forwarded: 12, dropped: 2 },
    uptimeSeconds: 90_061,
  },
)

const view = viewOf(before, after)

function draw(of: View, columns: number, rows: number): string[] {
  return render({ view: of, stale: null, footer: 'q ends this' }, columns, rows).map(({ text }) => text.trimEnd())
}

describe('the view of a hub', () => {
  test('has the rates between two answers', () => {
    assert.deepEqual(view.rates, {
      messagesIn: 1000,
      messagesOut: 2000,
      bytesIn: 1024,
      bytesOut: 2_097_152,
      dropped: 11.5,
      accepted: 0,
      forwarded: 1,
    })
    assert.equal(view.cpuPercent, 50)
    assert.equal(view.dropped, 28)
    assert.deepEqual(
      view.topics.map(({ item, rate }) => [item.topic, rate]),
      [
        ['loud', 500],
        ['quiet', 1],
        [HOSTILE, null],
      ],
      'the busiest now comes first, then what has no rate yet',
    )
    assert.deepEqual(
      view.clients.map(({ rate }) => rate),
      [20, null],
    )
  })

  test('has no rates of one answer, nor of two processes', () => {
    for (const earlier of [null, { ...before, pid: 41 }, { ...before, at: 3000 }]) {
      const { rates, cpuPercent, topics } = viewOf(earlier, after)
      assert.deepEqual({ rates, cpuPercent }, { rates: null, cpuPercent: null })
      assert.deepEqual(
        topics.map(({ rate }) => rate),
        [null, null, null],
      )
    }
  })
})

describe('what the terminal shows', () => {
  test('all figures of a hub', () => {
    const lines = draw(view, 110, 60)
    const wanted = [
      /^OpenEdge 1\.2\.3 {2}up 1d 01:01:01 {2}pid 42 {2}cpu 50% {2}mem 80 MiB {2}lag 0\.3 ms \(max 17 ms\)$/,
      /^Clients +2 \(most 9\) .* sessions 3 /,
      /^Messages +in 1k\/s {2}out 2k\/s {3}bytes in 1 KiB\/s {2}out 2 MiB\/s$/,
      /^Dropped +11\.5\/s {2}since the start 28 \(too slow 25, queue full 1, by rules 2\)$/,
      /^Waiting /,
      /^Store +ok {2}0 B on disk/,
      /^BUSIEST TOPICS +MSG\/S +TOTAL$/,
      /^loud +500 +1\.1k$/,
      /^RULES \(1\) /,
      /^a\\u001b.*… +- +10 +2 {2}no a\\u001b/,
      /^SLOW CONSUMERS /,
      / 12\.3k +20 +2 MiB +1m$/,
      /^away +3 +0 +- +absent$/,
      /^BUSIEST CLIENTS /,
      /^old +tcp 10\.0\.0\.1 +20 +10 +60$/,
      /^q ends this$/,
    ]
    let at = 0
    for (const pattern of wanted) {
      const found = lines.findIndex((line, i) => i >= at && pattern.test(line))
      assert.ok(found >= at, `no ${pattern} from line ${at} on:\n${lines.join('\n')}`)
      at = found + 1
    }
  })

  test('nothing from outside reaches it as it came', () => {
    for (const line of [...draw(view, 200, 60), plainLine(view, new Date(0))]) {
      assert.doesNotMatch(line, /[\p{Cc}\p{Cf}]/u)
    }
    assert.ok(
      draw(view, 200, 60).some(line => line.startsWith('a\\u001b[2J\\u001b]0;x\\u0007\\u000d\\u000a\\u202e')),
      'the name is spelled out',
    )
  })

  test('fits every terminal', () => {
    const many = Array.from({ length: 100 }, (_, i) => ({ topic: `${'温'.repeat(i)}${'x/'.repeat(i)}`, messages: i }))
    const crowded = viewOf(before, { ...after, topics: many })
    for (const of of [view, crowded, viewOf(null, topAnswer({}, { store: null } as never))]) {
      for (let columns = 1; columns < 140; columns += 3) {
        for (let rows = 1; rows < 70; rows += 4) {
          const lines = render({ view: of, stale: 'gone', footer: 'q' }, columns, rows)
          assert.ok(lines.length <= rows, `${lines.length} lines in ${rows} rows`)
          for (const { text } of lines) {
            assert.ok(widthOf(text) <= columns, `${widthOf(text)} columns in ${columns}: ${text}`)
          }
        }
      }
    }
  })

  test('columns stand below each other, whatever the names are', () => {
    const topics = [
      { topic: '温度/計', messages: 1 },
      { topic: 'e\u0301', messages: 2 },
      { topic: '😀', messages: 3 },
    ]
    const lines = render({ view: viewOf(null, topAnswer({ topics })), stale: null, footer: '' }, 60, 40)
    const from = lines.findIndex(({ text }) => text.startsWith('BUSIEST TOPICS'))
    assert.deepEqual(
      lines.slice(from, from + 4).map(({ text }) => widthOf(text)),
      [60, 60, 60, 60],
    )
  })

  test('a narrow terminal keeps the names and loses columns', () => {
    const lines = draw(view, 30, 60)
    assert.ok(
      lines.some(line => /^SLOW CONSUM… +QUEUED +UNACKED$/.test(line)),
      lines.join('\n'),
    )
    assert.ok(!lines.some(line => line.includes('BLOCKED')), lines.join('\n'))
  })

  test('room that one table does not need is for the others', () => {
    const many = Array.from({ length: 100 }, (_, i) => ({ topic: `t${i}`, messages: i }))
    const shown = (rows: number): number => {
      const of = viewOf(null, topAnswer({ topics: many }))
      return draw(of, 80, rows).filter(line => /^t\d/.test(line)).length
    }
    // 6 lines on top, 4 tables with head and space, 3 of which have one line; the last line.
    assert.equal(shown(40), 40 - 6 - 8 - 3 - 1)
    assert.equal(shown(24), 24 - 6 - 8 - 3 - 1)
  })

  test('what needs somebody stands out', () => {
    const styleOf = (of: View, start: string): Line['style'] | undefined =>
      render({ view: of, stale: null, footer: '' }, 80, 40).find(({ text }) => text.startsWith(start))?.style
    assert.equal(styleOf(view, 'Dropped'), 'alarm')
    assert.equal(styleOf(viewOf(after, { ...after, at: 4000 }), 'Dropped'), 'plain')
    assert.equal(styleOf(view, 'Store'), 'plain')
    assert.equal(styleOf(viewOf(null, topAnswer({}, { store: { alarm: 'full' } })), 'Store'), 'alarm')
    const [first] = render({ view, stale: 'THE HUB IS GONE', footer: '' }, 80, 40)
    assert.deepEqual(first, { text: 'THE HUB IS GONE', style: 'alarm' })
  })
})

describe('a line of figures', () => {
  test('is key=value pairs, each key once, names in quotes where they need them', () => {
    const line = plainLine(view, new Date(0))
    assert.match(
      line,
      /^time=1970-01-01T00:00:00\.000Z version=1\.2\.3 uptime_s=90061 cpu_percent=50 rss_bytes=83886080 /,
    )
    assert.match(
      line,
      / messages_in=1000 messages_out=2000 bytes_in=1024 bytes_out=2097152 drops=11\.5 dropped_total=28 /,
    )
    assert.match(line, / store=ok /)
    assert.match(line, / topic=loud topic_messages=500 slowest="a\\u001b\[2J/)
    const keys = [...line.matchAll(/(?:^| )([a-z0-9_]+)=(?:"(?:[^"\\]|\\.)*"|[^ "]+)(?= |$)/g)]
    assert.equal(keys.map(([pair]) => pair).join(''), line, 'nothing but pairs')
    assert.equal(new Set(keys.map(([, key]) => key)).size, keys.length)
    assert.match(line, new RegExp(` slowest=(".*") slowest_queued=12345$`))
    assert.equal(JSON.parse(/ slowest=(".*") slowest_queued/.exec(line)?.[1] ?? ''), HOSTILE)
  })

  test('has a dash where nothing is known', () => {
    const line = plainLine(viewOf(null, topAnswer()), new Date(0))
    assert.match(line, / cpu_percent=- /)
    assert.match(line, / topic=- topic_messages=- slowest=- slowest_queued=-$/)
    const dash = viewOf(null, topAnswer({ topics: [{ topic: '-', messages: 1 }] }))
    assert.match(plainLine(dash, new Date(0)), / topic="-" /)
  })
})

test('figures are short', () => {
  assert.deepEqual([0, 7.34, 99.94, 99.95, 999, 999.94, 999.96, 12_345, 1e6, 2.5e9, 1e18].map(amount), [
    '0',
    '7.3',
    '99.9',
    '100',
    '999',
    '1k',
    '1k',
    '12.3k',
    '1M',
    '2.5G',
    '1000000T',
  ])
  assert.deepEqual([0, 1023, 1024, 1536, 5 * 1024 ** 3].map(bytes), ['0 B', '1023 B', '1 KiB', '1.5 KiB', '5 GiB'])
  assert.deepEqual([0, 1.25, 12.5, 1500, 61_000, 7_200_000].map(span), ['0 ms', '1.3 ms', '13 ms', '1.5 s', '1m', '2h'])
  assert.deepEqual([0, 59.9, 3661, 86_400 * 12 + 5].map(uptime), ['00:00:00', '00:00:59', '01:01:01', '12d 00:00:05'])
})
