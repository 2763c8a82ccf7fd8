// What the guides show is what people copy: every piece of configuration in them has to be a good one.
import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, test } from 'node:test'
import { ConfigError, formatProblem, parseBridgeConfig, parseHubConfig } from '../../../src/config/index.ts'

const root = join(import.meta.dirname, '../../..')
const pages = [
  'README.md',
  ...readdirSync(join(root, 'docs'))
    .filter(name => name.endsWith('.md'))
    .map(name => `docs/${name}`),
]

/** Every variable that a guide uses without a default has a value. */
function environmentOf(text: string): Record<string, string> {
  return Object.fromEntries([...text.matchAll(/\$\{(\w+)\}/g)].map(([, name = '']) => [name, 'value']))
}

interface Snippet {
  readonly place: string
  readonly text: string
}

/** The fenced blocks of one language. What a block is of is told by a comment in its first line; without it is the hub's. */
function snippets(page: string, language: string): Snippet[] {
  const lines = readFileSync(join(root, page), 'utf8').split('\n')
  const found: Snippet[] = []
  let start = -1
  for (const [i, line] of lines.entries()) {
    if (start < 0 && line === `\`\`\`${language}`) start = i + 1
    else if (start >= 0 && line === '```') {
      found.push({ place: `${page}:${start + 1}`, text: lines.slice(start, i).join('\n') })
      start = -1
    }
  }
  assert.equal(start, -1, `${page}: the block at line ${start} has no end`)
  return found
}

const OTHER_FILES = ['# prometheus.yml', '# deployment.yml', '# compose.yml']
const BRIDGE_FILE = '# bridge.yml'
const all = pages.flatMap(page => snippets(page, 'yaml'))
const ours = all.filter(({ text }) => !OTHER_FILES.some(file => text.startsWith(file)))

/** Rules are shown without the hub and the remote that they need. */
function completed(text: string): string {
  const missing: string[] = []
  if (/^rules:/m.test(text)) {
    if (!/^hub:/m.test(text)) missing.push('hub: { address: tcp://127.0.0.1:1883 }')
    if (!/^remotes:/m.test(text)) missing.push('remotes: [{ name: cloud, address: ssl://broker.example }]')
  }
  // Behind it, so that lines are counted as they stand in the guide.
  return [text, ...missing].join('\n')
}

function parse({ place, text }: Snippet): void {
  const options = { file: place, env: environmentOf(text), strict: true }
  if (text.startsWith(BRIDGE_FILE)) parseBridgeConfig(completed(text), options)
  else parseHubConfig(text, options)
}

describe('configuration in the guides', () => {
  test('there is some, and hardly any of other programs', () => {
    assert.ok(ours.length >= 15, `${ours.length} pieces`)
    assert.ok(all.length - ours.length <= OTHER_FILES.length, `${all.length - ours.length} of other programs`)
    const bridges = ours.filter(({ text }) => text.startsWith(BRIDGE_FILE))
    assert.ok(bridges.length >= 5, `${bridges.length} pieces of bridges`)
  })

  for (const snippet of ours) {
    test(`${snippet.place} is a good one`, () => {
      try {
        parse(snippet)
      } catch (error) {
        if (!(error instanceof ConfigError)) throw error
        assert.fail(error.problems.map(formatProblem).join('\n'))
      }
    })
  }
})

test('links between the guides lead somewhere', () => {
  const broken: string[] = []
  for (const page of [...pages, 'ARCHITECTURE.md', 'CONTRIBUTING.md', 'examples/README.md']) {
    const text = readFileSync(join(root, page), 'utf8')
    for (const [, target = ''] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^[a-z]+:/.test(target)) continue
      const [path = '', anchor] = target.split('#')
      const file = path === '' ? join(root, page) : join(root, dirname(page), path)
      if (!existsSync(file)) broken.push(`${page}: ${target}`)
      else if (anchor !== undefined && !anchorsOf(file).includes(anchor)) broken.push(`${page}: ${target}`)
    }
  }
  assert.deepEqual(broken, [])
})

/** What headings are called in links. */
function anchorsOf(file: string): string[] {
  return [...readFileSync(file, 'utf8').matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  )
}
