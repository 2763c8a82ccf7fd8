import { statSync } from 'node:fs'
import { isAbsolute, join, resolve } from 'node:path'
import { compactStore, inspectStore, repairStore, verifyStore } from '../broker/index.ts'
import { GatewayError, type Logger, nearestWord, silentLogger } from '../common/index.ts'
import { defaultHubConfig, loadHubConfig } from '../config/index.ts'
import { type Arguments, type Command, EXIT, type Shell } from './command.ts'
import { DEFAULT_FILE } from './service/place.ts'
import { countOf, reportFinding, reportRepair, reportSessions, reportSummary, sizeOf } from './store-report.ts'

type Action = (dir: string, args: Arguments, shell: Shell) => Promise<number>

const ACTIONS: ReadonlyMap<string, Action> = new Map([
  ['inspect', inspect],
  ['verify', verify],
  ['compact', compact],
  ['repair', repair],
])

export const storeCommand: Command = {
  name: 'store',
  usage: 'store inspect|verify|compact|repair DIR [OPTIONS]',
  description: `Looks after what a hub has stored, while that hub is stopped. DIR is its storage.dir; instead of DIR, -c or -w say
which hub is meant, as they do for openedge hub.

  inspect  counts sessions, the messages that wait for them, retained messages; changes nothing
  verify   checks every file and every record, and prints all that is damaged; changes nothing.
           Exit code 0: all is sound; 1: something is not
  compact  gives back the space of what was deleted
  repair   keeps what is whole of a damaged store, removes the rest and says what that was`,
  options: [
    { name: 'config', short: 'c', value: 'FILE', help: 'take storage.dir from this configuration' },
    { name: 'workdir', short: 'w', value: 'DIR', help: 'the work directory of the hub' },
    { name: 'sessions', help: 'inspect: a line for each session' },
    { name: 'json', help: 'inspect: print JSON; times are milliseconds since 1970' },
  ],
  examples: [
    ['openedge store inspect var/db/openedge/data', 'what is stored, and how much of it'],
    ['openedge store inspect --sessions -w /opt/edge', 'who waits for how many messages'],
    ['openedge store verify -c service.yml', 'whether all of it is sound'],
    ['openedge store repair var/db/openedge/data', 'what can still be read becomes a store again'],
  ],
  async run(args, shell) {
    const [name] = args.positionals
    const action = ACTIONS.get(name ?? '')
    if (action === undefined) throw new GatewayError('ERR_USAGE_ARGUMENT', unknownAction(name))
    for (const option of ['sessions', 'json']) {
      if (args.has(option) && name !== 'inspect')
        throw new GatewayError('ERR_USAGE_OPTION', `--${option} is for store inspect only`)
    }
    return action(directoryOf(args, shell), args, shell)
  },
}

function unknownAction(name: string | undefined): string {
  const names = [...ACTIONS.keys()]
  if (name === undefined) return `store needs to know what to do: ${names.join(', ')}`
  const nearest = nearestWord(name, names)
  return `store can ${names.join(', ')}, not ${JSON.stringify(name)}${nearest === null ? '' : `; did you mean ${nearest}?`}`
}

/** DIR, or what a hub with this configuration would use. */
function directoryOf(args: Arguments, shell: Shell): string {
  const [action, dir, stray] = args.positionals
  const isConfigured = args.has('config') || args.has('workdir')
  if (stray !== undefined)
    throw new GatewayError('ERR_USAGE_ARGUMENT', `store ${action} takes one DIR, not also ${stray}`)
  if (dir !== undefined && isConfigured) {
    throw new GatewayError('ERR_USAGE_ARGUMENT', `store ${action} takes either DIR or a configuration, not both`)
  }
  if (dir !== undefined && dir !== '') return dir
  if (!isConfigured) {
    throw new GatewayError('ERR_USAGE_ARGUMENT', `store ${action} needs DIR, the storage.dir of a hub, or -c FILE`)
  }
  const workdir = args.value('workdir') ?? ''
  const asked = args.value('config')
  const file = asked !== undefined && isAbsolute(asked) ? asked : join(workdir, asked ?? DEFAULT_FILE)
  const isThere = asked !== undefined || statSync(file, { throwIfNoEntry: false }) !== undefined
  const { storage } = isThere ? loadHubConfig(file, { env: shell.env }).config : defaultHubConfig()
  if (storage.dir !== '') return resolve(workdir, storage.dir)
  throw new GatewayError('ERR_USAGE_ARGUMENT', `${file} has an empty storage.dir: that hub keeps nothing on disk`)
}

async function inspect(dir: string, args: Arguments, shell: Shell): Promise<number> {
  const { summary, sessions } = await inspectStore(dir, logTo(shell))
  if (args.has('json')) {
    shell.out(JSON.stringify(args.has('sessions') ? { ...summary, clients: [...sessions] } : summary, null, 2))
  } else {
    reportSummary(summary, shell)
    if (args.has('sessions')) reportSessions(sessions, shell)
  }
  if (summary.damaged > 0) {
    shell.err(
      `openedge: ${countOf(summary.damaged, 'record')} can not be read; see openedge store verify ${summary.dir}`,
    )
  }
  return EXIT.ok
}

async function verify(path: string, _args: Arguments, shell: Shell): Promise<number> {
  const { dir, problems, files, records } = await verifyStore(path, finding => reportFinding(finding, shell))
  const read = records === null ? 'records could not be looked at' : countOf(records, 'record')
  if (problems === 0) {
    shell.out(`${dir}: sound (${countOf(files, 'file')}, ${read})`)
    return EXIT.ok
  }
  shell.out(`${dir}: ${countOf(problems, 'problem')} (${countOf(files, 'file')}, ${read})`)
  shell.err(
    `openedge: the store is damaged. Restore a copy of the directory, or keep the rest: openedge store repair ${dir}`,
  )
  return EXIT.runtime
}

async function compact(path: string, _args: Arguments, shell: Shell): Promise<number> {
  const { dir, before, after } = await compactStore(path, logTo(shell))
  shell.out(`${dir}: ${sizeOf(before)} before, ${sizeOf(after)} after`)
  return EXIT.ok
}

async function repair(path: string, _args: Arguments, shell: Shell): Promise<number> {
  const report = await repairStore(path, logTo(shell))
  reportRepair(report, shell)
  const isSame = report.findings.length === 0 && report.losses.records === 0 && !report.isRebuilt
  shell.out(`${report.dir}: ${isSame ? 'there was nothing to repair' : 'repaired'}`)
  return EXIT.ok
}

/** What the store warns of while it is opened, as a line for people. */
function logTo(shell: Shell): Logger {
  const warn = (fields: object | string, event?: string): void => {
    const text = typeof fields === 'string' ? fields : `${event ?? ''} ${JSON.stringify(fields)}`
    shell.err(`openedge: ${text}`)
  }
  return { ...silentLogger, warn, error: warn, child: () => logTo(shell) }
}
