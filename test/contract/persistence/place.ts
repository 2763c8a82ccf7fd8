// Where a hub runs: in this process, or in one of its own that can be killed.
import assert from 'node:assert/strict'
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { embedHub } from '../../support/embedded-hub.ts'
import { openRawClient, type RawClient } from '../../support/raw-client.ts'
import type { Adapter, State } from './adapters.ts'

export interface Place {
  /** Opens a connection and sends nothing. Whoever asks ends it. */
  open(): Promise<RawClient>
  /** Stops the hub as an operator does, and gives its state back. */
  close(): Promise<void>
  /** Ends the hub without a word. What its process alone knew is lost. */
  die(): Promise<void>
}

type Step = () => void | Promise<void>

/** A hub in this process, reached by streams. It cannot die: left alone it goes on, and is closed with `whenOver`. */
export async function besideTheTest(state: State, whenOver: (step: Step) => void): Promise<Place> {
  const opened = await state.open()
  const steps: Step[] = []
  const { hub, openStream } = await embedHub({ after: step => void steps.push(step) }, opened.options)
  const close = async (): Promise<void> => {
    await hub.closeGently()
    for (const step of steps.splice(0)) await step()
    await opened.release()
  }
  return { open: async () => openStream(), close, die: async () => whenOver(close) }
}

/** A hub in a process of its own, reached by TCP. */
export async function inItsOwnProcess(adapter: Adapter, dir: string): Promise<Place> {
  const child = fork(join(import.meta.dirname, 'hub-child.ts'), [adapter.name, dir], {
    execArgv: ['--import', 'tsx'],
  })
  const exited = once(child, 'exit')
  const [port] = (await Promise.race([once(child, 'message'), exited])) as unknown[]
  assert.ok(typeof port === 'number' && child.connected, 'the hub does not start')
  return {
    open: () => openRawClient({ after: () => {} }, { transport: 'tcp', host: '127.0.0.1', port }),
    async close() {
      if (child.connected) child.disconnect()
      await exited
    },
    async die() {
      child.kill('SIGKILL')
      await exited
    },
  }
}
