/**
 * What a running daemon can be asked, and its answers: one JSON object a line, over a Unix socket.
 * A request names the version of this language; a daemon that speaks another one says so.
 */
import type { BackendProtocolName, BackendReason, BackendStep, ServiceName } from '../base/log.ts'
import type { QueueChange, QueuePage, QueueRequest } from '../mail/queued-message.ts'
import { JsonOf } from './json-of.ts'
import {
  type DrainReport,
  type DrainRequest,
  type FreezeReport,
  type FreezeRequest,
  type KickReport,
  type KickRequest,
  parseDrain,
  parseFreeze,
  parseKick,
  parseThaw,
  parseWho,
  type RestartReport,
  type ThawReport,
  type ThawRequest,
  type WhoPage,
  type WhoRequest,
} from './session-messages.ts'

export const controlVersion = 1

/** A request is a few words; an answer may list what a large host has. */
export const requestBytes = 65_536
export const answerBytes = 16 * 1024 * 1024

/** What a verb is asked with; `undefined`: with nothing. */
export interface Details {
  status: undefined
  reload: undefined
  queue: QueueRequest
  who: WhoRequest
  kick: KickRequest
  freeze: FreezeRequest
  thaw: ThawRequest
  drain: DrainRequest
  restart: DrainRequest
}

export type Verb = keyof Details

export interface Request<V extends Verb = Verb> {
  readonly v: typeof controlVersion
  readonly do: V
  readonly with?: Details[V]
}

/** `mailmux status --json`; documented in docs/status.md. Counts are since the daemon's start. */
export interface StatusReport {
  readonly pid: number
  readonly version: string
  readonly started: string
  readonly uptime_ms: number
  readonly state: 'serving' | 'stopping'
  readonly config: string
  readonly generation: number
  /** When the base of the map was built; ISO 8601, UTC. */
  readonly map_built: string
  /** Users that the map names; absent where the map does not tell. */
  readonly users?: number
  /** Where the metrics are; absent where they are not served. */
  readonly metrics?: readonly string[]
  /** Absent where nothing is kept, or the queue does not say. */
  readonly spool?: SpoolStatus
  /** Users who are frozen for a move; absent where nobody is. */
  readonly frozen?: number
  /** Present while more logins fail than are normal. */
  readonly login_alarm?: LoginAlarmStatus
  readonly services: readonly ServiceStatus[]
  readonly backends: readonly BackendStatus[]
  readonly workers: readonly WorkerStatus[]
  readonly log_dropped: number
}

export interface LoginAlarmStatus {
  /** ISO 8601, UTC. */
  readonly since: string
  /** Failed logins of the last minute; the same wrong password again is none. */
  readonly guesses: number
  /** Those that most came from: `203.0.113.0/24 412`. */
  readonly networks: readonly string[]
}

/** What the spool holds now. */
export interface SpoolStatus {
  /** To be delivered: those that are tried now, and those that wait. */
  readonly messages: number
  readonly bytes: number
  /** Being delivered, or about to be. */
  readonly live: number
  /** Waiting for their next attempt. */
  readonly deferred: number
  /** Kept aside, for a person to look at. */
  readonly quarantined: number
  /** Age of the oldest that is to be delivered; milliseconds. */
  readonly oldest_ms: number
}

export interface ServiceStatus {
  readonly service: ServiceName
  readonly listeners: readonly { readonly address: string; readonly tls: string }[]
  readonly sessions: number
  readonly sessions_total: number
  /** Proxies: logins by outcome. */
  readonly logins?: Readonly<Record<LoginResult, number>>
  /** Relay: messages by the final reply. */
  readonly messages?: Readonly<Record<MessageResult, number>>
  /** What came in the last minute: sessions, and logins or messages whatever their outcome. */
  readonly last_minute: {
    readonly sessions: number
    readonly logins?: number
    readonly messages?: number
    readonly refused: number
  }
  /** Refusals by reason; reasons that did not occur are absent. */
  readonly refused: Readonly<Record<string, number>>
}

export type LoginResult = 'ok' | 'failed' | 'unavailable'
export type MessageResult = 'accepted' | 'deferred' | 'refused'

export interface BackendStatus {
  readonly backend: string
  /** Present where it takes no new users. */
  readonly state?: 'draining'
  readonly sessions: number
  readonly protocols: readonly ProtocolStatus[]
  readonly errors: readonly {
    readonly step: BackendStep
    readonly reason: BackendReason
    readonly count: number
  }[]
}

/** One port of a back-end. */
export interface ProtocolStatus {
  readonly protocol: BackendProtocolName
  /** Whether it answers, as sessions and probes have seen. */
  readonly state: 'up' | 'down' | 'unknown'
  /** Since when; ISO 8601, UTC. */
  readonly since: string
  readonly sessions: number
  /** Logins that were tried there. */
  readonly logins?: Readonly<Record<LoginResult, number>>
  /**
   * Messages that had it among their back-ends, by the reply that their senders got; `spooled`: kept
   * for it; `delivered`: recipients to whom it took one from the spool.
   */
  readonly messages?: Readonly<Record<MessageResult | 'spooled' | 'delivered', number>>
  readonly failures: number
  readonly last_minute: { readonly requests: number; readonly failures: number }
  /** SMTP and LMTP: whether new connections are tried; the worst of the workers. */
  readonly breaker?: BreakerState
  readonly last_error?: {
    /** ISO 8601, UTC. */
    readonly at: string
    readonly step: BackendStep | 'probe'
    /** Absent where a probe failed. */
    readonly reason?: BackendReason
    readonly text: string
  }
}

