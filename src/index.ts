// What programs get that embed a hub: `import { createHub } from 'openedge'`.
export { hashPassword, type PeerIdentity, Principal, type PrincipalSource } from './auth/index.ts'
export { createHub, Hub, type HubOptions, HubService, startHub } from './broker/index.ts'
export {
  type ErrorCode,
  GatewayError,
  type Logger,
  type LogMethod,
  type Service,
  silentLogger,
} from './common/index.ts'
export {
  type AnonymousConfig,
  type CertificateConfig,
  ConfigError,
  checkFiles,
  checkHubConfig,
  defaultHubConfig,
  type Environment,
  type FileProblems,
  formatProblem,
  type HubConfig,
  type LimitsConfig,
  type Loaded,
  type LoadOptions,
  type LoggerConfig,
  loadHubConfig,
  type MessageConfig,
  type ParseOptions,
  type PermissionConfig,
  type PrincipalConfig,
  type Problem,
  parseHubConfig,
  type RuleConfig,
} from './config/index.ts'
