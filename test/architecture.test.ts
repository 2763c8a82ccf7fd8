/** The rules of the house that no compiler checks. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve, sep } from 'node:path'
import { suite, test } from 'node:test'

const ROOT = resolve(import.meta.dirname, '..')
const SRC = join(ROOT, 'src')
const MAX_LINES = 400

/** What each folder may import from besides itself. */
const LAYERS: Readonly<Record<string, readonly string[]>> = {
  common: [],
  config: ['common'],
  wire: ['common'],
  metrics: ['common'],
  control: ['common'],
  router: ['common', 'config'],
  auth: ['common', 'config', 'router'],
  certs: ['common'],
  broker: ['common', 'config', 'wire', 'router', 'auth', 'metrics', 'control'],
  bridge: ['common', 'config', 'wire', 'router', 'metrics', 'control'],
  cli: ['common', 'config', 'router', 'auth', 'metrics', 'control', 'broker', 'bridge', 'certs'],
}

/** Where each library may be imported, types included: a folder or a file of src. Every other library is a mistake. */
const OWNERS: Readonly<Record<string, string | readonly string[]>> = {
  aedes: 'broker/',
  'classic-level': 'broker/store/',
  mqtt: 'bridge/',
  'mqtt-packet': 'broker/',
  'prom-client': 'metrics/',
  ws: ['wire/websocket-stream.ts', 'broker/listeners/websocket.ts', 'bridge/transport/websocket.ts'],
  yaml: 'config/',
  valibot: 'config/',
  pino: 'cli/',
  'rotating-file-stream': 'cli/',
  '@peculiar/asn1-schema': 'certs/',
  '@peculiar/asn1-x509': 'certs/',
}

/** The face of the package: shows what embedders need, from wherever it is. */
const FACE = 'index.ts'

interface Import {
  readonly from: string
  readonly isType: boolean
}

interface Source {
  /** Relative to src, with slashes. */
  readonly path: string
  readonly text: string
  readonly imports: readonly Import[]
}

