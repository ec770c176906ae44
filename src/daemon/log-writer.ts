/**
 * Events → one JSON line each on stdout, counted and, where peers can cause them at will, limited to
 * a few a second of each kind with the sum of the others. Nothing here waits.
 */
import { type Logger, pino } from 'pino'
import type { EventFields, EventName, Log } from '../base/log.ts'
import { BurstLimit } from './burst-limit.ts'
import { countEvent } from './count-event.ts'
import { LineOutput } from './line-output.ts'
import type { Counters } from './runtime.ts'

/** Of one kind in a second; more are summed up. */
const burst = 10
/** Where it is another number: what sessions come to that do nothing is told by this alone. */
const bursts: Readonly<Partial<Record<EventName, number>>> = { 'session.end': 100 }

type Level = 'info' | 'warn' | 'error'

const levels: Readonly<Partial<Record<EventName, Level>>> = {
  'daemon.user_kept': 'warn',
  'reload.refused': 'warn',
  'map.changes_unread': 'error',
  'worker.delayed': 'error',
  'worker.hung': 'error',
  'worker.refused': 'error',
  refuse: 'warn',
  'client.certificate': 'warn',
  backend: 'warn',
  uncertain: 'warn',
  unreported: 'warn',
  'verdict.late': 'warn',
  'spool.quarantined': 'error',
  'spool.odd': 'warn',
  'clock.stepped': 'warn',
  internal: 'error',
  'log.suppressed': 'warn',
  'log.dropped': 'error',
}

/** A worker that ended as it was told to is no news; every other end of one is. So with back-ends. */
function levelOf<Name extends EventName>(name: Name, fields: EventFields[Name]): Level {
  if (name === 'backend.state') {
    return (fields as EventFields['backend.state']).state === 'up' ? 'info' : 'warn'
  }
  if (name === 'login.alarm') {
    return (fields as EventFields['login.alarm']).state === 'over' ? 'info' : 'warn'
  }
  if (name === 'move.settled') {
    return (fields as EventFields['move.settled']).problems.length === 0 ? 'info' : 'warn'
  }
  if (name !== 'worker.exited') return levels[name] ?? 'info'
  return (fields as EventFields['worker.exited']).code === 0 ? 'info' : 'warn'
}

export interface LogWriter extends AsyncDisposable {
  readonly log: Log
  /** Lines that were dropped so far. */
  readonly dropped: number
  /** Resolves when all is written; a slow reader is waited for at most two seconds. */
  finish(): Promise<void>
  /** For the end of a process that could not wait for `finish`: writes what is left, in place. */
  flush(): void
}

export interface LogOptions {
  /** Number of the worker; absent for the supervisor. */
  readonly worker?: number
  readonly counters?: Counters
  /** File descriptor, standard output by default. */
  readonly fd?: number
}

let fieldMs = 0
let field = ''

/** The time as pino wants it. Sessions end many in a millisecond: the text is made once for all. */
function timeField(): string {
  const now = Date.now()
  if (now !== fieldMs) {
    fieldMs = now
    field = `,"time":"${new Date(now).toISOString()}"`
  }
  return field
}

/** Opens the log of this process. */
export function openLog(options: LogOptions = {}): LogWriter {
  const output = new LineOutput(options.fd ?? 1)
  const logger = pino(
    {
      base: options.worker === undefined ? null : { worker: options.worker },
      timestamp: timeField,
      formatters: { level: (label) => ({ level: label }) },
    },
    output,
  )
  /** A logger of each event, which has its name written once for all. */
  const loggers = new Map<EventName, Logger>()
  const loggerOf = (event: EventName): Logger => {
    const known = loggers.get(event)
    if (known !== undefined) return known
    const made = logger.child({ event })
    loggers.set(event, made)
    return made
  }
  const write = <Name extends EventName>(event: Name, fields: EventFields[Name]): void => {
    loggerOf(event)[levelOf(event, fields)](fields)
  }
  let reported = 0
  output.onDrained = () => {
    if (output.dropped === reported) return
    const count = output.dropped - reported
    reported = output.dropped
    write('log.dropped', { count })
  }
  const limited = limitBursts(write)
  return {
    log: (name, fields) => {
      if (options.counters !== undefined) countEvent(options.counters, name, fields)
      limited.log(name, fields)
    },
    get dropped() {
      return output.dropped
    },
    flush() {
      limited.summarize()
      output.flush()
    },
    finish() {
      limited.summarize()
      return output.finish()
    },
    [Symbol.asyncDispose]() {
      return this.finish()
    },
  }
}

/** The kinds of event that a hostile or broken peer can cause at will. */
function kindOf<Name extends EventName>(name: Name, fields: EventFields[Name]): string | undefined {
  if (name === 'refuse' || name === 'client.certificate') {
    const { service, reason } = fields as EventFields['refuse' | 'client.certificate']
    return `${service},${reason}`
  }
  if (name === 'session.end') {
    const { service, end, user, messages = 0 } = fields as EventFields['session.end']
    return user === undefined && messages === 0 ? `${service},${end}` : undefined
  }
  if (name !== 'backend') return undefined
  const { backend, step, reason } = fields as EventFields['backend']
  return `${backend},${step},${reason}`
}

function limitBursts(write: Log): { log: Log; summarize(): void } {
  const limits = new Map<EventName, BurstLimit>()
  let timer: NodeJS.Timeout | undefined
  const summarize = (): void => {
    clearTimeout(timer)
    timer = undefined
    for (const [name, limit] of limits) {
      for (const [key, count] of limit.takeHeld()) {
        write('log.suppressed', { of: name, key, count })
      }
    }
  }
  return {
    summarize,
    log: (name, fields) => {
      const kind = kindOf(name, fields)
      if (kind === undefined) return write(name, fields)
      const limit = limits.get(name) ?? new BurstLimit(bursts[name] ?? burst)
      limits.set(name, limit)
      if (limit.admit(kind, performance.now())) return write(name, fields)
      timer ??= setTimeout(summarize, 1000).unref()
    },
  }
}
