import { GatewayError } from '../common/index.ts'

/** The client broke the protocol or asked for what it may not have; its connection is closed. */
export class ProtocolError extends GatewayError {
  /** What exactly, with the clause. */
  readonly problem: string

  constructor(problem: string, message: string = problem) {
    super('ERR_PROTOCOL_VIOLATION', message)
    this.problem = problem
  }
}

/** A packet that has no place at this point of the conversation; told in the words of aedes, with the packet. */
export class MisplacedPacket extends ProtocolError {
  /** The packet, decoded. */
  readonly info: unknown

  constructor(problem: string, info: unknown) {
    super(problem, 'Invalid protocol')
    this.info = info
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
