import { readFileSync } from 'node:fs'
import { type Command, EXIT } from './command.ts'

/** The version of the package that this file belongs to. */
export function packageVersion(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8')
  const manifest: unknown = JSON.parse(text)
  const hasVersion = typeof manifest === 'object' && manifest !== null && 'version' in manifest
  return hasVersion ? String(manifest.version) : 'unknown'
}

export const versionCommand: Command = {
  name: 'version',
  usage: 'version',
  description: 'Prints the versions of OpenEdge and of Node.js.',
  options: [],
  examples: [],
  async run(_args, shell) {
    shell.out(`openedge ${packageVersion()} (Node.js ${process.version}, ${process.platform} ${process.arch})`)
    return EXIT.ok
  },
}
