/** What a daemon can be asked of its sessions, and of users whose mailboxes are to be left alone. */
import { waits } from '../base/limit.ts'
import type { ServiceName } from '../base/log.ts'

/**
 * How far a session has come. Of proxies: before a login, with a login that waits for the thaw of its
 * user, joined to a back-end. Of the relay: between two messages, or with one under way.
 */
export type SessionState = 'before_login' | 'held' | 'joined' | 'idle' | 'message'

/** Which sessions: all that fit to each that is given. */
export interface SessionFilter {
  /** An address of ours, in any spelling. */
  readonly user?: string
  readonly backend?: string
  readonly service?: string
  /** Address of a client, or a network of them. */
  readonly from?: string
}

export interface WhoRequest extends SessionFilter {
  /** From the page before: the last session there of each worker that has more. */
  readonly after?: readonly string[]
  /** Sessions in the answer; at least one of each worker that is asked. */
  readonly limit: number
}

/** `mailmux who --json`; documented in docs/commands.md. */
export interface SessionView {
  readonly session: string
  readonly service: ServiceName
  readonly state: SessionState
  /** Address and port of the client. */
  readonly peer: string
  readonly user?: string
  /** The user's name at the back-end. */
  readonly login?: string
  readonly backend?: string
  /** Milliseconds since the client was accepted. */
  readonly duration_ms: number
  /** From the client, and to it. */
  readonly bytes_in: number
  readonly bytes_out: number
}

export interface WhoPage {
  readonly sessions: readonly SessionView[]
  /** What to ask for next; absent at the end. */
  readonly after?: readonly string[]
  /** Workers that did not answer. */
  readonly silent: readonly number[]
}

export interface KickRequest extends SessionFilter {
  readonly user: string
}

export interface KickReport {
  /** Canonical address. */
  readonly user: string
  /** Sessions that were ended. */
  readonly sessions: number
  readonly silent: readonly number[]
}

export interface FreezeRequest {
  /** An address of ours, in any spelling. */
  readonly user: string
  /** Of the move that wants it: older ones are refused. */
  readonly epoch: number
  /** For how long, if nobody asks again; milliseconds, at most ten minutes. */
  readonly ttl_ms: number
}

export interface FreezeReport {
  /** Canonical address. */
  readonly user: string
  readonly epoch: number
  /**
   * Nothing is under way to the mailbox any more, in any process of this daemon, and nothing will be
   * let in before the thaw.
   */
  readonly complete: boolean
  /** An epoch that is younger than the one asked for: nothing was done. */
  readonly superseded_by?: number
  /** How long the mailbox has been frozen without a gap, under this epoch; milliseconds. */
  readonly frozen_ms: number
  /** When it ends by itself; milliseconds from now. */
  readonly expires_ms: number
  readonly processes: readonly FreezeAnswer[]
}

/** Of one worker, or the queue. */
export interface FreezeAnswer {
  readonly worker: number
  readonly complete: boolean
  /** What was under way and has ended, or not. */
  readonly sessions: number
  readonly deliveries: number
}

export interface ThawRequest {
  readonly user: string
  readonly epoch: number
}

export interface ThawReport {
  readonly user: string
  readonly epoch: number
  /** False where it was not frozen, or is for a younger epoch. */
  readonly thawed: boolean
  readonly superseded_by?: number
}

export interface DrainRequest {
  /** How long sessions may go on; milliseconds. */
  readonly within_ms: number
}

export interface RestartReport {
  /** Those that serve now. */
  readonly workers: number
  /** Sessions that go on in those of before. */
  readonly sessions: number
}

export interface DrainReport {
  readonly pid: number
  /** Sessions that are open. */
  readonly sessions: number
}

/** As much as goes into one answer. */
const pageLimit = 10_000

/** Reads what a request comes with; undefined where it is not asked so. */
export function parseWho(value: unknown): WhoRequest | undefined {
  const fields = fieldsOf(value)
  const limit = numberOf(fields, 'limit', 1)
  if (fields === undefined || limit === undefined) return undefined
  const { after } = fields
  const page = { ...filterOf(fields), limit: Math.min(limit, pageLimit) }
  if (after === undefined) return page
  return Array.isArray(after) ? { ...page, after: after.map(String) } : undefined
}

export function parseKick(value: unknown): KickRequest | undefined {
  const fields = fieldsOf(value)
  const user = fields?.['user']
  if (fields === undefined || typeof user !== 'string') return undefined
  return { ...filterOf(fields), user }
}

export function parseFreeze(value: unknown): FreezeRequest | undefined {
  const thaw = parseThaw(value)
  const ttl = numberOf(fieldsOf(value), 'ttl_ms', 1)
  return thaw === undefined || ttl === undefined ? undefined : { ...thaw, ttl_ms: ttl }
}

export function parseThaw(value: unknown): ThawRequest | undefined {
  const fields = fieldsOf(value)
  const user = fields?.['user']
  const epoch = numberOf(fields, 'epoch', 0)
  return typeof user !== 'string' || epoch === undefined ? undefined : { user, epoch }
}

export function parseDrain(value: unknown): DrainRequest | undefined {
  const within = numberOf(fieldsOf(value), 'within_ms', 0)
  return within === undefined ? undefined : { within_ms: Math.min(within, waits.mostDrainMs) }
}

type Fields = Readonly<Record<string, unknown>>

function fieldsOf(value: unknown): Fields | undefined {
  return value !== null && typeof value === 'object' ? (value as Fields) : undefined
}

function numberOf(fields: Fields | undefined, key: string, least: number): number | undefined {
  const value = fields?.[key]
  return Number.isSafeInteger(value) && Number(value) >= least ? Number(value) : undefined
}

function filterOf(fields: Fields): SessionFilter {
  const keys = ['user', 'backend', 'service', 'from']
  const given = keys.flatMap((key) => {
    const value = fields[key]
    return typeof value === 'string' ? [[key, value] as const] : []
  })
  return Object.fromEntries(given) as SessionFilter
}
