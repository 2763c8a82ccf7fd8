export { Hub } from './hub.ts'
export type { HubOptions } from './hub-options.ts'
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
