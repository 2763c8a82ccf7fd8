import { systemCodeOf } from '../../common/index.ts'

/** How far an attempt to connect has come. `lookup`: the address of the name is asked for. */
export type Stage = 'lookup' | 'tcp' | 'tls' | 'websocket'

/** An attempt failed; `cause` is what Node.js said. */
export class OpenFailed extends Error {
  readonly stage: Stage
  /** That of the cause, such as `ECONNREFUSED`. */
  readonly code: string | undefined

  constructor(stage: Stage, cause: Error) {
    super(cause.message, { cause })
    this.name = 'OpenFailed'
    this.stage = stage
    this.code = systemCodeOf(cause)
  }
}

/** The time for an attempt was over. */
export class OpenTimeout extends Error {
  readonly stage: Stage
  readonly afterMs: number

  constructor(stage: Stage, afterMs: number) {
    super(`the ${stage} stage was not done after ${afterMs} ms`)
    this.name = 'OpenTimeout'
    this.stage = stage
    this.afterMs = afterMs
  }
}

/** A web server that did not switch to WebSocket. */
export class UpgradeRefused extends Error {
  /** Of HTTP, such as 404. */
  readonly status: number
  /** What the server calls it. */
  readonly statusText: string
  /** Where it sends us instead; mostly empty. */
  readonly location: string

  constructor(status: number, statusText: string, location: string) {
    super(`HTTP ${status}`)
    this.name = 'UpgradeRefused'
    this.status = status
    this.statusText = statusText
    this.location = location
  }
}

/** The peer closed a WebSocket and said why. */
export class WebSocketClosed extends Error {
  /** Of RFC 6455, 7.4, such as 1008. */
  readonly closeCode: number
  readonly reason: string

  constructor(closeCode: number, reason: string) {
    super(`the peer closed the WebSocket with code ${closeCode}`)
    this.name = 'WebSocketClosed'
    this.closeCode = closeCode
    this.reason = reason
  }
}