/** `closed`: tried; `open`: not tried just now; `half-open`: one attempt decides. */
export type BreakerState = 'closed' | 'half-open' | 'open'

/** Of one worker. */
export interface BreakerReport {
  readonly backend: string
  readonly protocol: 'smtp' | 'lmtp'
  readonly state: BreakerState
}

export interface WorkerStatus {
  readonly worker: number
  readonly role: 'worker' | 'queue'
  readonly pid: number
  readonly state: 'starting' | 'serving' | 'leaving'
  readonly sessions: number
  readonly uptime_ms: number
  /** How often the worker of this place has been replaced. */
  readonly restarts: number
}

export interface ReloadReport {
  readonly generation: number
  readonly workers: number
  readonly listeners: readonly string[]
}

export interface Answers {
  status: StatusReport
  reload: ReloadReport
  queue: QueuePage | QueueChange
  who: WhoPage
  kick: KickReport
  freeze: FreezeReport
  thaw: ThawReport
  drain: DrainReport
  restart: RestartReport
}

/** Why a request was not done. `problems`: every one of them, a line each. */
export interface Refusal {
  readonly code: string
  readonly message: string
  readonly problems: readonly string[]
}

export type Answer =
  | { readonly v: typeof controlVersion; readonly result: unknown }
  | { readonly v: typeof controlVersion; readonly error: Refusal }

function refusal(code: string, message: string): { refused: Refusal } {
  return { refused: { code, message, problems: [] } }
}

/** Reads one frame of a client. What is no request is a value that says why. */
export function parseRequest(text: string): { request: Request } | { refused: Refusal } {
  const frame = parseObject(text)
  if (frame === undefined) return refusal('BAD_FRAME', 'a request is one JSON object a line')
  if (frame['v'] !== controlVersion) {
    return refusal('BAD_VERSION', `this daemon speaks version ${controlVersion}`)
  }
  const verb = verbs.find((known) => known === frame['do'])
  if (verb === undefined) return refusal('BAD_REQUEST', `known requests: ${verbs.join(', ')}`)
  const read = readers[verb]
  if (read === undefined) return { request: { v: controlVersion, do: verb } }
  const details = read(frame['with'])
  if (details === undefined) return refusal('BAD_REQUEST', `${verb} is not asked so`)
  return { request: { v: controlVersion, do: verb, with: details } }
}

/** How what comes with a verb is read; undefined where nothing does. */
const readers: { readonly [V in Verb]: ((value: unknown) => Details[V] | undefined) | undefined } =
  {
    status: undefined,
    reload: undefined,
    queue: parseQueueRequest,
    who: parseWho,
    kick: parseKick,
    freeze: parseFreeze,
    thaw: parseThaw,
    drain: parseDrain,
    restart: parseDrain,
  }
const verbs = Object.keys(readers) as readonly Verb[]

/** As much as goes into one answer. */
const pageLimit = 1000

function parseQueueRequest(value: unknown): QueueRequest | undefined {
  if (value === null || typeof value !== 'object') return undefined
  const { do: verb, ids, after, limit } = value as Record<string, unknown>
  const named = Array.isArray(ids) ? ids.map(String) : undefined
  if (verb === 'list' && typeof limit === 'number' && limit >= 1) {
    const page = { do: verb, limit: Math.min(limit, pageLimit) } as const
    return typeof after === 'string' ? { ...page, after } : page
  }
  if (verb === 'retry') return named === undefined ? { do: verb } : { do: verb, ids: named }
  if ((verb === 'show' || verb === 'remove') && named !== undefined) return { do: verb, ids: named }
  return undefined
}

/** Reads one frame of a daemon; undefined where it is no answer of this version. */
export function parseAnswer(text: string): Answer | undefined {
  const frame = parseObject(text)
  if (frame === undefined || frame['v'] !== controlVersion) return undefined
  if ('result' in frame) return { v: controlVersion, result: frame['result'] }
  const error = frame['error']
  if (error === null || typeof error !== 'object') return undefined
  const { code, message, problems } = error as Record<string, unknown>
  if (typeof code !== 'string' || typeof message !== 'string') return undefined
  const lines = Array.isArray(problems) ? problems.map(String) : []
  return { v: controlVersion, error: { code, message, problems: lines } }
}

/** The line for a frame, with its end. */
export function formatFrame(frame: Request | Answer): string {
  if ('result' in frame && frame.result instanceof JsonOf) {
    return `{"v":${frame.v},"result":${frame.result.text}}\n`
  }
  return `${JSON.stringify(frame)}\n`
}

function parseObject(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text)
    const isObject = value !== null && typeof value === 'object' && !Array.isArray(value)
    return isObject ? (value as Record<string, unknown>) : undefined
  } catch {
    return undefined
  }
}
