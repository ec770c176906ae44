/**
 * What a running daemon can be asked, and its answers: one JSON object a line, over a Unix socket.
 * A request names the version of this language; a daemon that speaks another one says so.
 */
import type { BackendReason, BackendStep, ServiceName } from '../base/log.ts'

export const controlVersion = 1

/** A request is a few words; an answer may list what a large host has. */
export const requestBytes = 65_536
export const answerBytes = 16 * 1024 * 1024

const verbs = ['status', 'reload'] as const
export type Verb = (typeof verbs)[number]

export interface Request {
  readonly v: typeof controlVersion
  readonly do: Verb
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
  /** Users that the map names; absent where the map does not tell. */
  readonly users?: number
  readonly services: readonly ServiceStatus[]
  readonly backends: readonly BackendStatus[]
  readonly workers: readonly WorkerStatus[]
  readonly log_dropped: number
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
  /** Refusals by reason; reasons that did not occur are absent. */
  readonly refused: Readonly<Record<string, number>>
}

export type LoginResult = 'ok' | 'failed' | 'unavailable'
export type MessageResult = 'accepted' | 'deferred' | 'refused'

export interface BackendStatus {
  readonly backend: string
  readonly sessions: number
  readonly errors: readonly {
    readonly step: BackendStep
    readonly reason: BackendReason
    readonly count: number
  }[]
}

export interface WorkerStatus {
  readonly worker: number
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
  return { request: { v: controlVersion, do: verb } }
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