/** The text with comments blanked out, and strings left as they are. */
function withoutComments(text: string): string {
  return text.replace(
    /\/\*[\s\S]*?\*\/|(["'`])(?:\\.|(?!\1)[^\\])*\1|\/\/[^\n]*/g,
    (found: string, quote: string | undefined) => (quote === undefined ? ' ' : found),
  )
}

function importsOf(text: string): Import[] {
  const code = withoutComments(text)
  const statements = /^\s*(?:import|export)\s+(type\s)?(?:[^'";]*?\sfrom\s*)?['"]([^'"]+)['"]/gm
  const calls = /\bimport\(\s*['"]([^'"]+)['"]/g
  return [
    ...[...code.matchAll(statements)].map(([, type, from]) => ({ from: from as string, isType: type !== undefined })),
    ...[...code.matchAll(calls)].map(([, from]) => ({ from: from as string, isType: false })),
  ]
}

function sourcesOf(dir: string): Source[] {
  return readdirSync(dir, { recursive: true, encoding: 'utf8' })
    .filter(name => name.endsWith('.ts') && !name.endsWith('.d.ts'))
    .map(name => {
      const text = readFileSync(join(dir, name), 'utf8')
      return { path: name.split(sep).join('/'), text, imports: importsOf(text) }
    })
}

const folderOf = (path: string): string => path.slice(0, Math.max(path.indexOf('/'), 0))

/** The name of the package in an import of a library; null for our own files and for Node's. */
function libraryOf(from: string): string | null {
  if (from.startsWith('.') || from.startsWith('node:')) return null
  return from.split('/', from.startsWith('@') ? 2 : 1).join('/')
}

const targetOf = (source: Source, from: string): string =>
  relative(SRC, resolve(SRC, dirname(source.path), from))
    .split(sep)
    .join('/')

suite('architecture', () => {
  const sources = sourcesOf(SRC)

  test('the test sees the sources and what they import', () => {
    const text = `import a from 'a'\nimport type { B } from "b"\nimport {\n  c,\n} from './c.ts'\n// import d from 'd'
      export { e } from '../e/index.ts'\nimport 'f'\nconst g = await import('g')\nconst h = "// '" + 'import'\n/* import i from 'i' */`
    assert.deepEqual(importsOf(text), [
      { from: 'a', isType: false },
      { from: 'b', isType: true },
      { from: './c.ts', isType: false },
      { from: '../e/index.ts', isType: false },
      { from: 'f', isType: false },
      { from: 'g', isType: false },
    ])
    assert.ok(sources.length > 50)
    assert.ok(sources.some(({ imports }) => imports.some(({ from }) => from === 'ws')))
  })

  test('every folder has its layer', () => {
    const folders = new Set(sources.map(({ path }) => folderOf(path)))
    folders.delete('')
    assert.deepEqual(
      [...folders].filter(folder => LAYERS[folder] === undefined),
      [],
    )
    assert.deepEqual(
      sources.map(({ path }) => path).filter(path => !path.includes('/') && path !== FACE),
      [],
    )
  })

  test('imports go downwards, and into another folder through its index.ts', () => {
    const wrong: string[] = []
    for (const source of sources) {
      const own = folderOf(source.path)
      for (const { from } of source.imports) {
        if (!from.startsWith('.')) continue
        const target = targetOf(source, from)
        const folder = folderOf(target)
        if (target.startsWith('..')) wrong.push(`${source.path} leaves src: ${from}`)
        if (folder === own && own !== '') continue
        if (source.path !== FACE && !LAYERS[own]?.includes(folder))
          wrong.push(`${source.path} imports upwards: ${from}`)
        if (target !== `${folder}/index.ts`) wrong.push(`${source.path} passes by the index.ts: ${from}`)
      }
    }
    assert.deepEqual(wrong, [])
  })

  test('every library has one owner', () => {
    const wrong: string[] = []
    for (const source of sources) {
      for (const { from, isType } of source.imports) {
        const library = libraryOf(from)
        if (library === null || (source.path === FACE && library === 'aedes' && isType)) continue
        const owners = [OWNERS[library] ?? []].flat()
        const isOwner = owners.some(owner =>
          owner.endsWith('/') ? source.path.startsWith(owner) : source.path === owner,
        )
        if (!isOwner)
          wrong.push(`${source.path} imports ${library}, which belongs to ${owners.join(' and ') || 'nobody'}`)
      }
    }
    assert.deepEqual(wrong, [])
  })

  test('a library that nobody imports is no dependency, and one that is imported is', () => {
    const { dependencies } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
      dependencies: Record<string, string>
    }
    const used = sources.flatMap(({ imports }) => imports.map(({ from }) => libraryOf(from)))
    const imported = [...new Set(used.filter(library => library !== null))]
    assert.deepEqual(imported.sort(), Object.keys(dependencies).sort())
  })

  test('only the entry of the command line ends the process', () => {
    const others = sources.filter(({ path, text }) => {
      return path !== 'cli/main.ts' && /\bprocess\s*\.\s*(?:exit|abort|reallyExit)\b/.test(withoutComments(text))
    })
    assert.deepEqual(
      others.map(({ path }) => path),
      [],
    )
  })

  test('there is no default export anywhere, and no source file of more than 400 lines', () => {
    const all = [SRC, join(ROOT, 'test'), join(ROOT, 'bench'), join(ROOT, 'certs')].flatMap(dir =>
      sourcesOf(dir).map(source => ({ ...source, path: `${relative(ROOT, dir)}/${source.path}` })),
    )
    const wrong: string[] = []
    for (const { path, text } of all) {
      if (/^\s*export\s+default\b|^\s*export\s*\{[^}]*\bas\s+default\b/m.test(withoutComments(text)))
        wrong.push(`${path} has a default export`)
      const lines = text.split('\n').length - 1
      if (path.startsWith('src/') && lines > MAX_LINES) wrong.push(`${path} has ${lines} lines`)
    }
    assert.deepEqual(wrong, [])
  })
})
