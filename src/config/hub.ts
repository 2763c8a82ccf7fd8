import * as v from 'valibot'
import { checkHubRules } from './hub-rules.ts'
import { type FileKind, type Loaded, type LoadOptions, loadFile, type ParseOptions, parseText } from './load.ts'
import { type HubConfig, hubSchema } from './schema/hub.ts'

const OLDER = 'older versions had it'

const hubKind: FileKind<typeof hubSchema> = {
  schema: hubSchema,
  ignored: new Map([
    ['name', OLDER],
    ['id', OLDER],
    ['console', OLDER],
    ['persist', OLDER],
    ['status', OLDER],
    ['hub', 'services log in to the hub with it, and this is the hub'],
    ['logger.console', OLDER],
    ['logger.name', OLDER],
    ['certificate.insecure', 'it is for clients'],
    ['message.ingress.qos0.persist', OLDER],
    ['message.egress.offset', `${OLDER}; it is message.offset now`],
    ['principals[].serialnumber', `${OLDER}; name the principal by username, or see certificate.identity`],
    ['subscriptions[].id', OLDER],
    ['subscriptions[].clientid', 'rules of the hub need no client identifier'],
  ]),
  check: checkHubRules,
}

/**
 * Reads the `service.yml` of a hub.
 *
 * @throws ConfigError `ERR_CONFIG_INVALID` with every problem of the file: it can't be read, is no YAML, has wrong values,
 * or values that don't go together. Nothing is looked up but the file itself; see `checkFiles` for certificates.
 */
export function loadHubConfig(file: string, options: LoadOptions): Loaded<HubConfig> {
  return loadFile(hubKind, file, options)
}

/** As `loadHubConfig`, but a key that is not known is an error: for people who want to know what a file is worth. */
export function checkHubConfig(file: string, options: LoadOptions): Loaded<HubConfig> {
  return loadFile(hubKind, file, { ...options, strict: true })
}

/** As `loadHubConfig`, of a text that is already there. */
export function parseHubConfig(text: string, options: ParseOptions): Loaded<HubConfig> {
  return parseText(hubKind, text, options)
}

/** What an empty file means: a hub that listens nowhere. A new object each time. */
export function defaultHubConfig(): HubConfig {
  return v.parse(hubSchema, {})
}
