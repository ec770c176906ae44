/**
 * The conversation until login, as both sides of a proxy see it: what the machines of each protocol
 * ask their driver to do, and what the driver tells them. Machines are pure: bytes in, actions out;
 * they never wait, look up, or read a clock. All bytes of text are latin1 strings (one character an
 * octet), so that nothing is re-encoded on its way.
 */
import type { BackendReason, BackendStep, RefusalReason, SessionEnd } from '../base/log.ts'
import type { Mechanism } from '../config/config.ts'
import type { Exchange } from './sasl/exchange.ts'
import type { ClientAttributes } from './smtp/client-attributes.ts'

export interface Credentials {
  /** The name as typed, decoded from UTF-8. */
  readonly login: string
  /** The password's octets as a latin1 string. Never logged. */
  readonly password: string
  /** Whom an administrator acts for: only SASL PLAIN can say it. Never taken from a client. */
  readonly actsFor?: string
}

/** Whom a back-end hears of before the login. */
export interface Introduction {
  /** Us. */
  readonly hostname: string
  /** The client; undefined where the back-end is told nothing. */
  readonly client: ClientAttributes | undefined
  /** The back-end has offered to take commands in a row. RFC 2449 section 6.6. */
  readonly isPipelining?: boolean
}

/** What a client logs in with: what we know all of, or what only its back-end can judge. */
export type LoginProof = Credentials | Exchange

/** What a front-end machine asks for, in order. */
export type FrontEndAction =
  | { readonly do: 'send'; readonly text: string }
  /** Upgrade to TLS once all text before it has been sent. The machine takes no input until then. */
  | { readonly do: 'start-tls' }
  /** Find the route, connect, log in; answered by `loginAnswered`. No input is parsed until then. */
  | { readonly do: 'log-in'; readonly credentials: Credentials }
  /** The same with an exchange; before its answer the back-end may have its say: `challenged`. */
  | { readonly do: 'exchange'; readonly exchange: Exchange }
  /**
   * The same as whom the client's certificate names, who must be `login` where that is not ''.
   * Answered by `loginAnswered`.
   */
  | { readonly do: 'claim'; readonly login: string }
  /** Pass on what the client answered to `challenged`; answered as `exchange` is. */
  | { readonly do: 'respond'; readonly message: string }
  /** The client has broken off an exchange: nothing is awaited of it any more. */
  | { readonly do: 'abandon' }
  /**
   * Wait out the brake for a failed login (attempt number, from 1), then call `resume`. For failures
   * that the machine sees without a back-end, so that they take the same time as a wrong password.
   */
  | { readonly do: 'brake'; readonly attempt: number }
  /** Report and count; the machine's reply is an action of its own. */
  | { readonly do: 'refuse'; readonly reason: RefusalReason }
  /** Join client and back-end: from now on bytes only. Follows the reply to a login that succeeded. */
  | { readonly do: 'join' }
  /** Close after what was sent. Nothing follows. */
  | { readonly do: 'close'; readonly end: SessionEnd }

/** Whether the machine takes no input until this has been answered. */
export function isAwaited(action: FrontEndAction): boolean {
  return ['log-in', 'exchange', 'claim', 'respond', 'brake'].includes(action.do)
}

/** What a client has logged in with. */
export function proofOf(
  action: Extract<FrontEndAction, { readonly do: 'log-in' | 'exchange' }>,
): LoginProof {
  return action.do === 'log-in' ? action.credentials : action.exchange
}

/** How a login ended, for the front-end machine. */
export type LoginOutcome =
  | { readonly kind: 'accepted'; readonly response: AcceptedLogin }
  /** Wrong password, unknown user, unknown domain: one kind, one answer. */
  | { readonly kind: 'refused' }
  /** The back-end is down, silent or overloaded; the lookup failed; we are shutting down. */
  | {
      readonly kind: 'unavailable'
      /** When to come again: another for each, so that those who hear it together come apart. */
      readonly retrySeconds?: number
    }
  /** The back-end refused for a reason that its user should read, with a safe response code. */
  | { readonly kind: 'denied'; readonly code: string; readonly text: string }

type Unavailable = Extract<LoginOutcome, { kind: 'unavailable' }>

/** What the user of a login that could not be tried may read. */
export function unavailableText(outcome: Unavailable): string {
  const { retrySeconds: seconds } = outcome
  const when = seconds === undefined ? 'later' : `in ${seconds} seconds`
  return `Your mailbox cannot be reached now, try again ${when}.`
}

/** What a back-end said when it took the login. */
export interface AcceptedLogin {
  /** Text of its OK without tag, status word or response code; cleaned of control bytes. */
  readonly text: string
  /** IMAP: the capabilities after login, without the word CAPABILITY; '' where it gave none. */
  readonly capabilities: string
}

/** The side towards the client. One object a session. */
export interface LoginFrontEnd {
  /** What to send on connect. */
  readonly greeting: string
  /** True once TLS is up (from the start on an implicit listener). */
  readonly secure: boolean
  /** What the client has said of itself that back-ends may hear. */
  readonly introduction: ClientAttributes
  /** Takes bytes from the client. What follows a `log-in`, `brake` or `start-tls` is kept, unparsed. */
  push(chunk: Buffer): FrontEndAction[]
  /**
   * TLS is up: state from before is forgotten; failure counts are kept. `mechanisms`: what is offered
   * from now on, where that has changed.
   */
  tlsStarted(mechanisms?: readonly Mechanism[]): FrontEndAction[]
  /**
   * Answers `log-in`, `exchange`, `claim` or `respond`. The driver has waited out the brake for a refusal
   * already.
   */
  loginAnswered(outcome: LoginOutcome): FrontEndAction[]
  /** The back-end says octets in an exchange that the client is to answer. */
  challenged(message: string): FrontEndAction[]
  /** Ends a `brake`: the held reply, then what was kept. */
  resume(): FrontEndAction[]
  /** How many logins have failed so far in this session. */
  readonly failedLogins: number
  /** Kept bytes that belong to the back-end, each exactly once: to be called at `join`. */
  takePending(): Buffer
  /** The session has been silent, or unauthenticated, for too long. */
  timedOut(): FrontEndAction[]
  /** The daemon is stopping, or there is no room for another session. */
  shutDown(): FrontEndAction[]
}

/** What a back-end machine asks for, in order. */
export type BackEndAction =
  | { readonly do: 'send'; readonly text: string }
  | { readonly do: 'start-tls' }
  /** Octets of an exchange for the client; answered by `respond`. */
  | { readonly do: 'challenge'; readonly message: string }
  | { readonly do: 'finish'; readonly outcome: BackEndOutcome }

export type BackEndOutcome =
  /** Logged in. `surplus`: bytes that came after the response and belong to the client. */
  | { readonly kind: 'accepted'; readonly response: AcceptedLogin; readonly surplus: Buffer }
  | { readonly kind: 'refused' }
  | { readonly kind: 'denied'; readonly code: string; readonly text: string }
  /** Not usable: the connection is to be destroyed. Credentials may not have been sent. */
  | {
      readonly kind: 'failed'
      readonly step: BackendStep
      readonly reason: BackendReason
      readonly detail: string
    }

/** The side towards the back-end: reads its greeting, upgrades, logs in. One object a connection. */
export interface LoginBackEnd {
  /** Takes bytes from the back-end, which are lent until it returns. */
  push(chunk: Buffer): BackEndAction[]
  tlsStarted(): BackEndAction[]
  /** What the client answered to a `challenge`. */
  respond(message: string): BackEndAction[]
  /** How far it has come, for the event when the connection ends or the time is up. */
  readonly step: BackendStep
}
