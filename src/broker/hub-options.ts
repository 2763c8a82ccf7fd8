import type { AedesOptions } from 'aedes'
import type { Logger } from '../common/index.ts'
import type { HubConfig } from '../config/index.ts'
import { EMBEDDED_SETTINGS, type Settings, settingsOf } from './settings.ts'
import type { StoreOptions } from './store/index.ts'

/** What createHub takes: every option of aedes, and ours. */
export interface HubOptions extends AedesOptions {
  /**
   * A hub configuration: principals, permissions and limits hold. Default: none; then everyone may connect and do
   * what aedes allows by default, within the limits of aedes.
   */
  config?: HubConfig
  /** Single settings, above what `config` or the aedes options say. */
  settings?: Partial<Settings>
  /** Where kept sessions, their messages and retained messages are stored. Default: in memory, gone when the hub ends. */
  storage?: StoreOptions
  /** Where the hub logs to; default: nowhere. */
  log?: Logger
}

const MAX_TOPIC_LEVELS = 100

/** The settings that the options amount to. */
export function resolveSettings(options: HubOptions): Settings {
  const { config, settings } = options
  const base = config === undefined ? embedded(options) : settingsOf(config)
  return { ...base, ...settings }
}

function embedded(options: HubOptions): Settings {
  const defaults = EMBEDDED_SETTINGS
  const { maxInflightInbound: inbound, maxTopicLevels } = options
  return {
    ...defaults,
    topic:
      maxTopicLevels === undefined
        ? defaults.topic
        : { ...defaults.topic, maxLevels: Math.min(Math.max(maxTopicLevels, 1), MAX_TOPIC_LEVELS) },
    clientIdLengthOf31: options.maxClientsIdLength ?? defaults.clientIdLengthOf31,
    packetsBeforeConnect: options.queueLimit ?? defaults.packetsBeforeConnect,
    connectTimeoutMs: options.connectTimeout ?? defaults.connectTimeoutMs,
    drainTimeoutMs: options.drainTimeout ?? defaults.drainTimeoutMs,
    keepAliveLimit: options.keepaliveLimit ?? defaults.keepAliveLimit,
    // A negative or fractional limit must not switch the bound off; only 0 does.
    inboundQos2: inbound !== undefined && Number.isInteger(inbound) && inbound >= 0 ? inbound : defaults.inboundQos2,
  }
}
