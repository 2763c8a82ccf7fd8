export { reloadHub } from './reload-hub.ts'
export { Reporting } from './reporting.ts'
