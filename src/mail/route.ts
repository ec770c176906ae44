/**
 * What a lookup answers. One type for the build's check, `lookup`, `explain` and the daemons.
 */

/** Delivery: where mail goes in. Retrieval: where logins go. */
export type Direction = 'delivery' | 'retrieval'

/** One mailbox at one back-end. */
export interface Destination {
  /** The address to hand to the back-end in RCPT, `+detail` and original spelling kept. */
  readonly address: string
  /** Short name of the back-end. */
  readonly backend: string
  /** The name to log in with there. */
  readonly login: string
  /** The recipient that got another name there: what to ask the map for again; absent where it is `address`. */
  readonly recipient?: string
}

/** A refusal or deferral that the map itself decided, in SMTP's words. */
export interface Verdict {
  readonly code: number
  /** Enhanced status code, such as `5.1.1`; RFC 3463. */
  readonly status: string
  readonly text: string
}

export type Resolution =
  /** One mailbox. `user` is its owner's canonical address. */
  | { readonly result: 'route'; readonly user: string; readonly destination: Destination }
  /** An alias: every final place, each once; `owner` is the envelope sender to use, if any. */
  | {
      readonly result: 'expand'
      readonly user: string
      readonly destinations: readonly Destination[]
      readonly owner?: string
    }
  | ({ readonly result: 'reject'; readonly user: string } & Verdict)
  | ({ readonly result: 'defer'; readonly user: string } & Verdict)
  /** A domain of ours, and nobody of that name. */
  | { readonly result: 'unknown'; readonly user: string }
  /** Not a domain of ours: relaying denied. */
  | { readonly result: 'foreign' }
  /** The lookup itself failed (damaged record, expansion limit): temporary, never a default. */
  | {
      readonly result: 'error'
      readonly user: string
      readonly reason: string
      /** It is the expansion of an alias that failed: a circle, or too many members. */
      readonly isExpansion?: true
    }
