import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { type Finished, makeWorkdir, openedge } from './cli-process.ts'

const GOOD = `
listen: [tcp://127.0.0.1:0]
principals:
  - username: alice
    password: secret
    permissions:
      - { action: pub, permit: ['#'] }
`

function assertFails(finished: Finished, code: number, ...lines: string[]): void {
  assert.deepEqual(finished, { code, stdout: '', stderr: lines.map(line => `${line}\n`).join('') })
}

describe('help and usage', () => {
  test('--help lists every command, and each has a help of its own', async () => {
    const { code, stdout, stderr } = await openedge(['--help'])
    assert.equal(code, 0)
    assert.equal(stderr, '')
    for (const name of ['hub', 'bridge', 'check', 'passwd', 'certs', 'store', 'version']) {
      assert.match(stdout, new RegExp(`^  ${name} +\\S`, 'm'))
      const help = await openedge([name, '--help'])
      assert.equal(help.code, 0)
      assert.match(help.stdout, new RegExp(`^Usage: openedge ${name}`))
      assert.match(help.stdout, /^ {2}-h, --help +show this help$/m)
      assert.deepEqual(await openedge(['help', name]), help)
    }
  })

  test('no command is a usage error that shows the help', async () => {
    const { code, stdout, stderr } = await openedge([])
    assert.equal(code, 2)
    assert.equal(stdout, '')
    assert.match(stderr, /^Usage: openedge COMMAND/m)
  })

  test('version', async () => {
    const { code, stdout } = await openedge(['version'])
    assert.equal(code, 0)
    assert.match(stdout, /^openedge \d+\.\d+\.\d+ \(Node\.js v\d+.*\)\n$/)
    assert.equal((await openedge(['--version'])).stdout, stdout)
  })

  test('an unknown command names the nearest', async () => {
    assertFails(
      await openedge(['chekc']),
      2,
      'openedge: unknown command "chekc"; did you mean check?',
      'See: openedge --help',
    )
  })

  test('an unknown option names the nearest, a missing value says what is missing', async () => {
    const see = 'See: openedge hub --help'
    const run = (...args: string[]): Promise<Finished> => openedge(['hub', ...args])
    assertFails(await run('--cofnig', 'x'), 2, 'openedge: unknown option --cofnig; did you mean --config?', see)
    assertFails(await run('-c'), 2, 'openedge: option -c needs a value: FILE', see)
    assertFails(await run('--config', '-w', '.'), 2, 'openedge: option --config needs a value: FILE', see)
    assertFails(await run('--help=no'), 2, 'openedge: option --help takes no value', see)
    assertFails(
      await run('service.yml'),
      2,
      'openedge: hub takes no argument service.yml; a configuration is given with -c',
      see,
    )
  })
})

describe('check', () => {
  test('a good file', async t => {
    const cwd = makeWorkdir(t, { 'service.yml': GOOD })
    const finished = await openedge(['check', 'service.yml'], { cwd })
    assert.deepEqual(finished, { code: 0, stdout: 'service.yml: ok\n', stderr: '' })
  })

  test('every problem is one line, unknown keys are errors, other files are checked too', async t => {
    const bad = 'listen: [tcp://127.0.0.1]\nlissten: 1\nlimits:\n  connections: many\n'
    const cwd = makeWorkdir(t, { 'bad.yml': bad, 'good.yml': GOOD })
    const { code, stdout, stderr } = await openedge(['check', 'bad.yml', 'absent.yml', 'good.yml'], { cwd })
    assert.equal(code, 2)
    assert.equal(stdout, 'good.yml: ok\n')
    const lines = stderr.trimEnd().split('\n')
    assert.match(lines[0] ?? '', /^bad\.yml:1:10: listen\[0\]: has no port/)
    assert.match(lines[1] ?? '', /^bad\.yml:2:1: lissten: .*did you mean listen\?$/)
    assert.match(lines[2] ?? '', /^bad\.yml:4:16: limits\.connections: /)
    assert.ok(lines.includes('absent.yml: does not exist'))
  })

  test('a password hash that is none', async t => {
    const cwd = makeWorkdir(t, { 'service.yml': GOOD.replace('secret', '$scrypt$nonsense') })
    const { code, stderr } = await openedge(['check', 'service.yml'], { cwd })
    assert.equal(code, 2)
    assert.match(stderr, /^service\.yml: principals: .*alice.*openedge passwd$/m)
    assert.doesNotMatch(stderr, /nonsense/)
  })

  test('certificates are an error only where the hub would look for them', async t => {
    const yaml = `${GOOD}certificate: { cert: server.pem, key: server.key }\n`
    const cwd = makeWorkdir(t, { 'service.yml': yaml })
    const elsewhere = await openedge(['check', 'service.yml'], { cwd })
    assert.equal(elsewhere.code, 0)
    assert.match(elsewhere.stderr, /^server\.pem: warning: certificate\.cert: does not exist$/m)
    const here = await openedge(['check', '-w', '.', 'service.yml'], { cwd })
    assert.equal(here.code, 2)
    assert.match(here.stderr, /^server\.pem: certificate\.cert: does not exist$/m)
  })
})

