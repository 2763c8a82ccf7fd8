import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PermitTree } from '../../../src/auth/index.ts'

/** permits; topics allowed; topics denied; filters allowed; filters denied */
const table: [string[], string[], string[], string[], string[]][] = [
  [[], [], ['a', '$SYS/x', ''], [], ['a', '#', '+']],
  [
    ['#'],
    ['a', 'a/b/c', '/', 'a/', '/$x'],
    ['$SYS', '$SYS/a'],
    ['#', '+', '+/+/#', 'a/#', '/#'],
    ['$SYS/#', '$SYS/+', '$'],
  ],
  [
    ['a/#'],
    ['a', 'a/', 'a/b', 'a/b/c', 'a//'],
    ['b', 'aa', 'A', '/a'],
    ['a', 'a/+', 'a/#', 'a/+/b', 'a/+/#'],
    ['#', '+', '+/b', '+/#', 'b/#'],
  ],
  [
    ['test/+'],
    ['test/', 'test/x'],
    ['test', 'test/x/y', 'tes/x'],
    ['test/+', 'test/x', 'test/'],
    ['test/#', 'test/+/#', 'test', '+/x', '#'],
  ],
  [['a/+'], ['a/b'], [], ['a/+'], ['a/#']],
  [['+'], ['a', ''], ['a/b', '/', '$a'], ['+', 'a'], ['#', '+/+', '$a', 'a/#']],
  [['a/b'], ['a/b'], ['a', 'a/b/', 'a/b/c', 'a/c'], ['a/b'], ['a/+', '+/b', 'a/#', 'a/b/#', '#']],
  [['a/b', 'a/c'], ['a/b', 'a/c'], ['a/d'], ['a/b', 'a/c'], ['a/+']],
  [['+/b'], ['a/b', '/b'], ['b', 'a/c', '$a/b'], ['+/b', 'a/b'], ['+/+', '+/#', 'a/+', '$a/b']],
  [['+/#'], ['a', 'a/b', '/'], ['$SYS/a'], ['a/#', '+/#', '+', '+/+'], ['#', '$SYS/#']],
  [
    ['a/+/c', 'a/b/d', 'a/b/+/e'],
    ['a/b/c', 'a/x/c', 'a/b/d', 'a/b/x/e'],
    ['a/x/d', 'a/b', 'a/b/x'],
    ['a/+/c', 'a/b/+/e'],
    ['a/+/d', 'a/b/+'],
  ],
  [['$SYS/#'], ['$SYS', '$SYS/a'], ['a', '$sys'], ['$SYS/#', '$SYS/+/a', '$SYS'], ['#', '+/a']],
  [['/#'], ['/', '/a', '/a/b'], ['a', 'a/b'], ['/+', '/#'], ['#', '+/a', '+']],
  [
    ['中文/+', '__proto__/constructor'],
    ['中文/x', '__proto__/constructor'],
    ['constructor', '__proto__', 'toString'],
    ['中文/+'],
    ['__proto__/+'],
  ],
]

for (const [permits, topics, deniedTopics, filters, deniedFilters] of table) {
  test(`permits [${permits.join(', ')}] cover what they name and no more`, () => {
    const tree = PermitTree.compile(permits)
    for (const topic of topics) assert.equal(tree.allowsTopic(topic), true, `topic ${topic}`)
    for (const topic of deniedTopics) assert.equal(tree.allowsTopic(topic), false, `topic ${topic}`)
    for (const filter of filters) assert.equal(tree.allowsFilter(filter), true, `filter ${filter}`)
    for (const filter of deniedFilters) assert.equal(tree.allowsFilter(filter), false, `filter ${filter}`)
  })
}

test('a permit that is not a topic filter is refused', () => {
  for (const permit of ['', 'a/#/b', 'a+', 'a/b#', 'a\0b']) {
    assert.throws(() => PermitTree.compile(['a', permit]), { code: 'ERR_AUTH_BAD_PERMIT' }, permit)
  }
})

test('the work for a hostile topic is bounded by the permits, not by the ways to match it', () => {
  const levels = 14
  // Every combination of `a` and `+` in fourteen levels: 2^14 permits that all match a/a/a/...
  const permits = Array.from({ length: 2 ** levels }, (_, bits) =>
    Array.from({ length: levels }, (_, i) => ((bits >> i) & 1 ? 'a' : '+')).join('/'),
  )
  const tree = PermitTree.compile(permits)
  const asked = Array<string>(levels).fill('a').join('/')
  const started = performance.now()
  assert.equal(tree.allowsTopic(asked), true)
  assert.equal(tree.allowsTopic(`${asked}/b`), false)
  assert.equal(PermitTree.compile(['+/+/#', 'a/b']).allowsTopic('a/'.repeat(30_000)), true)
  assert.equal(PermitTree.compile(['a/b', 'a/+/c']).allowsTopic('a/'.repeat(30_000)), false)
  assert.ok(performance.now() - started < 5000)
})
