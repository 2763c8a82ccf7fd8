export type {
  BridgeFigures,
  Direction,
  DropReason,
  FlowFigures,
  LinkFigures,
  LinkPhase,
  RuleFigures,
  Side,
} from './figures.ts'
export * from './report/index.ts'
export { BridgeService } from './service.ts'
