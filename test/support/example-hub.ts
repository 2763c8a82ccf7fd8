/** The hubs of the folders in examples, run as they are: only ports and folders are others. */
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { HubService } from '../../src/broker/index.ts'
import { type HubConfig, parseHubConfig } from '../../src/config/index.ts'
import { openRawClient, type RawClient } from './raw-client.ts'
import { linesOf } from './rules.ts'

const examples = join(import.meta.dirname, '../../examples')

/** The variables that the examples need. */
export const EXAMPLE_ENV = {
  MACHINE_PASSWORD: 'm',
  UPLINK_PASSWORD: 'u',
  DISPLAY_PASSWORD: 'd',
  BRIDGE_PASSWORD: 'b',
  CENTER_PASSWORD: 'c',
  OPERATOR_PASSWORD: 'o',
}

export interface ExampleHub {
  readonly service: HubService
  readonly port: number
  readonly connect: (username: string, password: string) => Promise<RawClient>
  /** Stops it before the test is over. */
  readonly stop: () => Promise<void>
}

/** The text of a file below examples. */
export function exampleText(file: string): string {
  return readFileSync(join(examples, file), 'utf8')
}

/** A folder that the test leaves nothing of. */
export function exampleFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'openedge-example-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** Runs the hub of a file below examples on one TCP port, a free one unless told, with what it stores in the folder. */
export async function runExampleHub(
  t: TestContext,
  file: string,
  options: { changes?: Partial<HubConfig>; folder?: string; port?: number; strict?: boolean } = {},
): Promise<ExampleHub> {
  const { changes = {}, folder = exampleFolder(t), port: wanted = 0, strict = true } = options
  const { config } = parseHubConfig(exampleText(file), { file, env: EXAMPLE_ENV, strict })
  const listen = [`tcp://127.0.0.1:${wanted}`]
  const service = new HubService({ ...config, ...changes, listen }, undefined, folder, { version: '1.2.3' })
  await service.start(new AbortController().signal)
  const clients: RawClient[] = []
  let stopped: Promise<void> | null = null
  const stop = (): Promise<void> => {
    // A hub that stops drops its clients, which must not look like a failure of theirs.
    for (const client of clients) client.finish()
    stopped ??= service.stop()
    return stopped
  }
  t.after(stop)
  const port = Number(/:(\d+)$/.exec(service.urls[0] ?? '')?.[1])
  let last = 0
  return {
    service,
    port,
    stop,
    async connect(username, password) {
      const client = await openRawClient(t, { transport: 'tcp', host: '127.0.0.1', port })
      clients.push(client)
      const { returnCode } = await client.connect({ clientId: `client-${++last}`, username, password })
      assert.equal(returnCode, 0, `${username} is let in`)
      return client
    },
  }
}

/** The next so many messages, in the order of the alphabet. */
export async function receiveLines(client: RawClient, count: number): Promise<string[]> {
  const lines: string[] = []
  while (lines.length < count) lines.push(...linesOf([await client.receive()]))
  return lines.sort()
}
