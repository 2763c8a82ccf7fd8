export { type MadeCertificates, makeCertificates } from './make.ts'
export type { CertificatesRequest, SubjectRequest } from './plan.ts'
