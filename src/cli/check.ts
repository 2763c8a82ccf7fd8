import { resolve } from 'node:path'
import { GatewayError } from '../common/index.ts'
import type { FileKindName } from '../config/index.ts'
import { checkFile, type Usable } from './check/check-file.ts'
import { checkCircles } from './check/circles.ts'
import { checkWorkdir } from './check/workdir.ts'
import { type Arguments, type Command, EXIT } from './command.ts'

export const checkCommand: Command = {
  name: 'check',
  usage: 'check [-w DIR] [--kind hub|bridge] [FILE...]',
  description: `Checks configuration files of hubs and bridges and starts nothing. Prints one line a problem on standard error:
file:line:column: path: message. A key that is not known is an error here; a running hub or bridge only warns of it.
What a file is of is told by its keys.

Files that are given together are taken for those of one gateway: circles that messages would go round, by rules of
the hub and of bridges, are told too. With a work directory and no FILE all hubs and bridges in it are checked so.`,
  options: [
    {
      name: 'workdir',
      short: 'w',
      value: 'DIR',
      help: 'the work directory: certificates and keys are looked for there, and what is wrong with\nthem is an error. Without it they are looked for in the current directory, and what is\nwrong with them is a warning',
    },
    { name: 'kind', value: 'KIND', help: 'what the files are of, hub or bridge, whatever their keys are' },
  ],
  examples: [
    ['openedge check etc/openedge/service.yml', 'exit code 0: nothing is wrong; 2: something is'],
    ['openedge check -w . etc/openedge/service.yml', 'and the certificates too'],
    ['openedge check hub.yml bridge.yml', 'each, and the circles of both together'],
    ['openedge check -w /opt/edge', 'all that runs there'],
  ],
  async run(args, shell) {
    const kind = kindOf(args)
    const workdir = args.value('workdir')
    const files = args.positionals
    if (files.length === 0) {
      if (workdir === undefined) throw new GatewayError('ERR_USAGE_ARGUMENT', 'check needs a FILE, or -w DIR')
      if (kind !== null) throw new GatewayError('ERR_USAGE_OPTION', '--kind says what a FILE is of, and there is none')
      return checkWorkdir(workdir, shell) ? EXIT.ok : EXIT.usage
    }
    const base = { dir: resolve(workdir ?? ''), isKnown: workdir !== undefined }
    const found = files.map(file => checkFile(file, kind, base, shell))
    const usable = found.filter((each): each is Usable => each !== null)
    const isRight = checkCircles(usable, shell)
    return isRight && usable.length === files.length ? EXIT.ok : EXIT.usage
  },
}

function kindOf(args: Arguments): FileKindName | null {
  const kind = args.value('kind')
  if (kind === undefined || kind === 'hub' || kind === 'bridge') return kind ?? null
  throw new GatewayError('ERR_USAGE_OPTION', `--kind takes hub or bridge, not ${kind}`)
}
