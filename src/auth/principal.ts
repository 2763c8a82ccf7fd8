import { createHash } from 'node:crypto'
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
  /** A digest of the password as it is configured. */
  readonly #credential: string
  /** All that it was made from, in one text. */
  readonly #likeness: string

  private constructor(
    name: string,
    source: PrincipalSource,
    publish: PermitTree | null,
    subscribe: PermitTree | null,
    credential: string,
    likeness: string,
  ) {
    this.name = name
    this.source = source
    this.#publish = publish
    this.#subscribe = subscribe
    this.#credential = credential
    this.#likeness = likeness
  }

  /**
   * Permissions of the same action add up. `password` is what is configured, plain or hashed; default: none. Throws
   * `ERR_AUTH_BAD_PERMIT` when a permit is not a topic filter.
   */
  static create(
    name: string,
    source: PrincipalSource,
    permissions: readonly PermissionConfig[],
    password = '',
  ): Principal {
    const [publish, subscribe] = [permitted(permissions, 'pub'), permitted(permissions, 'sub')]
    const trees = [PermitTree.compile(publish), PermitTree.compile(subscribe)] as const
    const credential = digestOf(name, password)
    return new Principal(name, source, ...trees, credential, digestOf(name, source, credential, publish, subscribe))
  }

  /** For embedders without configuration: may do everything, also below `$`. */
  static allowAll(name: string): Principal {
    return new Principal(name, 'embedder', null, null, '', '')
  }

  /** The configured text is the same. Of two hashes of one password it is not. */
  hasPasswordOf(other: Principal): boolean {
    return this.#credential === other.#credential
  }

  /** The same somebody, known in the same way, with the same password and permissions. */
  isLike(other: Principal): boolean {
    return this.#likeness === other.#likeness
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

/** Each topic filter once, whatever the order and the blocks they were written in. */
function permitted(permissions: readonly PermissionConfig[], action: PermissionConfig['action']): string[] {
  const filters = permissions.filter(each => each.action === action).flatMap(each => each.permit)
  return [...new Set(filters)].sort()
}

function digestOf(...parts: (string | string[])[]): string {
  return createHash('sha256').update(JSON.stringify(parts)).digest('base64')
}
