import assert from 'node:assert/strict'
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { stripVTControlCharacters } from 'node:util'
import { connectAsync } from 'mqtt'
import { makeWorkdir, openedge, type Program, startOpenedge } from './cli-process.ts'

const FILE = 'etc/openedge/service.yml'
const YAML = `
listen: [tcp://127.0.0.1:0]
anonymous: { permissions: [{ action: pub, permit: ['#'] }, { action: sub, permit: ['#'] }] }
subscriptions: [{ source: { topic: talk/+ }, target: { topic: 'copy/{1}' } }]
`
const PATIENCE_MS = 20_000
const MAIN = join(import.meta.dirname, '../../dist/cli/main.js')
const ENTER = '\u001b[?1049h\u001b[?25l\u001b[?7l'
const LEAVE = '\u001b[?7h\u001b[?25h\u001b[?1049l'

async function startHub(t: TestContext): Promise<{ dir: string; hub: Program; url: string }> {
  const dir = makeWorkdir(t, { [FILE]: YAML })
  const hub = startOpenedge(t, ['hub', '--memory'], dir)
  return { dir, hub, url: await hub.url('tcp') }
}

/** Publishes until the test is over. */
async function talk(t: TestContext, url: string, topic: string): Promise<void> {
  const client = await connectAsync(url, { clientId: 'talker', reconnectPeriod: 0 })
  const timer = setInterval(() => client.publish(topic, 'x'.repeat(100)), 10)
  client.on('error', () => {})
  t.after(() => {
    clearInterval(timer)
    client.end(true)
  })
}

function figures(line: string): Map<string, string> {
  return new Map(line.split(' ').map(pair => [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)]))
}

describe('openedge hub top without a terminal', () => {
  test('prints a line of figures each interval', async t => {
    const { dir, hub, url } = await startHub(t)
    await talk(t, url, 'talk/a')
    const top = startOpenedge(t, ['hub', 'top', '--interval', '200ms'], dir)
    const [lines] = await top.until(/^(?:.+\n){3}/)
    for (const line of lines.trimEnd().split('\n')) {
      const found = figures(line)
      assert.ok(Number(found.get('messages_in')) > 0, line)
      assert.ok(Number(found.get('bytes_in')) > 100, line)
      assert.ok(Number(found.get('forwards')) > 0, line)
      assert.equal(found.get('clients'), '1')
      assert.equal(found.get('rules'), '1')
      assert.equal(found.get('store'), 'memory')
      assert.match(String(found.get('topic')), /^(?:talk|copy)\/a$/)
    }
    await hub.stop()
    const { code, stderr } = await top.finished()
    assert.equal(code, 1)
    assert.match(stderr, /^openedge: (?:no hub runs|the hub at)/)
  })

  test('--once prints one and ends', async t => {
    const { dir, url } = await startHub(t)
    await talk(t, url, 'talk/a')
    const { code, stdout, stderr } = await openedge(['hub', 'top', '--once', '--interval', '300ms'], { cwd: dir })
    assert.deepEqual({ code, stderr }, { code: 0, stderr: '' })
    assert.equal(stdout.split('\n').length, 2)
    assert.ok(Number(figures(stdout).get('messages_in')) > 0, stdout)
  })

  test('ends in good order when told to, and when nobody reads', async t => {
    const { dir } = await startHub(t)
    const args = ['hub', 'top', '--interval', '100ms']
    const told = startOpenedge(t, args, dir)
    await told.until(/\n/)
    assert.equal((await told.stop()).code, 0)
    const unread = startOpenedge(t, args, dir)
    await unread.until(/\n/)
    unread.child.stdout?.destroy()
    assert.equal((await unread.finished()).code, 0)
  })

  test('no hub: why, and exit code 1', async t => {
    const { code, stdout, stderr } = await openedge(['hub', 'top'], { cwd: makeWorkdir(t, { [FILE]: YAML }) })
    assert.deepEqual({ code, stdout }, { code: 1, stdout: '' })
    assert.match(stderr, /^openedge: no hub runs with the configuration .+\nStart it: /)
  })
})

function hasScript(): false | string {
  const isThere = spawnSync('script', ['--version']).error === undefined
  return isThere || process.env['CI'] === 'true' ? false : 'script(1) is not installed'
}

const PROGRAM = `"${process.execPath}" "${MAIN}"`

