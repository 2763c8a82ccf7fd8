import { GatewayError, messageOf } from './errors.ts'

/** Something that runs: started once, stopped for good. */
export interface Service {
  readonly name: string
  /** Resolves once the service does its job; rejects, leaving nothing running, if it cannot. */
  start(signal: AbortSignal): Promise<void>
  /** Idempotent. Resolves when every socket, timer, child and file of the service is gone. */
  stop(): Promise<void>
}

/** Services started in order and stopped in reverse; a failed start undoes what had started. */
export class ServiceGroup implements Service {
  readonly name: string
  readonly #services: readonly Service[]
  #started: Service[] = []

  constructor(name: string, services: readonly Service[]) {
    this.name = name
    this.#services = services
  }

  async start(signal: AbortSignal): Promise<void> {
    for (const service of this.#services) {
      try {
        signal.throwIfAborted()
        await service.start(signal)
      } catch (cause) {
        await this.stop().catch(() => {})
        if (cause instanceof GatewayError) throw cause
        throw new GatewayError('ERR_LIFECYCLE_START_FAILED', `${service.name} did not start: ${messageOf(cause)}`, {
          cause,
        })
      }
      this.#started.push(service)
    }
  }

  async stop(): Promise<void> {
    const failures: unknown[] = []
    for (let service = this.#started.pop(); service !== undefined; service = this.#started.pop()) {
      try {
        await service.stop()
      } catch (failure) {
        failures.push(failure)
      }
    }
    if (failures.length > 0) throw new AggregateError(failures, `${this.name} did not stop cleanly`)
  }
}
