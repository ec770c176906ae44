/** What is written down of one session of the relay: in the log, and in the messages it passes on. */
import type { EventFields, RefusalReason, SessionEnd } from '../../base/log.ts'
import type { BackEndFailure } from '../../protocol/smtp/back-end-action.ts'
import {
  formatTrace,
  type Trace,
  type Transmission,
  transmissionOf,
} from '../../protocol/smtp/trace.ts'
import type { RawReply } from '../../protocol/smtp/reply-reader.ts'
import type { ClientLine } from '../client-line.ts'
import type { RelayClient } from './relay-client.ts'
import type { Kept, MessageFate } from './relay-delivery.ts'
import type { Origin } from './relay-spool.ts'
import type { Runtime } from '../runtime.ts'

/** A message that was complete, as it came from the client. */
export interface SentMessage {
  readonly recipients: number
  readonly bytes: number
  readonly bareLf: number
  /** Whose message it is, as the client told. */
  readonly client: string | undefined
}

/** How the session went. */
export interface SessionTotals {
  readonly end: SessionEnd
  readonly line: ClientLine | undefined
  readonly backend: string | undefined
  readonly generation: number
}

/** What the header line says of a message, beside its session. */
export interface Passage {
  readonly client: RelayClient
  readonly hello: string
  readonly session: Transmission
  readonly hostname: string
  readonly tls: Trace['tls']
  readonly recipient: string | undefined
}

export class RelayReport {
  /** Messages that were accepted. */
  #messages = 0
  readonly #runtime: Runtime
  readonly #fields: { service: 'smtp' | 'lmtp'; session: string; peer: string }
  readonly #startedAt = performance.now()

  constructor(runtime: Runtime, service: 'smtp' | 'lmtp', session: string, peer: string) {
    this.#runtime = runtime
    this.#fields = { service, session, peer }
  }

  /** Address of the client. */
  get client(): string {
    return this.#fields.peer.replace(/:\d+$/, '').replace(/^\[|\]$/g, '')
  }

  /** For what is kept of a message. */
  get origin(): Origin {
    return { ...this.#fields }
  }

  /** The session is another client's from now on. */
  set peer(peer: string) {
    this.#fields.peer = peer
  }

  /** The header line that says how a message came here. */
  trace({ client, hello, session, hostname, tls, recipient }: Passage): string {
    const introduced = client.introduced({ hello, isExtended: session.isExtended })
    return formatTrace({
      hello: introduced.hello,
      clientAddress: client.address,
      clientName: client.name,
      hostname,
      transmission: transmissionOf({ ...session, isExtended: introduced.isExtended }),
      tls,
      id: this.#fields.session,
      recipient,
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

  /** A back-end has answered after all, when its sender had been told to try again. */
  late(backend: string, raws: readonly RawReply[], waitedMs: number): void {
    const code = Math.max(...raws.map((raw) => raw.code))
    const late = { backend, code, waited_ms: Math.round(waitedMs) }
    this.#runtime.log('verdict.late', { ...this.#fields, ...late })
  }

  /** A member of an alias was refused for good, and nothing tells the sender. */
  unreported(backend: string, code: number): void {
    this.#runtime.log('unreported', { ...this.#fields, backend, code })
  }

  message(sent: SentMessage, code: number, { backend, kept }: MessageFate): void {
    if (code < 300) this.#messages++
    const { recipients, bytes, bareLf, client } = sent
    const fields = { ...this.#fields, backend, recipients, bytes, code, bare_lf: bareLf }
    const isPlain = kept === undefined && client === undefined
    const origin = client === undefined ? {} : { client }
    const all = isPlain ? fields : { ...fields, ...describeKept(kept), ...origin }
    this.#runtime.log('message', all)
  }

  /** The client did not wait for the reply: it will send the message again. */
  goneAfterEnd(code: number): void {
    this.#runtime.log('client_gone', { ...this.#fields, code })
  }

  ended({ end, line, backend, generation }: SessionTotals): void {
    const { tls = '', bytesIn = 0, bytesOut = 0 } = line ?? {}
    this.#runtime.log('session.end', {
      ...this.#fields,
      end,
      tls,
      duration_ms: Math.round(performance.now() - this.#startedAt),
      bytes_in: bytesIn,
      bytes_out: bytesOut,
      backend,
      messages: this.#messages,
      generation,
    })
  }
}

function describeKept(
  kept: Kept | undefined,
): Pick<EventFields['message'], 'queue' | 'queued_for' | 'refused_by'> {
  if (kept === undefined) return {}
  const { queue, owedAt, refusedBy } = kept
  return {
    queue,
    ...(owedAt === '' ? {} : { queued_for: owedAt }),
    ...(refusedBy === '' ? {} : { refused_by: refusedBy }),
  }
}
