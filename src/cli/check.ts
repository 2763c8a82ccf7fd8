import { resolve } from 'node:path'
import { Authenticator } from '../auth/index.ts'
import { GatewayError } from '../common/index.ts'
import { ConfigError, checkFiles, checkHubConfig, type Problem } from '../config/index.ts'
import { type Arguments, type Command, EXIT, type Shell } from './command.ts'
import { reportErrors, reportWarnings } from './report.ts'

export const checkCommand: Command = {
  name: 'check',
  usage: 'check [-w DIR] FILE...',
  description: `Checks configuration files of the hub and starts nothing. Prints one line a problem on standard error:
file:line:column: path: message. A key that is not known is an error here; a running hub only warns of it.`,
  options: [
    {
      name: 'workdir',
      short: 'w',
      value: 'DIR',
      help: 'the work directory of the hub: certificates and keys are looked for there, and what\nis wrong with them is an error. Without it they are looked for in the current\ndirectory, and what is wrong with them is a warning',
    },
  ],
  examples: [
    ['openedge check etc/openedge/service.yml', 'exit code 0: nothing is wrong; 2: something is'],
    ['openedge check -w . etc/openedge/service.yml', 'and the certificates too'],
  ],
  async run(args, shell) {
    if (args.positionals.length === 0) throw new GatewayError('ERR_USAGE_ARGUMENT', 'check needs a FILE')
    const isRight = args.positionals.map(file => check(file, args, shell))
    return isRight.every(Boolean) ? EXIT.ok : EXIT.usage
  },
}

function check(file: string, args: Arguments, shell: Shell): boolean {
  const workdir = args.value('workdir')
  try {
    const { config, warnings } = checkHubConfig(file, { env: shell.env })
    const files = checkFiles(config, resolve(workdir ?? ''))
    const errors = [...accountProblems(file, config), ...(workdir === undefined ? [] : files.errors)]
    const warned = [...warnings, ...files.warnings, ...(workdir === undefined ? files.errors : [])]
    if (errors.length > 0) throw new ConfigError(errors, warned)
    reportWarnings(warned, shell)
    shell.out(`${file}: ok`)
    return true
  } catch (thrown) {
    if (!(thrown instanceof ConfigError)) throw thrown
    reportErrors(thrown, shell)
    return false
  }
}

/** What only those who read passwords can tell: a hash that is none. */
function accountProblems(file: string, config: Parameters<typeof Authenticator.create>[0]): Problem[] {
  try {
    Authenticator.create(config)
    return []
  } catch (thrown) {
    if (!(thrown instanceof GatewayError)) throw thrown
    return [{ file, line: 0, column: 0, path: 'principals', message: thrown.message }]
  }
}
