import type { PermissionConfig } from '../config/index.ts'
import { PermitTree } from './acl.ts'

/** How it became known who is at the other end. `embedder`: the program that runs the hub vouches for it. */
export type PrincipalSource = 'password' | 'certificate' | 'anonymous' | 'embedder'

/** Someone who is connected, and what they may do. Without permissions that is nothing: whatever is not permitted is denied. */
export class Principal {
  readonly name: string
  readonly source: PrincipalSource
  /** Null permits everything. */
  readonly #publish: PermitTree | null
  readonly #subscribe: PermitTree | null

  private constructor(name: string, source: PrincipalSource, publish: PermitTree | null, subscribe: PermitTree | null) {
    this.name = name
    this.source = source
    this.#publish = publish
    this.#subscribe = subscribe
  }

  /** Permissions of the same action add up. Throws `ERR_AUTH_BAD_PERMIT` when a permit is not a topic filter. */
  static create(name: string, source: PrincipalSource, permissions: readonly PermissionConfig[]): Principal {
    const permitted = (action: PermissionConfig['action']): PermitTree =>
      PermitTree.compile(permissions.filter(each => each.action === action).flatMap(each => each.permit))
    return new Principal(name, source, permitted('pub'), permitted('sub'))
  }

  /** For embedders without configuration: may do everything, also below `$`. */
  static allowAll(name: string): Principal {
    return new Principal(name, 'embedder', null, null)
  }

  /** `topic` is a valid topic name. Whether the hub takes messages below `$` at all is not decided here. */
  mayPublish(topic: string): boolean {
    return this.#publish === null || this.#publish.allowsTopic(topic)
  }

  /** `filter` is a valid topic filter. */
  maySubscribe(filter: string): boolean {
    return this.#subscribe === null || this.#subscribe.allowsFilter(filter)
  }
}
