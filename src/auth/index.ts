export type { PeerIdentity } from './identity.ts'
