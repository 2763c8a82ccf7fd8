/** The broker answered CONNECT with a return code other than 0 [MQTT-3.2.2-4]. */
export class ConnectRefused extends Error {
  readonly returnCode: number

  constructor(returnCode: number) {
    super(`CONNACK with return code ${returnCode}`)
    this.name = 'ConnectRefused'
    this.returnCode = returnCode
  }
}

/** The broker answered these filters with 0x80 [MQTT-3.9.3-2]. */
export class SubscribeRefused extends Error {
  readonly filters: readonly string[]

  constructor(filters: readonly string[]) {
    super(`${filters.length} filters were refused`)
    this.name = 'SubscribeRefused'
    this.filters = filters
  }
}

/** The broker ended the connection without a word. */
export class PeerClosed extends Error {
  /** How long the connection had been there, milliseconds. */
  readonly afterMs: number

  constructor(afterMs: number, options?: { cause?: unknown }) {
    super('the peer closed the connection', options)
    this.name = 'PeerClosed'
    this.afterMs = afterMs
  }
}

/** Nothing came for one and a half times the keep alive, not even an answer to a ping. */
export class KeepaliveLost extends Error {
  constructor() {
    super('nothing came within the keep alive')
    this.name = 'KeepaliveLost'
  }
}

/** The answer to CONNECT, or in phase `subscribe` that to SUBSCRIBE, did not come in time. */
export class ConnackTimeout extends Error {
  constructor() {
    super('the answer did not come in time')
    this.name = 'ConnackTimeout'
  }
}
