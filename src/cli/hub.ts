import { type Actions, act } from './actions.ts'
import type { Command, OptionSpec } from './command.ts'
import { DEFAULT_FILE, PLACE_OPTIONS } from './service/place.ts'

const OPTIONS: readonly OptionSpec[] = [
  { name: 'memory', help: 'keep nothing on disk, whatever the configuration says' },
  { name: 'interval', short: 'i', value: 'TIME', help: 'top: how often it looks, such as 500ms or 5s (default: 1s)' },
  { name: 'once', help: 'top: print the figures of one interval and end' },
]

const ACTIONS: Actions = {
  name: 'hub',
  run: { takes: [], options: ['memory'], load: async () => (await import('./hub/run.ts')).runHub },
  others: new Map([
    ['reload', { takes: [], options: [], load: async () => (await import('./hub/reload.ts')).reloadHub }],
    ['top', { takes: [], options: ['interval', 'once'], load: async () => (await import('./top/top.ts')).showTop }],
    ['session', { takes: ['CLIENTID'], options: [], load: async () => (await import('./hub/session.ts')).askSession }],
  ]),
  options: OPTIONS,
}

export const hubCommand: Command = {
  name: 'hub',
  usage: 'hub [reload|top|session CLIENTID] [-c FILE] [-w DIR] [OPTIONS]',
  description: `Runs the MQTT broker until it gets SIGTERM or SIGINT (Ctrl+C). The first one stops it gracefully within
shutdown.timeout, a second one at once. SIGHUP has it read its configuration again.

Without a configuration file the hub listens on tcp://127.0.0.1:1883 and ws://127.0.0.1:8083, and every
program on this machine may publish and subscribe to every topic.

Sessions, the messages that wait for them and retained messages are kept on disk, in storage.dir, so that
they outlive a stop: with a configuration file, or with a work directory. Without both, or with --memory,
nothing is kept.

To the hub that runs with the same -c and -w, as the same user, or as root, on the same machine:
  reload   has it read its configuration again, without dropping a connection. A file that can't be used
           changes nothing. Exit code 0: done; 1: refused, and why, a line for each problem; or no such hub
  top      shows what it does: rates, busiest topics, rules, slow consumers; q ends that. Without a terminal a
           line of key=value pairs each interval
  session  prints what it knows of one client and its session, as JSON`,
  options: [...PLACE_OPTIONS, ...OPTIONS],
  examples: [
    ['openedge hub', 'to try it: open, on loopback only, in memory'],
    ['openedge hub -c service.yml', 'as service.yml says'],
    ['openedge hub -w /opt/edge', `as /opt/edge/${DEFAULT_FILE} says`],
    ['openedge hub -w .', 'keeps what it stores below the current directory'],
    ['openedge hub reload -c service.yml', 'service.yml has changed'],
    ['openedge hub top -w /opt/edge', 'watch that hub'],
    ['openedge hub top --once', 'what it does now, for scripts'],
    ['openedge hub session sensor1', 'one client: its subscriptions, what waits for it'],
  ],
  run: (args, shell) => act(ACTIONS, args, shell),
}
