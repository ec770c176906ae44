/** What a session of a proxy tells the log. */
import type { RefusalReason, SessionEnd } from '../../base/log.ts'
import type { LoginOutcome } from '../../protocol/login.ts'
import type { PeerFields } from './login-protocol.ts'
import type { Runtime, Session } from '../runtime.ts'

/** The label of the counter `login`. */
export const loginResults = {
  accepted: 'ok',
  refused: 'failed',
  denied: 'failed',
  unavailable: 'unavailable',
} as const satisfies Record<LoginOutcome['kind'], string>

/** What the session itself does not show. */
interface EndFacts {
  readonly end: SessionEnd
  readonly tls: string
}

export class LoginReport {
  readonly fields: PeerFields
  readonly runtime: Runtime
  /** Of the map that was in force when the session began. */
  readonly #generation: number

  constructor(runtime: Runtime, fields: PeerFields) {
    this.fields = fields
    this.runtime = runtime
    this.#generation = runtime.current.map.generation
  }

  refuse(reason: RefusalReason): void {
    this.runtime.log('refuse', { ...this.fields, reason })
  }

  ended({ startedAt, bytesIn, bytesOut, user, backend }: Session, { end, tls }: EndFacts): void {
    this.runtime.log('session.end', {
      ...this.fields,
      end,
      tls,
      duration_ms: Math.round(performance.now() - startedAt),
      bytes_in: bytesIn,
      bytes_out: bytesOut,
      user,
      backend,
      generation: this.#generation,
    })
  }
}
