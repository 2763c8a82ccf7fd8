export { Hub } from './hub.ts'
export type { HubOptions } from './hub-options.ts'
export { createHub, HubService, startHub } from './service.ts'
