import { GatewayError, messageOf, nearestWord } from '../common/index.ts'
import { ConfigError } from '../config/index.ts'
import { HELP_OPTION, parseArguments } from './arguments.ts'
import { type Command, EXIT, type Shell } from './command.ts'
import { commandHelp, generalHelp } from './help.ts'
import { reportErrors } from './report.ts'
import { packageVersion } from './version.ts'

interface Entry {
  readonly name: string
  readonly summary: string
  /** Commands are loaded when they are called: what runs for months has no use for the code of the others. */
  load(): Promise<Command>
}

const COMMANDS: readonly Entry[] = [
  {
    name: 'hub',
    summary: 'run the broker; reload it, watch it',
    load: async () => (await import('./hub.ts')).hubCommand,
  },
  {
    name: 'bridge',
    summary: 'forward messages between a hub and remote brokers',
    load: async () => (await import('./bridge.ts')).bridgeCommand,
  },
  { name: 'check', summary: 'check configuration files', load: async () => (await import('./check.ts')).checkCommand },
  { name: 'passwd', summary: 'hash a password', load: async () => (await import('./passwd.ts')).passwdCommand },
  {
    name: 'certs',
    summary: 'make certificates for TLS',
    load: async () => (await import('./certs.ts')).certsCommand,
  },
  { name: 'store', summary: 'look after what is stored', load: async () => (await import('./store.ts')).storeCommand },
  { name: 'version', summary: 'print the version', load: async () => (await import('./version.ts')).versionCommand },
]

/** Configuration of whatever kind: the command line, the file, or what it names. */
const USAGE_CODES = /^ERR_(?:USAGE|CONFIG|AUTH|CERTS|LISTEN|METRICS)_/

/** Runs what a command line asks for and returns the exit code. Never rejects. */
export async function run(argv: readonly string[], shell: Shell): Promise<number> {
  const [name, ...args] = argv
  try {
    switch (name) {
      case undefined:
        shell.err(generalHelp(packageVersion(), COMMANDS))
        return EXIT.usage
      case '-h':
      case '--help':
      case 'help':
        return await help(args, shell)
      case '-v':
      case '-V':
      case '--version':
        return await runCommand(await find('version'), args, shell)
      default:
        return await runCommand(await find(name), args, shell)
    }
  } catch (thrown) {
    return report(thrown, name, shell)
  }
}

async function help([name]: readonly string[], shell: Shell): Promise<number> {
  shell.out(name === undefined ? generalHelp(packageVersion(), COMMANDS) : commandHelp(await find(name)))
  return EXIT.ok
}

async function runCommand(command: Command, args: readonly string[], shell: Shell): Promise<number> {
  const parsed = parseArguments(args, [...command.options, HELP_OPTION])
  if (!parsed.has(HELP_OPTION.name)) return command.run(parsed, shell)
  shell.out(commandHelp(command))
  return EXIT.ok
}

async function find(name: string): Promise<Command> {
  const entry = COMMANDS.find(each => each.name === name)
  if (entry !== undefined) return entry.load()
  if (name.startsWith('-')) throw new GatewayError('ERR_USAGE_COMMAND', `a command comes first, not ${name}`)
  const nearest = nearestWord(
    name,
    COMMANDS.map(each => each.name),
  )
  const hint = nearest === null ? '' : `; did you mean ${nearest}?`
  throw new GatewayError('ERR_USAGE_COMMAND', `unknown command ${JSON.stringify(name)}${hint}`)
}

function report(thrown: unknown, name: string | undefined, shell: Shell): number {
  if (thrown instanceof ConfigError) {
    reportErrors(thrown, shell)
    return EXIT.usage
  }
  const isExpected = thrown instanceof GatewayError
  const text = !isExpected && thrown instanceof Error ? (thrown.stack ?? thrown.message) : messageOf(thrown)
  shell.err(`openedge: ${text}`)
  if (!isExpected || !USAGE_CODES.test(thrown.code)) return EXIT.runtime
  if (thrown.code.startsWith('ERR_USAGE_')) {
    const isCommand = COMMANDS.some(each => each.name === name)
    shell.err(`See: openedge ${isCommand ? `${name} ` : ''}--help`)
  }
  return EXIT.usage
}
