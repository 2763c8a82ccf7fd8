import assert from 'node:assert/strict'
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Cleanup } from './raw-client.ts'

export const KIB = 1024
export const MIB = 1024 * KIB

/** What a hub says of itself. */
export interface HubFigures {
  readonly urls: readonly string[]
  readonly counters: Readonly<
    Record<'messagesReceived' | 'messagesSent' | 'droppedQos0' | 'droppedQueued' | 'droppedRetained', number>
  >
  readonly connections: number
  readonly connectedClients: number
  readonly sessions: number
  readonly retainedCount: number
  readonly retainedBytes: number
  readonly memory: { readonly heapUsed: number; readonly external: number; readonly arrayBuffers: number }
}

const ANONYMOUS = `anonymous: { permissions: [{ action: pub, permit: ['#'] }, { action: sub, permit: ['#'] }] }`

/** A hub in a process of its own, on one TCP port. */
export class HubProcess {
  readonly #child: ChildProcess
  readonly port: number

  private constructor(child: ChildProcess, port: number) {
    this.#child = child
    this.port = port
  }

  /** Starts a hub that everybody may use, with these lines of YAML on top; ended when the test is over. */
  static async start(t: Cleanup, ...yaml: string[]): Promise<HubProcess> {
    const dir = mkdtempSync(join(tmpdir(), 'openedge-bounds-'))
    const lines = ['listen: [tcp://127.0.0.1:0]', `storage: { dir: ${join(dir, 'data')} }`, ANONYMOUS, ...yaml]
    const child = fork(join(import.meta.dirname, 'hub-child.ts'), {
      execArgv: ['--import', 'tsx'],
      env: { ...process.env, HUB_YAML: lines.join('\n') },
    })
    t.after(async () => {
      const exited = once(child, 'exit')
      if (child.exitCode === null && child.signalCode === null) {
        child.kill('SIGKILL')
        await exited
      }
      rmSync(dir, { recursive: true, force: true })
    })
    const [first] = (await Promise.race([once(child, 'message'), once(child, 'exit')])) as unknown[]
    assert.equal(first, 'ready', 'the hub does not start')
    const { urls } = await ask(child)
    return new HubProcess(child, Number(new URL(urls[0] as string).port))
  }

  /** Collects garbage before, so ask only when that does not matter to what is measured. */
  figures(): Promise<HubFigures> {
    return ask(this.#child)
  }

  /** Resident memory now. */
  get rss(): number {
    return this.#status('VmRSS')
  }

  /** Most resident memory since the last resetPeak(). */
  get peak(): number {
    return this.#status('VmHWM')
  }

  resetPeak(): void {
    writeFileSync(`/proc/${this.#child.pid}/clear_refs`, '5')
  }

  /** Waits until the figures are as wanted. */
  async until(what: string, isSo: (figures: HubFigures) => boolean, timeoutMs = 10_000): Promise<HubFigures> {
    const deadline = performance.now() + timeoutMs
    for (;;) {
      const figures = await this.figures()
      if (isSo(figures)) return figures
      assert.ok(performance.now() < deadline, `${what} not within ${timeoutMs} ms: ${JSON.stringify(figures)}`)
      await sleep(20)
    }
  }

  /** A connection that is cut when the test is over; drops by the hub are no errors here. */
  async open(t: Cleanup): Promise<net.Socket> {
    const socket = net.connect({ host: '127.0.0.1', port: this.port })
    socket.on('error', () => {})
    t.after(() => {
      socket.destroy()
    })
    await once(socket, 'connect')
    return socket
  }

  #status(field: string): number {
    const match = new RegExp(`${field}:\\s+(\\d+) kB`).exec(readFileSync(`/proc/${this.#child.pid}/status`, 'latin1'))
    assert.ok(match !== null)
    return Number(match[1]) * KIB
  }
}

async function ask(child: ChildProcess): Promise<HubFigures> {
  assert.ok(child.connected, 'the hub has ended')
  const over = new AbortController()
  const { signal } = over
  try {
    const answer = Promise.race([once(child, 'message', { signal }), once(child, 'exit', { signal })])
    child.send('figures')
    const [figures] = (await answer) as unknown[]
    assert.ok(typeof figures === 'object' && figures !== null, 'the hub has ended')
    return figures as HubFigures
  } finally {
    over.abort()
  }
}

/**
 * Writes the chunk over and over as fast as the socket takes it, until the time is over or the hub has closed the
 * connection. Returns how many bytes were handed over.
 */
export async function flood(socket: net.Socket, chunk: Buffer, ms: number): Promise<number> {
  const end = performance.now() + ms
  let written = 0
  while (performance.now() < end && !socket.destroyed) {
    written += chunk.length
    if (socket.write(chunk)) await new Promise(resolve => setImmediate(resolve))
    else await writable(socket, Math.max(end - performance.now(), 1))
  }
  return written
}

async function writable(socket: net.Socket, ms: number): Promise<void> {
  await new Promise<void>(resolve => {
    const timer = setTimeout(done, ms)
    function done(): void {
      clearTimeout(timer)
      socket.off('drain', done)
      socket.off('close', done)
      resolve()
    }
    socket.on('drain', done)
    socket.on('close', done)
  })
}

export function mib(bytes: number): string {
  return `${(bytes / MIB).toFixed(1)} MiB`
}
