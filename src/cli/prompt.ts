import { createInterface } from 'node:readline'
import { type Readable, Writable } from 'node:stream'
import { GatewayError } from '../common/index.ts'

/**
 * Asks on a terminal for lines that are not shown while they are typed. The questions go to standard error. Throws
 * `ERR_USAGE_PASSWORD` when the terminal is closed or Ctrl+C typed.
 */
export async function askHidden(terminal: Readable, questions: readonly string[]): Promise<string[]> {
  // Readline echoes to its output; this one swallows it.
  const output = new Writable({ write: (_chunk, _encoding, done) => done() })
  const lines = createInterface({ input: terminal, output, terminal: true, historySize: 0 })
  const answers: string[] = []
  try {
    return await new Promise<string[]>((resolve, reject) => {
      const ask = (): boolean => process.stderr.write(questions[answers.length] ?? '')
      const giveUp = (): void => {
        process.stderr.write('\n')
        reject(new GatewayError('ERR_USAGE_PASSWORD', 'no password was given'))
      }
      lines.on('line', line => {
        answers.push(line)
        process.stderr.write('\n')
        if (answers.length === questions.length) resolve(answers)
        else ask()
      })
      lines.once('SIGINT', giveUp)
      lines.once('close', giveUp)
      ask()
    })
  } finally {
    lines.removeAllListeners('close')
    lines.close()
  }
}
