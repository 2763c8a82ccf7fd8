export type { ReloadAnswer, TopAnswer } from './answers.ts'
export { type ControlOptions, ControlServer } from './control-server.ts'
export { folderProblem } from './socket-folder.ts'
export { type ControlPlace, controlSocketPath } from './socket-path.ts'
