export {
  checkBridgeConfig,
  defaultBridgeConfig,
  loadBridgeConfig,
  parseBridgeConfig,
} from './bridge.ts'
export { type Change, changedBridgeFields, changedFields } from './changes.ts'
export { checkBridgeFiles, checkFiles, type FileProblems } from './check-files.ts'
export { parseClientUrl } from './client-url.ts'
export type { Environment } from './environment.ts'
export { type FileKindName, fileKindOf } from './file-kind.ts'
export { checkHubConfig, defaultHubConfig, loadHubConfig, parseHubConfig } from './hub.ts'
export { type ListenAddress, parseListenUrl } from './listen-url.ts'
export type { Loaded, LoadOptions, ParseOptions } from './load.ts'
export { findBridgeLoops, type NamedBridge } from './loops.ts'
export { ConfigError, formatProblem, type Problem } from './problem.ts'
export type {
  AnonymousConfig,
  CertificateConfig,
  PermissionConfig,
  PrincipalConfig,
} from './schema/access.ts'
export type { BridgeConfig } from './schema/bridge.ts'
export type { BridgeRuleConfig, BridgeSubscriptionConfig } from './schema/bridge-rule.ts'
export type { ClientConfig, RemoteConfig } from './schema/client.ts'
export type { HubConfig } from './schema/hub.ts'
export type { LimitsConfig } from './schema/limits.ts'
export type { LoggerConfig } from './schema/logger.ts'
export type { MessageConfig } from './schema/message.ts'
export type { RuleConfig } from './schema/rule.ts'
export { isTemplateProblem, parseTemplate, type TopicTemplate } from './topic-template.ts'
export { readWorkdir } from './workdir.ts'
