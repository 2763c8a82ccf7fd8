export type { TopAnswer } from './answers.ts'
export { HubControl, type HubControlOptions } from './hub-control.ts'
