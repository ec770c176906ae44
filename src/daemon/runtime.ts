/**
 * What a session may use of the worker that it runs in. Configuration, map and certificates change
 * together, as one `Generation`: a session takes `current` when it needs one and keeps it for as
 * long as a decision must not change under it.
 */
import type { SecureContext } from 'node:tls'
import type { Log, ServiceName } from '../base/log.ts'
import type { Config, ListenerConfig } from '../config/config.ts'
import type { BreakerReport } from '../control/messages.ts'
import type { SessionState } from '../control/session-messages.ts'
import type { MapReader } from '../map/open.ts'
import type { Connection } from '../net/connection.ts'
import type { ServerTls } from '../net/tls.ts'
import type { FarewellReason } from '../protocol/joined-watch.ts'
import type { SpoolWriter } from '../spool/spooled-message.ts'
import type { AdminLogins } from './admin-logins.ts'
import type { LoginBrakes } from './admission/login-brakes.ts'
import type { Freeze, FreezeTable } from './freezes.ts'
import type { LoginVerifier } from './login/login-verifier.ts'
import type { LoginTurns } from './login/login-turns.ts'

export interface Generation {
  readonly config: Config
  readonly map: MapReader
  /** Certificates towards clients; undefined where none are configured. */
  readonly serverTls: ServerTls | undefined
  /** Trust towards each back-end by name: contexts with its `tls_ca`. */
  readonly backendTls: ReadonlyMap<string, SecureContext>
  /** Undefined where back-ends judge logins. */
  readonly verifier?: LoginVerifier | undefined
  /** Who logs in for clients with a certificate; undefined where none are asked for. */
  readonly certified?: AdminLogins | undefined
  /** For the login at the smarthost; undefined where there is none. */
  readonly smarthostPassword?: string | undefined
}

/** A connected client, from accept to end. Implemented by front-end/*. */
export interface Session {
  readonly id: string
  readonly service: ServiceName
  readonly peer: string
  readonly startedAt: number
  /** Canonical user and back-end, once known. */
  readonly user: string | undefined
  readonly backend: string | undefined
  /** The user's name at the back-end. */
  readonly login: string | undefined
  readonly state: SessionState
  /** From the client and to it. */
  readonly bytesIn: number
  readonly bytesOut: number
  /** Ends at the next boundary at which nothing is lost, with the protocol's words for it. */
  shutdown(why?: FarewellReason): void
  /** Ends now. */
  kill(): void
  /** Whether what it has under way may yet change a mailbox that is to be frozen. */
  concerns(freeze: Freeze): boolean
  /** Ends that, as soon as nothing is lost by it; `isLast`: now, whatever is lost. */
  yieldTo(freeze: Freeze, isLast: boolean): void
}

/** Counts since the worker's start; summed up over the workers by the supervisor. */
export interface Counters {
  /** Adds one; `name` is an event or counter name, `labels` its values joined with a comma. */
  count(name: string, labels?: string, by?: number): void
  snapshot(): Readonly<Record<string, number>>
}

export interface Runtime {
  /** The newest generation. */
  readonly current: Generation
  /** True once the worker takes no new sessions or transactions. */
  readonly draining: boolean
  /** So few sessions more have room that nobody is waited for long. */
  readonly isCrowded: boolean
  /** Reports an event; a worker's log also counts it. */
  readonly log: Log
  readonly counters: Counters
  /** Random octets that the workers of this host share, for what nobody else may foretell. */
  readonly secret: Uint8Array
  /** Mailboxes that nothing may change for now. */
  readonly freezes: FreezeTable
  /** Where messages go that are still owed to somebody; undefined where none are taken. */
  readonly spool: SpoolWriter | undefined
  /** Registers a session; returns what its end must call, once. */
  enter(session: Session): () => void
  /** Counts a message, or a recipient, of a client: whether it is one too many in its time. */
  isMessageOver(address: string): boolean
  isRecipientOver(address: string): boolean
  /** What is known of failed logins, and whose turn it is to be tried. */
  readonly brakes: LoginBrakes
  readonly turns: LoginTurns
  /** Has `breakers` asked whenever this worker tells its numbers. */
  reportBreakers(breakers: () => readonly BreakerReport[]): void
  /** Number for a new session, unique for the life of the daemon. */
  nextSessionId(): string
}

/** What each of front-end/* exports: takes over an accepted socket. */
export interface StartSession {
  (socket: Connection, listener: ListenerConfig, runtime: Runtime): void
  /** A new generation is in force. */
  readonly renewed?: (runtime: Runtime) => void
}
