import { GatewayError } from '../common/index.ts'

/** The client broke the protocol or asked for what it may not have; its connection is closed. */
export class ProtocolError extends GatewayError {
  constructor(problem: string) {
    super('ERR_PROTOCOL_VIOLATION', problem)
  }
}

/** The CONNECT was refused with this return code (section 3.2.2.3). */
export class ConnectRefused extends GatewayError {
  /** The CONNACK return code; named as in aedes. */
  readonly errorCode: number

  constructor(returnCode: number, reason: string, cause?: unknown) {
    super('ERR_AUTH_CONNECT_REFUSED', reason, { cause })
    this.errorCode = returnCode
  }
}
