import { type Actions, act } from './actions.ts'
import type { Command, OptionSpec } from './command.ts'
import { DEFAULT_FILE, PLACE_OPTIONS } from './service/place.ts'

const OPTIONS: readonly OptionSpec[] = [{ name: 'json', help: 'status: all figures, as JSON' }]

const ACTIONS: Actions = {
  name: 'bridge',
  run: { takes: [], options: [], load: async () => (await import('./bridge/run.ts')).runBridge },
  others: new Map([
    ['reload', { takes: [], options: [], load: async () => (await import('./bridge/reload.ts')).reloadBridge }],
    ['status', { takes: [], options: ['json'], load: async () => (await import('./bridge/status.ts')).showStatus }],
  ]),
  options: OPTIONS,
}

export const bridgeCommand: Command = {
  name: 'bridge',
  usage: 'bridge [reload|status] [-c FILE] [-w DIR] [OPTIONS]',
  description: `Forwards messages between a hub and remote brokers, by the rules of its configuration, until it gets SIGTERM or
SIGINT (Ctrl+C). The first one waits for acknowledgements that are under way, within shutdown.timeout; a second
one ends it at once. SIGHUP has it read its configuration again.

It starts though nothing can be reached yet, and tries again as long as it runs. A message of QoS 1 or 2 is
acknowledged to where it comes from when the other side has acknowledged it.

To the bridge that runs with the same -c and -w, as the same user, or as root, on the same machine:
  reload   has it read its configuration again. Rules and remotes that did not change go on undisturbed. A file
           that can't be used changes nothing. Exit code 0: done; 1: refused, and why, a line for each
           problem; or no such bridge
  status   shows for each rule whether it is connected, what it has forwarded and what waits`,
  options: [...PLACE_OPTIONS, ...OPTIONS],
  examples: [
    ['openedge bridge -c bridge.yml', 'as bridge.yml says'],
    ['openedge bridge -w /opt/edge', `as /opt/edge/${DEFAULT_FILE} says`],
    ['openedge bridge reload -c bridge.yml', 'bridge.yml has changed'],
    ['openedge bridge status -c bridge.yml', 'what it does now'],
    ['openedge bridge status --json -w /opt/edge', 'the same, for scripts'],
  ],
  run: (args, shell) => act(ACTIONS, args, shell),
}
