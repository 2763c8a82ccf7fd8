import * as v from 'valibot'
import { checkBridge } from './bridge-checks.ts'
import { type FileKind, type Loaded, type LoadOptions, loadFile, type ParseOptions, parseText } from './load.ts'
import { type BridgeConfig, bridgeSchema } from './schema/bridge.ts'

const OLDER = 'older versions had it'
const OF_RULES = 'what is subscribed to stands in the rules'

const bridgeKind: FileKind<typeof bridgeSchema> = {
  schema: bridgeSchema,
  ignored: new Map([
    ['name', OLDER],
    ['id', OLDER],
    ['console', OLDER],
    ['persist', OLDER],
    ['status.logging', OLDER],
    ['logger.console', OLDER],
    ['logger.name', OLDER],
    ['hub.clientid', 'each rule has its own client identifier on the hub, see rules[].hub.clientid'],
    ['hub.subscriptions', OF_RULES],
    ['remotes[].subscriptions', OF_RULES],
    ['rules[].id', `${OLDER}; it is rules[].name now`],
  ]),
  check: checkBridge,
}

/**
 * Reads the `service.yml` of a bridge.
 *
 * @throws ConfigError `ERR_CONFIG_INVALID` with every problem of the file: it can't be read, is no YAML, has wrong values,
 * or values that don't go together. Nothing is looked up but the file itself; see `checkBridgeFiles` for the files it names.
 */
export function loadBridgeConfig(file: string, options: LoadOptions): Loaded<BridgeConfig> {
  return loadFile(bridgeKind, file, options)
}

/** As `loadBridgeConfig`, but a key that is not known is an error: for people who want to know what a file is worth. */
export function checkBridgeConfig(file: string, options: LoadOptions): Loaded<BridgeConfig> {
  return loadFile(bridgeKind, file, { ...options, strict: true })
}

/** As `loadBridgeConfig`, of a text that is already there. */
export function parseBridgeConfig(text: string, options: ParseOptions): Loaded<BridgeConfig> {
  return parseText(bridgeKind, text, options)
}

/** What an empty file means: a bridge without rules. A new object each time. */
export function defaultBridgeConfig(): BridgeConfig {
  return v.parse(bridgeSchema, {})
}
