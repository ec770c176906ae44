/** What the machine towards a back-end is told at its start, and what it asks of its driver. */
import type { BackendReason, BackendStep } from '../../base/log.ts'
import type { ClientAttributes } from './client-attributes.ts'
import type { RawReply } from './reply-reader.ts'

export interface BackEndOptions {
  readonly protocol: 'smtp' | 'lmtp'
  /** What we call ourselves. */
  readonly hostname: string
  readonly startTls: boolean
  /** Whom the whole connection is for, told by XCLIENT where that is offered. */
  readonly client: ClientAttributes | undefined
}

export interface BackEndFailure {
  readonly step: BackendStep
  readonly reason: BackendReason
  readonly detail: string
  /** It said 421, and no recipient has the message: it is going away in good order. */
  readonly isShutdown: boolean
}

export type BackEndAction =
  | { readonly do: 'send'; readonly text: string }
  | { readonly do: 'start-tls' }
  | { readonly do: 'ready' }
  /** The answer to the oldest recipient without one: the refusal of MAIL, where that was refused. */
  | { readonly do: 'recipient'; readonly reply: RawReply }
  /** The answer to DATA: 354, or a refusal. */
  | { readonly do: 'data'; readonly reply: RawReply }
  /** After the end of data: one reply, or with LMTP one for each accepted recipient, in order. */
  | { readonly do: 'message'; readonly replies: readonly RawReply[] }
  | ({ readonly do: 'fail' } & BackEndFailure)
