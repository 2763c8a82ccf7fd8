import { HELP_OPTION } from './arguments.ts'
import type { Command } from './command.ts'

/** What `openedge COMMAND --help` prints. */
export function commandHelp(command: Command): string {
  const options = [...command.options, HELP_OPTION].map(({ name, short, value, help }) => {
    const names = `${short === undefined ? '    ' : `-${short}, `}--${name}`
    return [value === undefined ? names : `${names} ${value}`, help] as const
  })
  return sections([
    `Usage: openedge ${command.usage}`,
    command.description,
    `Options:\n${columns(options)}`,
    command.examples.length === 0 ? '' : `Examples:\n${columns(command.examples)}`,
  ])
}

/** What `openedge --help` prints. */
export function generalHelp(version: string, commands: readonly { name: string; summary: string }[]): string {
  return sections([
    `OpenEdge ${version}: an MQTT 3.1.1 broker for the edge`,
    'Usage: openedge COMMAND [OPTIONS]',
    `Commands:\n${columns(commands.map(({ name, summary }) => [name, summary]))}`,
    `Examples:\n${columns([
      ['openedge hub', 'a hub on loopback, open to this machine, to try it'],
      ['openedge hub -c service.yml', 'a hub as configured'],
      ['openedge bridge -c bridge.yml', 'a bridge to other brokers'],
      ['openedge check service.yml', 'what is wrong with a configuration'],
    ])}`,
    'openedge COMMAND --help tells more about one command.\nExit codes: 0 normal, 1 failed while running, 2 wrong usage or configuration.',
  ])
}

function sections(texts: readonly string[]): string {
  return texts.filter(text => text !== '').join('\n\n')
}

/** Two columns; further lines of the right one stand below its first. */
function columns(rows: readonly (readonly [left: string, right: string])[]): string {
  const width = Math.max(...rows.map(([left]) => left.length)) + 2
  return rows
    .map(([left, right]) => `  ${left.padEnd(width)}${right.replaceAll('\n', `\n${' '.repeat(width + 2)}`)}`)
    .join('\n')
}
