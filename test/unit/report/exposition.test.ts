import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { parseExposition, valueOf } from '../../support/exposition.ts'

const COUNTER = '# HELP a_total What.\n# TYPE a_total counter\n'
const HISTOGRAM = '# HELP x_seconds What.\n# TYPE x_seconds histogram\n'

suite('the reader of expositions', () => {
  test('reads names, labels with escapes, and values', () => {
    const families = parseExposition(
      `${COUNTER}a_total{x="1\\"\\\\\\n,}",y=""} 2.5e3\na_total 7 1700000000000\n\n# a word\n# HELP e What.\n# TYPE e gauge\ne -Inf\n`,
    )
    assert.equal(valueOf(families, 'a_total', { y: '', x: '1"\\\n,}' }), 2500)
    assert.equal(valueOf(families, 'a_total'), 7)
    assert.equal(valueOf(families, 'e'), Number.NEGATIVE_INFINITY)
    assert.throws(() => valueOf(families, 'a_total', { x: '1' }), /0 samples/)
  })

  const wrong: readonly [what: string, text: string, why: RegExp][] = [
    ['a last line without an end', `${COUNTER}a_total 1`, /does not end/],
    ['a sample without TYPE', 'a_total 1\n', /before its TYPE/],
    ['a figure without HELP', '# TYPE a_total counter\na_total 1\n', /no HELP/],
    ['TYPE twice', `${COUNTER}# TYPE a_total counter\n`, /second time/],
    ['HELP twice', `${COUNTER}# HELP a_total Again.\n`, /second time/],
    ['TYPE behind a sample', '# HELP a What.\na 1\n# TYPE a gauge\n', /before its TYPE/],
    ['HELP behind a sample', `# TYPE a gauge\na 1\n# HELP a What.\n`, /behind the samples/],
    [
      'figures that are mixed',
      `${COUNTER}a_total 1\n# HELP e What.\n# TYPE e gauge\ne 1\na_total{x="1"} 1\n`,
      /together/,
    ],
    ['a sample twice', `${COUNTER}a_total{x="1",y="2"} 1\na_total{y="2",x="1"} 2\n`, /second time/],
    ['a label twice', `${COUNTER}a_total{x="1",x="2"} 1\n`, /twice/],
    ['a label with a bad name', `${COUNTER}a_total{1x="1"} 1\n`, /no name of a label/],
    ['a label without quotes', `${COUNTER}a_total{x=1} 1\n`, /no label/],
    ['a quote that is not escaped', `${COUNTER}a_total{x="1"2"} 1\n`, /no label/],
    ['an escape that is none', `${COUNTER}a_total{x="\\t"} 1\n`, /no label/],
    ['no value', `${COUNTER}a_total x\n`, /no value/],
    ['a bad name', '# HELP a-b What.\n# TYPE a-b gauge\na-b 1\n', /no name/],
    ['a counter without _total', '# HELP a What.\n# TYPE a counter\na 1\n', /is a counter/],
    ['a gauge with _total', '# HELP a_total What.\n# TYPE a_total gauge\na_total 1\n', /is a gauge/],
    ['a negative counter', `${COUNTER}a_total -1\n`, /below nothing/],
    ['milliseconds', '# HELP a_milliseconds W.\n# TYPE a_milliseconds gauge\na_milliseconds 1\n', /base unit/],
    ['a type in the name', '# HELP a_gauge What.\n# TYPE a_gauge gauge\na_gauge 1\n', /what type/],
    ['a bound on a gauge', '# HELP a What.\n# TYPE a gauge\na{le="1"} 1\n', /no histogram/],
    ['a histogram with a bare sample', `${HISTOGRAM}x_seconds 1\n`, /no part/],
    [
      'buckets that are not cumulative',
      `${HISTOGRAM}x_seconds_bucket{le="1"} 3\nx_seconds_bucket{le="+Inf"} 2\nx_seconds_sum 1\nx_seconds_count 2\n`,
      /cumulative/,
    ],
    [
      'bounds that do not rise',
      `${HISTOGRAM}x_seconds_bucket{le="2"} 1\nx_seconds_bucket{le="1"} 1\nx_seconds_bucket{le="+Inf"} 1\nx_seconds_sum 1\nx_seconds_count 1\n`,
      /do not rise/,
    ],
    [
      'a count that differs',
      `${HISTOGRAM}x_seconds_bucket{le="1"} 1\nx_seconds_bucket{le="+Inf"} 2\nx_seconds_sum 1\nx_seconds_count 3\n`,
      /does not have all/,
    ],
    [
      'no bucket without end',
      `${HISTOGRAM}x_seconds_bucket{le="1"} 1\nx_seconds_sum 1\nx_seconds_count 1\n`,
      /without end/,
    ],
    ['no sum', `${HISTOGRAM}x_seconds_bucket{le="+Inf"} 1\nx_seconds_count 1\n`, /0 sums/],
  ]
  for (const [what, text, why] of wrong)
    test(`complains about ${what}`, () => {
      assert.throws(() => parseExposition(text), why)
    })
})
