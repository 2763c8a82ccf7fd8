import { createInterface } from 'node:readline'
import { type Readable, Writable } from 'node:stream'
import { GatewayError } from '../common/index.ts'

/** Asks on a terminal for a line that is not shown while it is typed. The question goes to standard error. */
export async function askHidden(terminal: Readable, question: string): Promise<string> {
  process.stderr.write(question)
  // Readline echoes to its output; this one swallows it.
  const output = new Writable({ write: (_chunk, _encoding, done) => done() })
  const lines = createInterface({ input: terminal, output, terminal: true, historySize: 0 })
  try {
    return await new Promise<string>((resolve, reject) => {
      lines.once('line', resolve)
      lines.once('SIGINT', () => reject(new GatewayError('ERR_USAGE_PASSWORD', 'no password was given')))
      lines.once('close', () => reject(new GatewayError('ERR_USAGE_PASSWORD', 'no password was given')))
    })
  } finally {
    lines.close()
    process.stderr.write('\n')
  }
}
