export { makeCertificates } from './make.ts'
export type { SubjectRequest } from './plan.ts'
