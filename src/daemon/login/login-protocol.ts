/** What login sessions, their attempts and the protocols have to say to each other. */
import type { LoginClient } from '../../backend/login-client.ts'
import type { EventFields, SessionEnd } from '../../base/log.ts'
import type { LoginService, TlsMode } from '../../config/config.ts'
import type { FarewellReason } from '../../protocol/joined-watch.ts'
import type {
  Introduction,
  LoginBackEnd,
  LoginFrontEnd,
  LoginOutcome,
  LoginProof,
} from '../../protocol/login.ts'
import type { FrontEndOptions } from '../../protocol/login-machine.ts'
import type { ClientProof } from '../certified-login.ts'
import type { AttemptingClient } from '../client-address.ts'
import type { ClientLine } from '../client-line.ts'
import type { Runtime } from '../runtime.ts'

/** What a proxy's protocol is to its driver. */
export interface LoginProtocol {
  readonly service: LoginService
  createFrontEnd(options: FrontEndOptions, runtime: Runtime): LoginFrontEnd
  createBackEnd(tls: TlsMode, proof: LoginProof, introduction: Introduction): LoginBackEnd
  /** Joins a client to the back-end that has taken its login. */
  createJoin(options: JoinOptions): JoinedSession
}

export interface JoinOptions {
  readonly runtime: Runtime
  readonly fields: PeerFields
  /** Gives its socket away. */
  readonly line: ClientLine
  readonly accepted: Accepted
  /** How long no byte may pass in either direction; milliseconds. */
  readonly idleTimeoutMs: number
  /** Called once, when both connections are closed. */
  readonly onEnd: { joinEnded(end: SessionEnd | 'idle'): void }
}

/** A session after its login. Counts what came and went before, too. */
export interface JoinedSession {
  readonly bytesIn: number
  readonly bytesOut: number
  /** With the client: protocol version, '' in clear text. */
  readonly tls: string
  /** The back-end can hear nothing more of it. */
  readonly isCut: boolean
  /** Begins with what was read too far on either side. */
  start(toClient: Buffer, toBackend: Buffer): void
  /** Ends it where the client understands that, or when that has been waited for in vain. */
  end(why: FarewellReason): void
  kill(): void
}

/** The fields of an event that say whose it is. */
export type PeerFields = Pick<EventFields['refuse'], 'service' | 'session' | 'peer'>

/** A login that a back-end took: what the join needs. */
export interface Accepted {
  readonly user: string
  readonly backend: string
  /** The user's name there; undefined where no mailbox of theirs is. */
  readonly login: string | undefined
  readonly client: LoginClient
  /** What the back-end sent after its answer. */
  readonly surplus: Buffer
}

export interface LoginAttemptOptions {
  readonly runtime: Runtime
  readonly protocol: LoginProtocol
  readonly proof: ClientProof
  /** Which failure of this session it would be, from 1. */
  readonly attempt: number
  readonly fields: PeerFields
  readonly client: AttemptingClient
  /** Told later than the constructor returns, unless the attempt is aborted; of its end once. */
  readonly onEnd: {
    /** In an exchange: the client is to answer this, by `respond`. */
    loginChallenged(message: string): void
    /** It waits for the thaw of that user; undefined: no more. */
    loginHeld(user: string | undefined): void
    loginEnded(outcome: LoginOutcome, accepted: Accepted | undefined): void
  }
}
