import { dirname, join, resolve } from 'node:path'
import { readWorkdir } from '../../config/index.ts'
import type { Shell } from '../command.ts'
import { reportErrors } from '../report.ts'
import { checkMore, type Usable } from './check-file.ts'
import { checkCircles } from './circles.ts'

const FOLDER = 'etc/openedge'

/** Checks all hubs and bridges of a work directory and what they are together; false when something is wrong. */
export function checkWorkdir(dir: string, shell: Shell): boolean {
  const { hubs, bridges, problems, warnings } = readWorkdir(dir, shell.env)
  reportErrors({ problems, warnings }, shell)
  const found: readonly Usable[] = [
    ...hubs.map(hub => ({ kind: 'hub', ...hub }) as const),
    ...bridges.map(bridge => ({ kind: 'bridge', ...bridge }) as const),
  ]
  const checked = found.map(each => {
    // The services of an application have work directories of their own, made of volumes.
    const isOfFolder = dirname(each.file) === join(dir, FOLDER)
    return checkMore(each, [], isOfFolder ? { dir: resolve(dir), isKnown: true } : null, shell)
  })
  const usable = checked.filter(each => each !== null)
  const isRight = checkCircles(usable, shell)
  return isRight && problems.length === 0 && usable.length === found.length
}
