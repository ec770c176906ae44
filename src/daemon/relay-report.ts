/** What is written down of one session of the relay: in the log, and in the messages it passes on. */
import type { RefusalReason, SessionEnd } from '../base/log.ts'
import type { BackEndFailure } from '../protocol/smtp/back-end-action.ts'
import { formatTrace } from '../protocol/smtp/trace.ts'
import type { Runtime } from './runtime.ts'

/** A message whose end went to the back-end. */
export interface SentMessage {
  readonly backend: string
  readonly recipients: number
  readonly bytes: number
  readonly bareLf: number
}

/** How the session went, as far as the client's connection tells. */
export interface SessionTotals {
  readonly end: SessionEnd
  readonly tls: string
  readonly bytesIn: number
  readonly bytesOut: number
  readonly backend: string | undefined
  readonly generation: number
}

/** What a client said of itself. */
interface Introduction {
  readonly hello: string
  readonly isExtended: boolean
  readonly secure: boolean
}

export class RelayReport {
  /** Messages that were accepted. */
  #messages = 0
  readonly #runtime: Runtime
  readonly #fields: { service: 'smtp'; session: string; peer: string }
  readonly #startedAt = performance.now()

  constructor(runtime: Runtime, session: string, peer: string) {
    this.#runtime = runtime
    this.#fields = { service: 'smtp', session, peer }
  }

  /** The header line that says how a message came here. */
  trace({ hello, isExtended, secure }: Introduction, hostname: string): string {
    return formatTrace({
      hello,
      clientAddress: this.#fields.peer.replace(/:\d+$/, '').replace(/^\[|\]$/g, ''),
      hostname,
      transmission: isExtended ? (secure ? 'ESMTPS' : 'ESMTP') : 'SMTP',
      id: this.#fields.session,
      date: new Date(),
    })
  }

  refuse(reason: RefusalReason): void {
    this.#runtime.log('refuse', { ...this.#fields, reason })
  }

  fault(detail: string): void {
    this.#runtime.log('internal', { reason: 'delivery_route', detail })
  }

  backendFailed(backend: string, { step, reason, detail }: BackEndFailure): void {
    this.#runtime.log('backend', { ...this.#fields, backend, step, reason, detail })
  }

  uncertain(backend: string): void {
    this.#runtime.log('uncertain', { ...this.#fields, backend })
  }

  message({ backend, recipients, bytes, bareLf }: SentMessage, code: number): void {
    if (code < 300) this.#messages++
    const message = { backend, recipients, bytes, code, bare_lf: bareLf }
    this.#runtime.log('message', { ...this.#fields, ...message })
  }

  ended({ end, tls, bytesIn, bytesOut, backend, generation }: SessionTotals): void {
    this.#runtime.log('session.end', {
      ...this.#fields,
      end,
      tls,
      duration_ms: Math.round(performance.now() - this.#startedAt),
      bytes_in: bytesIn,
      bytes_out: bytesOut,
      ...(backend === undefined ? {} : { backend }),
      messages: this.#messages,
      generation,
    })
  }
}
