import * as v from 'valibot'
import { isMap, isSeq } from 'yaml'
import type { Environment } from './environment.ts'
import type { Findings } from './findings.ts'
import { type FileKind, loadFile } from './load.ts'
import { isRecord, items, shorten, valid, validItems } from './loose.ts'
import type { Finding } from './problem.ts'
import { readSmallFile } from './read-file.ts'
import { wrongBlock } from './schema/fields.ts'
import { keyName, parseYaml } from './yaml-file.ts'

const text = v.nullish(v.string('must be text'), '')

const volumeSchema = v.nullish(v.object({ name: text, path: text }, wrongBlock), {})

const serviceSchema = v.nullish(
  v.object(
    {
      name: text,
      image: text,
      replica: v.nullish(v.number('must be a number')),
      mounts: v.nullish(v.array(volumeSchema, 'must be a list'), []),
    },
    wrongBlock,
  ),
  {},
)

/** What of an application tells where the files of its services are. */
const applicationSchema = v.nullish(
  v.object(
    {
      services: v.nullish(v.array(serviceSchema, 'must be a list'), []),
      volumes: v.nullish(v.array(volumeSchema, 'must be a list'), []),
    },
    wrongBlock,
  ),
  {},
)

const applicationKind: FileKind<typeof applicationSchema> = {
  schema: applicationSchema,
  ignored: new Map(),
  check: checkApplication,
}

/** A service of an application. */
export interface ServiceEntry {
  readonly name: string
  readonly image: string
  /** How many instances the master starts; null: it is not said. */
  readonly replica: number | null
  /** Volumes, and where the service sees them. */
  readonly mounts: readonly { readonly name: string; readonly path: string }[]
  /** Variables that are set for the service. */
  readonly env: Environment
}

/** The `application.yml` of OpenEdge, as far as it tells which services there are and where their files are. */
export interface Application {
  readonly services: readonly ServiceEntry[]
  /** Folders below the work directory. Of two with one name the last counts. */
  readonly volumes: readonly { readonly name: string; readonly path: string }[]
}

/**
 * Reads an `application.yml`. Keys that don't matter here are not looked at.
 *
 * @throws ConfigError with every problem: it can't be read, is no YAML, or is refused by the master of OpenEdge as well
 */
export function loadApplication(file: string, env: Environment): Application {
  const { config } = loadFile(applicationKind, file, { env })
  const environments = readEnvironments(file)
  return {
    services: config.services.map(({ name, image, replica, mounts }, i) => {
      return { name, image, replica: replica ?? null, mounts, env: environments[i] ?? {} }
    }),
    volumes: config.volumes,
  }
}

function checkApplication(value: unknown): Findings {
  const errors: Finding[] = []
  const file = isRecord(value) ? value : {}
  const volumes = new Set(validItems(volumeSchema, file['volumes']).map(volume => volume?.name))
  for (const [i, volume] of validItems(volumeSchema, file['volumes']).entries()) {
    if (volume?.path === '') errors.push({ path: ['volumes', i, 'path'], message: 'is missing' })
  }
  for (const [i, written] of items(file['services']).entries()) {
    const service = valid(serviceSchema, written)
    if (service === undefined) continue
    const path = ['services', i]
    if (service.name === '') errors.push({ path: [...path, 'name'], message: 'is missing' })
    if (service.image === '') errors.push({ path: [...path, 'image'], message: 'is missing' })
    for (const [j, mount] of service.mounts.entries()) {
      if (volumes.has(mount.name)) continue
      const message = `volume '${shorten(mount.name)}' not found`
      errors.push({ path: [...path, 'mounts', j, 'name'], message })
    }
  }
  return { errors, warnings: [] }
}

/** What stands under `env` of each service: keys of any name, which no schema says. */
function readEnvironments(file: string): Environment[] {
  const read = readSmallFile(file)
  if (typeof read === 'string') return []
  const services = valueOf(parseYaml(read.bytes.toString()).root, 'services')
  return isSeq(services) ? services.items.map(service => environmentOf(valueOf(service, 'env'))) : []
}

function environmentOf(node: unknown): Environment {
  const variables = new Map<string, string>()
  for (const { key, value } of isMap(node) ? node.items : []) {
    const [name, variable] = [keyName(key), keyName(value)]
    if (name !== null && variable !== null) variables.set(name, variable)
  }
  return Object.fromEntries(variables)
}

function valueOf(node: unknown, name: string): unknown {
  if (!isMap(node)) return undefined
  return node.items.find(({ key }) => keyName(key) === name)?.value
}
