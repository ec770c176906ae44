/** Envelope and journal → how far a message has come. Pure; the journal is the truth. */
import type { JournalRecord, LostReason, Outcome } from './journal.ts'
import type { MessageHead } from './message-format.ts'
import type { SpooledRecipient } from './spooled-message.ts'

export interface RecipientProgress {
  readonly index: number
  readonly recipient: SpooledRecipient
  /** `owed`: somebody must still get it, or be told. The other results are final. */
  readonly result: 'owed' | 'delivered' | 'failed' | 'removed'
  readonly backend: string | undefined
  readonly code: number | undefined
  readonly status: string
  /** Why it is still owed, or what was said of it in the end. */
  readonly text: string
  /** Whoever has the message now tells the sender of its success. */
  readonly isToldThere?: true
  /** The sender has heard of the final outcome, or need not. */
  readonly isReported: boolean
  /** The sender has heard of the delay, or need not. */
  readonly isWarned: boolean
}

export interface Progress {
  readonly recipients: readonly RecipientProgress[]
  /** Attempts that came to an end. */
  readonly attempts: number
  /** An attempt began and its end was not written down. */
  readonly isInAttempt: boolean
  /** How often an attempt has ended the process. */
  readonly crashes: number
  /** When the next attempt is due by the clock on the wall; undefined: at once. */
  readonly nextAt: number | undefined
  /** Notifications written so far. */
  readonly notifications: number
  /** Why nobody heard of a failure that somebody should have heard of. */
  readonly lost: LostReason | undefined
}

type Mutable = { -readonly [Key in keyof RecipientProgress]: RecipientProgress[Key] }

export function progressOf(head: MessageHead, records: readonly JournalRecord[]): Progress {
  const recipients = head.envelope.recipients.map(beginning)
  let attempts = 0
  let isInAttempt = false
  let crashes = 0
  let nextAt: number | undefined
  let notifications = 0
  let lost: LostReason | undefined
  for (const record of records) {
    switch (record.do) {
      case 'attempt':
        isInAttempt = true
        break
      case 'outcomes':
        for (const outcome of record.outcomes) apply(outcome, recipients)
        break
      case 'ended':
        attempts++
        isInAttempt = false
        crashes = 0
        nextAt = record.next
        break
      case 'interrupted':
        isInAttempt = false
        if (record.crashed) crashes++
        break
      case 'reported':
        if (record.notification !== undefined) notifications++
        lost ??= record.lost
        for (const index of record.recipients) markReported(recipients[index], record.of)
        break
      case 'released':
        crashes = 0
        nextAt = undefined
        break
      default:
        record satisfies never
    }
  }
  return { recipients, attempts, isInAttempt, crashes, nextAt, notifications, lost }
}

function beginning(recipient: SpooledRecipient, index: number): Mutable {
  const { state } = recipient
  const start = { index, recipient, isReported: false, isWarned: false, code: undefined }
  switch (state.kind) {
    case 'owed':
      return { ...start, result: 'owed', backend: state.backend, status: '', text: state.reason }
    case 'refused': {
      const { code, status, lines } = state.reply
      const text = lines.join(' ')
      return { ...start, result: 'failed', backend: state.backend, code, status, text }
    }
    case 'expanded': {
      const text = 'sent on to the addresses that it stands for'
      return { ...start, result: 'delivered', backend: undefined, status: '2.0.0', text }
    }
    default:
      return state satisfies never
  }
}

/** What is final stays so, whatever else is written. */
function apply({ recipients, result, ...said }: Outcome, all: readonly Mutable[]): void {
  for (const index of recipients) {
    const one = all[index]
    if (one?.result !== 'owed') continue
    Object.assign(one, said, { result: result === 'deferred' ? 'owed' : result })
  }
}

function markReported(one: Mutable | undefined, of: 'failure' | 'success' | 'delay'): void {
  if (one === undefined) return
  if (of === 'delay') one.isWarned = true
  else one.isReported = true
}
