import { GatewayError, nearestWord } from '../common/index.ts'
import { type Arguments, type OptionSpec, type Shell } from './command.ts'

/** One of the things that a command does, told by the word behind its name. */
export interface Action {
  /** Arguments behind the word. */
  readonly takes: readonly string[]
  /** Those of the command that are for some actions only. */
  readonly options: readonly string[]
  /** Loaded when it is called: what runs for months has no use for the code of the others. */
  load(): Promise<(args: Arguments, shell: Shell) => Promise<number>>
}

export interface Actions {
  /** The command. */
  readonly name: string
  /** Without a word. */
  readonly run: Action
  readonly others: ReadonlyMap<string, Action>
  /** Those of {@link Action.options}. */
  readonly options: readonly OptionSpec[]
}

/** Does what the first argument says. Throws `ERR_USAGE_...` for what does not belong together. */
export async function act(actions: Actions, args: Arguments, shell: Shell): Promise<number> {
  const [word, ...rest] = args.positionals
  const action = word === undefined ? actions.run : actions.others.get(word)
  if (action === undefined) throw new GatewayError('ERR_USAGE_ARGUMENT', unknownWord(actions, String(word)))
  checkArguments(word === undefined ? actions.name : `${actions.name} ${word}`, action, rest)
  const stray = actions.options.find(({ name }) => args.has(name) && !action.options.includes(name))
  if (stray !== undefined) {
    throw new GatewayError('ERR_USAGE_OPTION', `--${stray.name} is for ${ownerOf(stray.name, actions)} only`)
  }
  return (await action.load())(args, shell)
}

function checkArguments(command: string, { takes }: Action, given: readonly string[]): void {
  const missing = takes[given.length]
  if (missing !== undefined) throw new GatewayError('ERR_USAGE_ARGUMENT', `${command} needs ${missing}`)
  const stray = given[takes.length]
  if (stray !== undefined) throw new GatewayError('ERR_USAGE_ARGUMENT', `${command} takes no argument ${stray}`)
}

function unknownWord({ name, others }: Actions, word: string): string {
  const nearest = nearestWord(word, others.keys())
  const hint = nearest === null ? 'a configuration is given with -c' : `did you mean ${nearest}?`
  return `${name} takes no argument ${word}; ${hint}`
}

function ownerOf(option: string, { name, others }: Actions): string {
  const [word] = [...others].find(([, { options }]) => options.includes(option)) ?? []
  return word === undefined ? `openedge ${name} without a further word` : `${name} ${word}`
}
