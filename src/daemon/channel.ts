/**
 * What supervisor and worker say to each other. New settings come in two steps, so that either every
 * worker has them or none: `prepare` builds and opens all that they need and changes nothing;
 * `commit` puts it in force and cannot fail; `abort` throws it away.
 */
import type { Service } from '../config/config.ts'
import type { BreakerReport, SpoolStatus } from '../control/messages.ts'
import type { FreezeAnswer, SessionFilter } from '../control/session-messages.ts'
import type { QueueChange, QueuePage, QueueRequest } from '../mail/queued-message.ts'
import type { KnownChanges } from '../map/state/override-reader.ts'
import type { SpoolUsage } from '../spool/file-spool-writer.ts'
import type { BoardShare } from './admission/boards.ts'
import type { GuessReport } from './admission/guess-counts.ts'
import type { BackendTrouble } from './backend-troubles.ts'
import type { Counts } from './counters.ts'
import type { FreezeNotice } from './freezes.ts'
import type { Settings } from './settings.ts'

export type Ask =
  | {
      readonly do: 'prepare'
      readonly settings: Settings
      readonly changes: KnownChanges
      /** The worker's place among counts that all share; undefined where there is none for it. */
      readonly board: BoardShare | undefined
      /** Mailboxes that are frozen now. */
      readonly freezes: readonly FreezeNotice[]
    }
  | { readonly do: 'commit' }
  | { readonly do: 'abort' }
  | { readonly do: 'report' }
  /** To the queue: these messages have come into the spool. */
  | { readonly do: 'spooled'; readonly ids: readonly string[] }
  /** To the queue: there may be messages in the spool that nobody has told of. */
  | { readonly do: 'look' }
  /** To the queue: a back-end that was down takes messages again. */
  | { readonly do: 'backend-up'; readonly backend: string }
  /** To workers: what the spool holds. */
  | { readonly do: 'spool-usage'; readonly usage: SpoolUsage }
  /** To the queue: what an administrator wants of it. */
  | { readonly do: 'queue'; readonly request: QueueRequest }
  /** To workers: which sessions there are, after that one and up to so many. */
  | { readonly do: 'who'; readonly filter: SessionFilter; readonly after: number; limit: number }
  /** To workers: end these sessions. */
  | { readonly do: 'kick'; readonly filter: SessionFilter }
  /** To all: let nothing change that mailbox, and answer when nothing is under way to it any more. */
  | { readonly do: 'freeze'; readonly notice: FreezeNotice }
  | { readonly do: 'thaw'; readonly user: string; readonly epoch: number }
  /** Take nothing new, let sessions end, end them, exit. */
  | ({ readonly do: 'stop' } & Drain)

export interface Drain {
  /** How long sessions may take to end. */
  readonly drainMs: number
  /** Joined ones are asked to end only after that time. */
  readonly patient?: boolean
  /** The first part of that time, in which nobody is asked to end, and who logs in is joined. */
  readonly graceMs?: number
}

export interface Replies {
  prepare: PrepareReply
  commit: null
  abort: null
  report: WorkerReport
  spooled: null
  look: null
  'backend-up': null
  'spool-usage': null
  queue: QueuePage | QueueChange
  who: SessionPage
  /** How many there were. */
  kick: number
  freeze: FreezeAck
  thaw: null
  /** False where sessions had to be ended. The exit follows. */
  stop: { readonly drained: boolean }
}

export interface SessionPage {
  /** SessionViews as JSON, with commas between them. */
  readonly views: string
  /** The last of them, where there may be more. */
  readonly last?: string
}

export type FreezeAck = Omit<FreezeAnswer, 'worker'>

export type PrepareReply =
  | { readonly prepared: true; readonly generation: number }
  | { readonly prepared: false; readonly problems: readonly string[] }

/** Sessions that are open now and have got as far as that back-end. */
export interface SessionCount {
  readonly service: Service
  readonly backend: string | undefined
  readonly count: number
}

export interface WorkerReport {
  /** Of the map in force; undefined before the first. */
  readonly generation: number | undefined
  readonly sessions: readonly SessionCount[]
  readonly counters: Counts
  readonly logDropped: number
  /** The last trouble with each back-end. */
  readonly troubles: readonly BackendTrouble[]
  /** Whether places that messages are sent to are tried just now. */
  readonly breakers: readonly BreakerReport[]
  /** Of the queue: what the spool holds. */
  readonly spool?: SpoolStatus
  /** Memory of the process that is in use. */
  readonly residentBytes: number
  /** Of workers: failed logins of the last minute. */
  readonly guesses?: GuessReport | undefined
}

export interface ToWorker {
  readonly id: number
  readonly ask: Ask
}

export type FromWorker =
  /** The worker listens to its supervisor. `version`: of the package that it runs, if it is new enough. */
  | { readonly kind: 'hello'; readonly version?: string }
  | { readonly kind: 'reply'; readonly id: number; readonly reply: Replies[Ask['do']] }
  /** The last numbers, before the exit. */
  | { readonly kind: 'report'; readonly report: WorkerReport }
  /** The worker has put messages into the spool. */
  | { readonly kind: 'spooled'; readonly ids: readonly string[] }
  /** What the spool holds, from the queue. */
  | { readonly kind: 'spool-usage'; readonly usage: SpoolUsage }
  /** The worker met a fault of ours: it takes nothing new and exits when its sessions have ended. */
  | { readonly kind: 'failing' }
