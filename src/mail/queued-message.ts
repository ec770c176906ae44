/** What a queue has, as a person or a script is told. The shape is that of `mailmux queue … --json`. */

export interface QueuedRecipient {
  readonly address: string
  readonly result: 'owed' | 'delivered' | 'failed' | 'removed'
  readonly backend?: string
  /** SMTP code and enhanced status code, where a reply decided. */
  readonly code?: number
  readonly status?: string
  /** Why it is still owed, or what was said of it. */
  readonly text: string
}

export interface QueuedMessage {
  readonly id: string
  readonly state: 'waiting' | 'active' | 'quarantined'
  /** ISO 8601, UTC. */
  readonly arrived?: string
  readonly age_ms?: number
  /** Bytes of the message. */
  readonly size: number
  /** Envelope sender; '' for the null path. */
  readonly sender?: string
  readonly attempts?: number
  /** When it is tried next; absent: now. */
  readonly next?: string
  /** Why it is in quarantine. */
  readonly reason?: string
  readonly recipients: readonly QueuedRecipient[]
}

/** Of many, one part after the other. */
export interface QueuePage {
  readonly messages: readonly QueuedMessage[]
  /** Where the next part begins; absent: this was the last. */
  readonly after?: string
}

export interface QueueChange {
  readonly done: readonly string[]
  /** Ids of which there is no message. */
  readonly unknown: readonly string[]
  /** Messages in quarantine that cannot be read. */
  readonly unreadable: readonly string[]
}

export type QueueRequest =
  | { readonly do: 'list'; readonly after?: string; readonly limit: number }
  | { readonly do: 'show'; readonly ids: readonly string[] }
  /** Without ids: all that wait. */
  | { readonly do: 'retry'; readonly ids?: readonly string[] }
  | { readonly do: 'remove'; readonly ids: readonly string[] }
