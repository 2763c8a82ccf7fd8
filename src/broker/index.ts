export { HubControl, type HubControlOptions, type TopAnswer } from './control/index.ts'
export { Hub } from './hub.ts'
export type { HubOptions } from './hub-options.ts'
export {
  type HubSnapshot,
  openedgeReport,
  type RuleReport,
  type SessionDetail,
  type SlowConsumer,
  sessionDetail,
  snapshotOf,
} from './report/index.ts'
export { createHub, HubService, startHub } from './service.ts'
export {
  type ClientLoss,
  compactStore,
  inspectStore,
  type Losses,
  repairStore,
  type SessionSummary,
  type StoreFinding,
  type StoreRepair,
  type StoreSummary,
  verifyStore,
} from './store/index.ts'