describe('passwd', () => {
  const HASH = String.raw`\$scrypt\$ln=14,r=8,p=1\$[\w+/]{22}\$[\w+/]{43}`

  test('reads standard input, prints a hash, another one each time', async () => {
    const first = await openedge(['passwd'], { input: 'secret\n' })
    assert.equal(first.code, 0)
    assert.match(first.stdout, new RegExp(`^${HASH}\n$`))
    assert.notEqual((await openedge(['passwd', '--stdin'], { input: 'secret\n' })).stdout, first.stdout)
  })

  test('with USER prints a principal', async () => {
    const { stdout } = await openedge(['passwd', 'alice'], { input: 'secret' })
    assert.match(stdout, new RegExp(`^  - username: 'alice'\n    password: '${HASH}'\n    permissions:\n`))
  })

  test('refuses what can be no password', async () => {
    const see = 'See: openedge passwd --help'
    const run = (input: string, ...args: string[]): Promise<Finished> => openedge(['passwd', ...args], { input })
    assertFails(await run(''), 2, 'openedge: the password is empty', see)
    assertFails(await run('a\nb\n'), 2, 'openedge: the password has more than one line', see)
    assertFails(
      await run('x'.repeat(70_000)),
      2,
      'openedge: the password is longer than the 65535 bytes that MQTT allows',
      see,
    )
    assertFails(await run('x', 'a', 'b'), 2, 'openedge: passwd takes one USER, not also b', see)
  })

  test('asks twice on a terminal and does not show what is typed', { skip: hasScript() }, async t => {
    const cwd = makeWorkdir(t)
    const main = join(import.meta.dirname, '../../dist/cli/main.js')
    const { stdout, status } = spawnSync('script', ['-qec', `"${process.execPath}" "${main}" passwd`, '/dev/null'], {
      cwd,
      input: 'hidden\rhidden\r',
      encoding: 'utf8',
      timeout: 20_000,
    })
    assert.equal(status, 0)
    assert.match(stdout, new RegExp(`Password: [^]*Once more: [^]*${HASH}`))
    // The terminal itself echoes what comes before the program switches that off.
    assert.doesNotMatch(stdout.slice(stdout.indexOf('Once more: ')), /hidden/)
  })
})

function hasScript(): false | string {
  const isThere = spawnSync('script', ['--version']).error === undefined
  return isThere || process.env['CI'] === 'true' ? false : 'script(1) is not installed'
}

