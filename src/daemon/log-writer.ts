/**
 * Events → one JSON line each on stdout. Nothing here waits: lines are written behind the scenes,
 * and where the reader of the log stands still, lines beyond a bound are dropped and counted.
 * Several processes share the output: a write holds whole lines and is no longer than what a pipe
 * takes in one piece.
 */
import { pino } from 'pino'
import type { EventFields, EventName, Log } from '../base/log.ts'
import { BurstLimit } from './burst-limit.ts'
import { countEvent } from './count-event.ts'
import type { Counters } from './runtime.ts'

/** PIPE_BUF of Linux. */
const atomicWriteBytes = 4096
const heldBytes = 4 * 1024 * 1024
/** Of one kind in a second; more are summed up. */
const burst = 10
const flushAttempts = 20

type Level = 'info' | 'warn' | 'error'

const levels: Readonly<Partial<Record<EventName, Level>>> = {
  'reload.refused': 'warn',
  'worker.delayed': 'error',
  'worker.refused': 'error',
  refuse: 'warn',
  backend: 'warn',
  uncertain: 'warn',
  internal: 'error',
  'log.suppressed': 'warn',
  'log.dropped': 'error',
}

/** A worker that ended as it was told to is no news; every other end of one is. */
function levelOf<Name extends EventName>(name: Name, fields: EventFields[Name]): Level {
  if (name !== 'worker.exited') return levels[name] ?? 'info'
  return (fields as EventFields['worker.exited']).code === 0 ? 'info' : 'warn'
}

export interface LogWriter extends Disposable {
  readonly log: Log
  /** Lines that were dropped so far. */
  readonly dropped: number
  /** Writes out what is held, waiting for a slow reader at most two seconds. */
  flush(): void
}

export interface LogOptions {
  /** Number of the worker; absent for the supervisor. */
  readonly worker?: number
  readonly counters?: Counters
  /** File descriptor, standard output by default. */
  readonly fd?: number
}

/** Opens the log of this process. */
export function openLog(options: LogOptions = {}): LogWriter {
  let dropped = 0
  let unreported = 0
  let attempts = 0
  const destination = pino.destination({
    dest: options.fd ?? 1,
    sync: false,
    minLength: 0,
    maxLength: heldBytes,
    maxWrite: atomicWriteBytes,
    // While running it may try for ever; at the end a reader that stands still must not hold us.
    retryEAGAIN: () => attempts++ < flushAttempts || !isFlushing,
  })
  let isFlushing = false
  const logger = pino(
    {
      base: options.worker === undefined ? null : { worker: options.worker },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    destination,
  )
  const write = <Name extends EventName>(event: Name, fields: EventFields[Name]): void => {
    logger[levelOf(event, fields)]({ event, ...fields })
  }
  destination.on('drop', () => {
    dropped++
    unreported++
  })
  destination.on('drain', () => {
    if (unreported === 0) return
    const count = unreported
    unreported = 0
    write('log.dropped', { count })
  })
  // The reader is gone, or the disk is full: the daemon goes on without a log.
  destination.on('error', () => dropped++)
  const limited = limitBursts(write)
  return {
    log: (name, fields) => {
      if (options.counters !== undefined) countEvent(options.counters, name, fields)
      limited.log(name, fields)
    },
    get dropped() {
      return dropped
    },
    flush() {
      limited.summarize()
      attempts = 0
      isFlushing = true
      try {
        destination.flushSync()
      } catch {
        // Its reader is gone or too slow: what is left is lost with the process.
        dropped++
      }
      isFlushing = false
    },
    [Symbol.dispose]() {
      this.flush()
    },
  }
}

/** The kinds of event that a hostile or broken peer can cause at will. */
function kindOf<Name extends EventName>(name: Name, fields: EventFields[Name]): string | undefined {
  if (name === 'refuse') {
    const { service, reason } = fields as EventFields['refuse']
    return `${service},${reason}`
  }
  if (name !== 'backend') return undefined
  const { backend, step, reason } = fields as EventFields['backend']
  return `${backend},${step},${reason}`
}

function limitBursts(write: Log): { log: Log; summarize(): void } {
  const limits = { refuse: new BurstLimit(burst), backend: new BurstLimit(burst) }
  let timer: NodeJS.Timeout | undefined
  const summarize = (): void => {
    clearTimeout(timer)
    timer = undefined
    for (const name of ['refuse', 'backend'] as const) {
      for (const [key, count] of limits[name].takeHeld()) {
        write('log.suppressed', { of: name, key, count })
      }
    }
  }
  return {
    summarize,
    log: (name, fields) => {
      const kind = kindOf(name, fields)
      const limit = name === 'refuse' ? limits.refuse : limits.backend
      if (kind === undefined || limit.admit(kind, performance.now())) return write(name, fields)
      timer ??= setTimeout(summarize, 1000).unref()
    },
  }
}
