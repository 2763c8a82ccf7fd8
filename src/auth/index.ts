export { PermitTree } from './acl.ts'
export { addressGroup } from './address.ts'
export {
  Authenticator,
  type AuthenticatorConfig,
  type Credentials,
  type Verdict,
} from './authenticator.ts'
export type { PeerIdentity } from './identity.ts'
export { hashPassword } from './password.ts'
export { Principal, type PrincipalSource } from './principal.ts'
export { Throttle, type ThrottleOptions } from './throttle.ts'
