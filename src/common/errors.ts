/** Where an error comes from, and so who has to act: the first part of its code. */
export type ErrorArea =
  | 'CONFIG'
  | 'AUTH'
  | 'PROTOCOL'
  | 'LISTEN'
  | 'LIMIT'
  | 'STORE'
  | 'CERTS'
  | 'BRIDGE'
  | 'METRICS'
  | 'CONTROL'
  | 'LIFECYCLE'
  | 'USAGE'
  | 'INTERNAL'

/** `ERR_<AREA>_<WHAT>`: stable, for programs to match on. */
export type ErrorCode = `ERR_${ErrorArea}_${string}`

/** Every error this program raises on purpose. Match on `code`, never on `message`. */
export class GatewayError extends Error {
  readonly code: ErrorCode
  /** True when the same call may succeed later without anyone changing anything. */
  readonly retryable: boolean

  constructor(code: ErrorCode, message: string, options: { cause?: unknown; retryable?: boolean } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = new.target.name
    this.code = code
    this.retryable = options.retryable ?? false
  }
}

/** The text of anything that was thrown. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown)
}

/** The `code` of a Node.js system error (`EADDRINUSE`, `ENOENT`, ...), else undefined. */
export function systemCodeOf(thrown: unknown): string | undefined {
  if (!(thrown instanceof Error) || !('code' in thrown)) return undefined
  return typeof thrown.code === 'string' ? thrown.code : undefined
}