/** Runs the program and tells when it has ended, with which exit code, and what the terminal is like. */
function run(...args: string[]): string {
  return `${PROGRAM} ${args.join(' ')}; echo "code=$?"; stty -a`
}

/** The program on a terminal of 90 columns and 30 rows. */
class Terminal {
  readonly child: ChildProcess
  output = ''
  #wake: () => void = () => {}
  readonly #ended: Promise<unknown>

  /** `commands`: what a shell does there. */
  constructor(t: TestContext, dir: string, commands: string) {
    const all = `stty cols 90 rows 30; ${commands}`
    this.child = spawn('script', ['-qec', all, '/dev/null'], { cwd: dir, env: { ...process.env, TERM: 'xterm' } })
    this.#ended = once(this.child, 'close')
    this.child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.output += text
      this.#wake()
    })
    t.after(() => this.child.kill('SIGKILL'))
  }

  type(keys: string): void {
    this.child.stdin?.write(keys)
  }

  /** The last whole picture, as lines. */
  get picture(): string[] {
    const [, ...pictures] = this.output.split('\u001b[H')
    const whole = pictures.filter(text => text.includes('\u001b[J')).at(-1) ?? ''
    return stripVTControlCharacters(whole.slice(0, whole.indexOf('\u001b[J'))).split(/\r+\n/)
  }

  async until(what: string, isSo: (terminal: Terminal) => boolean): Promise<void> {
    const deadline = Date.now() + PATIENCE_MS
    while (!isSo(this)) {
      assert.ok(Date.now() < deadline, `not within ${PATIENCE_MS} ms: ${what}\n${JSON.stringify(this.output)}`)
      await new Promise<void>(resolve => {
        const timer = setTimeout(resolve, 500)
        this.#wake = () => {
          clearTimeout(timer)
          resolve()
        }
      })
    }
  }

  untilLine(pattern: RegExp): Promise<void> {
    return this.until(`a line like ${pattern}`, ({ picture }) => picture.some(line => pattern.test(line)))
  }

  /** The terminal is as it was before, and the program has ended with this exit code. */
  async assertLeft(code: number): Promise<void> {
    await this.#ended
    assert.match(this.output, new RegExp(`code=${code}\\r\\n`))
    assert.equal(this.output.split(ENTER).length, 2, 'entered once')
    assert.equal(this.output.split(LEAVE).length, 2, 'left once')
    assert.ok(this.output.indexOf(LEAVE) > this.output.lastIndexOf('\u001b[J'), 'nothing is drawn afterwards')
    assert.match(this.output, / icanon .*\n?.* echo /, 'the keys are echoed again')
  }
}

/** The program that runs on the terminal of `script`: a grandchild of it. */
function programOf(script: number | undefined): number {
  const { stdout } = spawnSync('ps', ['-e', '-o', 'pid=,ppid=,args='], { encoding: 'utf8' })
  const processes = stdout.split('\n').map(line => /^ *(\d+) +(\d+) (.*)$/.exec(line) ?? [])
  const below = (pid: number): number | undefined => {
    const children = processes.filter(([, , parent]) => Number(parent) === pid)
    const found = children.find(([, , , args]) => args?.startsWith(process.execPath))
    if (found !== undefined) return Number(found[1])
    return children.map(([, child]) => below(Number(child))).find(each => each !== undefined)
  }
  const program = below(Number(script))
  assert.ok(program !== undefined, 'the program runs')
  return program
}

