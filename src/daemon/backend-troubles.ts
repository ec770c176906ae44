/** What went wrong last with each back-end, by service: what a person wants to read first. */
import type { BackendReason, BackendStep, EventFields, ServiceName } from '../base/log.ts'

export interface BackendTrouble {
  readonly backend: string
  readonly service: ServiceName
  readonly step: BackendStep
  readonly reason: BackendReason
  readonly detail: string
  /** Milliseconds of the epoch. */
  readonly at: number
}

export class BackendTroubles {
  readonly #last = new Map<string, BackendTrouble>()

  note({ backend, service, step, reason, detail }: EventFields['backend'], at: number): void {
    this.#last.set(`${backend} ${service}`, { backend, service, step, reason, detail, at })
  }

  /** The last of each back-end and service. */
  get newest(): readonly BackendTrouble[] {
    return [...this.#last.values()]
  }

  /** Forgets back-ends that are no longer in the config. */
  keepOnly(known: ReadonlyMap<string, unknown>): void {
    for (const [key, { backend }] of this.#last) {
      if (!known.has(backend)) this.#last.delete(key)
    }
  }
}
