export { type Change, changedFields } from './changes.ts'
export { checkFiles, type FileProblems } from './check-files.ts'
export type { Environment } from './environment.ts'
export { checkHubConfig, defaultHubConfig, loadHubConfig, parseHubConfig } from './hub.ts'
export { type ListenAddress, parseListenUrl } from './listen-url.ts'
export type { Loaded, LoadOptions, ParseOptions } from './load.ts'
export { ConfigError, formatProblem, type Problem } from './problem.ts'
export type {
  AnonymousConfig,
  CertificateConfig,
  PermissionConfig,
  PrincipalConfig,
} from './schema/access.ts'
export type { HubConfig } from './schema/hub.ts'
export type { LimitsConfig } from './schema/limits.ts'
export type { LoggerConfig } from './schema/logger.ts'
export type { MessageConfig } from './schema/message.ts'
export type { RuleConfig } from './schema/rule.ts'
export { isTemplateProblem, parseTemplate, type TopicTemplate } from './topic-template.ts'
