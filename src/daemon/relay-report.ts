/** What is written down of one session of the relay: in the log, and in the messages it passes on. */
import type { RefusalReason, SessionEnd } from '../base/log.ts'
import type { BackEndFailure } from '../protocol/smtp/back-end-action.ts'
import { formatTrace } from '../protocol/smtp/trace.ts'
import type { MessageFate } from './relay-delivery.ts'
import type { Runtime } from './runtime.ts'

/** A message that was complete, as it came from the client. */
export interface SentMessage {
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
  /** Address of the client. */
  readonly client: string
  readonly #runtime: Runtime
  readonly #fields: { service: 'smtp'; session: string; peer: string }
  readonly #startedAt = performance.now()

  constructor(runtime: Runtime, session: string, peer: string) {
    this.#runtime = runtime
    this.#fields = { service: 'smtp', session, peer }
    this.client = peer.replace(/:\d+$/, '').replace(/^\[|\]$/g, '')
  }

  /** Session and peer, for what is kept of a message. */
  get origin(): { readonly session: string; readonly peer: string } {
    const { session, peer } = this.#fields
    return { session, peer }
  }

  /** The header line that says how a message came here. */
  trace({ hello, isExtended, secure }: Introduction, hostname: string): string {
    return formatTrace({
      hello,
      clientAddress: this.client,
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

  /** A member of an alias was refused for good, and nothing tells the sender. */
  unreported(backend: string, code: number): void {
    this.#runtime.log('unreported', { ...this.#fields, backend, code })
  }

  message(sent: SentMessage, code: number, { backend, queue }: MessageFate): void {
    if (code < 300) this.#messages++
    const { recipients, bytes, bareLf } = sent
    const message = { backend, recipients, bytes, code, bare_lf: bareLf }
    const kept = queue === '' ? {} : { queue }
    this.#runtime.log('message', { ...this.#fields, ...message, ...kept })
  }

  /** The client did not wait for the reply: it will send the message again. */
  goneAfterEnd(code: number): void {
    this.#runtime.log('client_gone', { ...this.#fields, code })
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