describe('certs', () => {
  test('an authority, a server and clients; the authority is used again', async t => {
    const cwd = makeWorkdir(t)
    const made = await openedge(
      ['certs', '--dir', 'tls', '--server', 'edge1.lan,10.0.0.1', '--client', 'a', '--client', 'b'],
      { cwd },
    )
    assert.equal(made.code, 0)
    const names = ['ca', 'server', 'a', 'b'].flatMap(name => [`tls/${name}.pem`, `tls/${name}.key`])
    assert.deepEqual(made.stdout.trimEnd().split('\n'), names)
    assert.match(made.stderr, /^ {2}cert: tls\/server\.pem$/m)
    assert.equal(statSync(join(cwd, 'tls/a.key')).mode & 0o777, 0o600)
    const more = await openedge(['certs', '--dir', 'tls', '--client', 'c'], { cwd })
    assert.deepEqual(more, { code: 0, stdout: 'tls/c.pem\ntls/c.key\n', stderr: '' })
  })

  test('nothing is replaced without --force', async t => {
    const cwd = makeWorkdir(t)
    assert.equal((await openedge(['certs'], { cwd })).code, 0)
    const again = await openedge(['certs'], { cwd })
    assert.equal(again.code, 2)
    assert.match(again.stderr, /^openedge: var\/db\/openedge\/cert already has server\.pem, server\.key; /)
    assert.equal((await openedge(['certs', '--force'], { cwd })).code, 0)
  })

  test('wrong requests', async t => {
    const cwd = makeWorkdir(t)
    for (const args of [['--days', 'soon'], ['--days', '0'], ['--client', '../x'], ['--server', ''], ['stray']]) {
      const { code, stdout, stderr } = await openedge(['certs', ...args], { cwd })
      assert.deepEqual({ args, code, stdout }, { args, code: 2, stdout: '' })
      assert.match(stderr, /^openedge: .+\n/)
    }
    assert.equal(existsSync(join(cwd, 'var')), false)
  })
})

describe('hub refuses to start', () => {
  test('with a configuration that is wrong, is not there, or names certificates that are not there', async t => {
    const cwd = makeWorkdir(t, {
      'wrong.yml': 'listen: [tcp://127.0.0.1:0]\nmessage: { length: { max: lots } }\n',
      'tls.yml': 'listen: [ssl://127.0.0.1:0]\ncertificate: { cert: no.pem, key: no.key }\n',
    })
    const wrong = await openedge(['hub', '-c', 'wrong.yml'], { cwd })
    assert.equal(wrong.code, 2)
    assert.equal(wrong.stdout, '')
    assert.match(wrong.stderr, /^wrong\.yml:2:27: message\.length\.max: .+$/m)
    assertFails(await openedge(['hub', '-c', 'absent.yml'], { cwd }), 2, 'absent.yml: does not exist')
    const tls = await openedge(['hub', '-c', 'tls.yml'], { cwd })
    assert.equal(tls.code, 2)
    assert.match(tls.stderr, /^no\.pem: certificate\.cert: does not exist\nno\.key: certificate\.key: does not exist\n/)
    const workdir = await openedge(['hub', '-w', 'absent'], { cwd })
    assert.equal(workdir.code, 2)
    assert.match(workdir.stderr, /^openedge: the work directory .*absent does not exist\n/)
  })

  test('with a key that belongs to another certificate, or may not be read', async t => {
    const cwd = makeWorkdir(t, {
      'service.yml': `${GOOD}certificate: { cert: server.pem, key: other.key }\n`,
    })
    assert.equal(
      (await openedge(['certs', '--dir', '.', '--server', 'localhost', '--client', 'other'], { cwd })).code,
      0,
    )
    const mismatch = await openedge(['hub', '-c', 'service.yml'], { cwd })
    assert.equal(mismatch.code, 2)
    assert.match(mismatch.stderr, /^other\.key: certificate\.key: is not the key of server\.pem$/m)
    chmodSync(join(cwd, 'other.key'), 0o600)
    writeFileSync(join(cwd, 'other.key'), 'no key at all')
    const broken = await openedge(['hub', '-c', 'service.yml'], { cwd })
    assert.match(broken.stderr, /^other\.key: certificate\.key: has no private key in PEM format$/m)
    mkdirSync(join(cwd, 'folder.key'))
    writeFileSync(join(cwd, 'service.yml'), `${GOOD}certificate: { cert: server.pem, key: folder.key }\n`)
    const folder = await openedge(['hub', '-c', 'service.yml'], { cwd })
    assert.equal(folder.code, 2)
    assert.match(folder.stderr, /^folder\.key: certificate\.key: is a folder$/m)
  })
})