describe('openedge hub top on a terminal', { skip: hasScript() }, () => {
  test('draws what the hub does until q is typed', async t => {
    const { dir, url } = await startHub(t)
    await talk(t, url, 'talk/温度\u001b[2Jx')
    const terminal = new Terminal(t, dir, run('hub', 'top', '--interval', '200ms'))
    await terminal.untilLine(/^talk\/温度\\u001b\[2Jx +[1-9][\d.]* +\d+$/)
    await terminal.untilLine(/^talk\/\+ -> copy\/\{1\} +[1-9][\d.]* +\d+ +0/)
    await terminal.untilLine(/^talker +tcp 127\.0\.0\.1 +[1-9][\d.]* /)
    await terminal.untilLine(/^OpenEdge .* cpu \d+% .* lag .* \(max /)
    assert.ok(terminal.picture.length <= 30, terminal.picture.join('\n'))
    assert.equal(terminal.picture.at(-1), 'q ends this; rates are messages a second')
    assert.ok(!terminal.output.includes('\u001b[2J'), 'the topic does not clear the screen')
    terminal.type('q')
    await terminal.assertLeft(0)
  })

  test('gives the terminal back after Ctrl+C, SIGTERM and SIGQUIT', async t => {
    const { dir } = await startHub(t)
    const typed = new Terminal(t, dir, run('hub', 'top'))
    await typed.untilLine(/^OpenEdge /)
    typed.type('\u0003')
    await typed.assertLeft(0)
    const told = new Terminal(t, dir, run('hub', 'top'))
    await told.untilLine(/^OpenEdge /)
    process.kill(programOf(told.child.pid), 'SIGTERM')
    await told.assertLeft(0)
    const asked = new Terminal(t, dir, run('hub', 'top'))
    await asked.untilLine(/^OpenEdge /)
    process.kill(programOf(asked.child.pid), 'SIGQUIT')
    await asked.assertLeft(0)
  })

  test('gives the terminal back while it is stopped', async t => {
    const { dir } = await startHub(t)
    // A shell that looks after its jobs: it goes on when this one is stopped, and has it go on after that.
    const jobs = `set -m; ${PROGRAM} hub top -i 200ms; echo "stopped=$?"; stty -a; echo shown; read -r line; fg; echo "code=$?"`
    for (const how of ['key', 'signal']) {
      const terminal = new Terminal(t, dir, jobs)
      await terminal.untilLine(/^OpenEdge /)
      if (how === 'key') terminal.type('\u001a')
      else process.kill(programOf(terminal.child.pid), 'SIGTSTP')
      await terminal.until('it stops', ({ output }) => output.includes('shown\r\n'))
      const [before = '', stopped = ''] = terminal.output.split('stopped=')
      assert.ok(before.lastIndexOf(LEAVE) > before.lastIndexOf('\u001b[J'), `${how}: the screen is left`)
      assert.match(stopped, / icanon .*\n?.* echo /, 'the keys are echoed')
      terminal.type('\n')
      await terminal.until('it goes on', ({ output }) => output.split(ENTER).length === 3)
      await terminal.until('it draws', ({ output }) => output.split(ENTER)[2]?.includes('\u001b[J') === true)
      terminal.type('q')
      await terminal.until('its end', ({ output }) => output.includes('code=0\r\n'))
      assert.equal(terminal.output.split(LEAVE).length, 3, `${how}: left twice`)
    }
  })

  test('goes on at once when nobody could have it go on', async t => {
    const { dir } = await startHub(t)
    const terminal = new Terminal(t, dir, run('hub', 'top'))
    await terminal.untilLine(/^OpenEdge /)
    terminal.type('\u001a')
    await terminal.until('it is there again', ({ output }) => output.split(ENTER).length === 3)
    terminal.type('q')
    await terminal.until('its end', ({ output }) => output.includes('code=0\r\n'))
  })

  test('waits for a hub that has gone away', async t => {
    const { dir, hub } = await startHub(t)
    const terminal = new Terminal(t, dir, run('hub', 'top', '--interval', '200ms'))
    await terminal.untilLine(/^OpenEdge /)
    await hub.stop()
    await terminal.untilLine(/^THE HUB IS GONE, waiting for it to come back: /)
    const again = startOpenedge(t, ['hub', '--memory'], dir)
    await again.url('tcp')
    await terminal.until('the new hub', ({ picture }) => picture[0]?.includes(`pid ${again.child.pid} `) === true)
    terminal.type('q')
    await terminal.assertLeft(0)
  })

  test('no hub at all: nothing is drawn', async t => {
    const terminal = new Terminal(t, makeWorkdir(t, { [FILE]: YAML }), run('hub', 'top'))
    await terminal.until('its end', ({ output }) => output.includes('code=1'))
    assert.ok(!terminal.output.includes('\u001b['), 'the terminal is left alone')
    assert.match(terminal.output, /no hub runs with the configuration/)
  })

  test('--once prints the picture and leaves it there', async t => {
    const { dir, url } = await startHub(t)
    await talk(t, url, 'talk/a')
    const terminal = new Terminal(t, dir, run('hub', 'top', '--once', '-i', '200ms'))
    await terminal.until('its end', ({ output }) => output.includes('code=0'))
    assert.match(terminal.output, /^talk\/a +[1-9][\d.]* +\d+\r$/m)
    assert.ok(!terminal.output.includes('\u001b['), 'plain text')
  })
})
