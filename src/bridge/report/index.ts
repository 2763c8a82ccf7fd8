export { BridgeReporting } from './bridge-reporting.ts'
export { type BridgeAnswer, bridgeRoutes } from './routes.ts'
