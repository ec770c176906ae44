/** One worker as the supervisor sees it: questions and answers, and its end. */
import type { Worker } from 'node:cluster'
import type { WorkerStatus } from '../control/messages.ts'
import type { SpoolUsage } from '../spool/file-spool-writer.ts'
import type { BoardShare } from './admission/boards.ts'
import type { Ask, FromWorker, Replies, ToWorker, WorkerReport } from './channel.ts'

export interface Exit {
  readonly code: number | null
  readonly signal: string | null
}

/** What a child is for: sessions of clients, or delivering from the spool. */
export type Role = WorkerStatus['role']

export interface WorkerEvents {
  failing(worker: WorkerProcess): void
  exited(worker: WorkerProcess, exit: Exit): void
  spooled(ids: readonly string[]): void
  spoolUsage(usage: SpoolUsage): void
}

/** What a worker is and has by the place in which it stands. */
export interface WorkerPlace {
  readonly role: Role
  readonly restarts: number
  /** Where it counts clients; the queue has none. */
  readonly board: BoardShare | undefined
}

/** From the start of the process until it listens to us. */
const startMs = 60_000
const reportMs = 2_000
const hungAnswers = 10

const emptyReport: WorkerReport = {
  generation: undefined,
  sessions: [],
  counters: {},
  logDropped: 0,
  troubles: [],
  breakers: [],
  residentBytes: 0,
}

export class WorkerProcess {
  state: WorkerStatus['state'] = 'starting'
  /** It can be asked. */
  isListening = false
  /** What it was told to serve with. */
  given: object | undefined
  /** Its place among the counts that all workers share. */
  readonly board: BoardShare | undefined
  /** How often the worker of this place has been replaced. */
  readonly restarts: number
  readonly role: Role
  /** Resolves when it listens to us, or has exited. */
  readonly ready: Promise<void>
  readonly exited: Promise<Exit>
  /** The newest that it told of itself. */
  lastReport: WorkerReport = emptyReport
  /** Of the package that it runs; '' until it listens to us. */
  version = ''
  /** We have ended it, and not for anything that it did. */
  isBlameless = false
  readonly #worker: Worker
  readonly #events: WorkerEvents
  readonly #startedAt = performance.now()
  readonly #waiting = new Map<number, (reply: Replies[Ask['do']] | undefined) => void>()
  /** How often in a row it told nothing of itself when it was asked to. */
  #unanswered = 0
  #lastId = 0
  #hasExited = false
  #startFault: string | undefined
  #isUnreachable = false
  #becomeReady: () => void = () => undefined

  constructor(worker: Worker, { role, restarts, board }: WorkerPlace, events: WorkerEvents) {
    this.#worker = worker
    this.board = board
    this.#events = events
    this.role = role
    this.restarts = restarts
    const timer = setTimeout(() => this.kill('hung'), startMs)
    this.ready = new Promise((resolve) => {
      this.#becomeReady = () => {
        clearTimeout(timer)
        resolve()
      }
    })
    this.exited = new Promise((resolve) => {
      const leave = (exit: Exit): void => {
        this.#leave(exit)
        resolve(exit)
      }
      worker.on('exit', (code, signal) => leave({ code, signal }))
      worker.on('error', (error: Error) => {
        // One that breaks later is a channel, and followed by the exit.
        if (worker.process.pid !== undefined || this.#hasExited) return
        this.#startFault = error.message
        leave({ code: null, signal: null })
      })
    })
    worker.on('message', (message: FromWorker) => this.#receive(message))
    worker.on('disconnect', () => this.#settleAll())
  }

  get number(): number {
    return this.#worker.id
  }

  get pid(): number {
    return this.#worker.process.pid ?? 0
  }

  /** It has exited, or its channel has broken, which happens a moment before. */
  get isGone(): boolean {
    return this.#hasExited || this.#isUnreachable || !this.#worker.isConnected()
  }

  /** Why it was never ready, when it is gone. */
  get earlyEnd(): string {
    const fault = this.#startFault
    if (fault !== undefined) return `a process cannot be started: ${fault}`
    return `${this.role} ${this.number} ended before it was ready`
  }

  /** Asks one thing; undefined where the worker is gone or silent for `timeoutMs`. */
  ask<A extends Ask>(ask: A, timeoutMs: number): Promise<Replies[A['do']] | undefined> {
    if (this.isGone) return Promise.resolve(undefined)
    this.#lastId++
    const id = this.#lastId
    return new Promise((resolve) => {
      const timer = setTimeout(() => settle(undefined), timeoutMs)
      const settle = (reply: Replies[Ask['do']] | undefined): void => {
        clearTimeout(timer)
        this.#waiting.delete(id)
        resolve(reply as Replies[A['do']] | undefined)
      }
      this.#waiting.set(id, settle)
      this.#worker.send({ id, ask } satisfies ToWorker, (error: Error | null) => {
        if (error === null) return
        this.#isUnreachable = true
        settle(undefined)
      })
    })
  }

  /** Asks for its numbers, and keeps those it told last where it does not answer. */
  async refreshReport(): Promise<void> {
    const report = await this.ask({ do: 'report' }, reportMs)
    if (report !== undefined) this.lastReport = report
    this.#unanswered = report === undefined ? this.#unanswered + 1 : 0
  }

  /** It has left so many questions in a row unanswered that it serves nobody any more. */
  get isHung(): boolean {
    return this.#unanswered >= hungAnswers && !this.isGone && this.state !== 'starting'
  }

  /** Ends it at once; `blameless`: not for anything that it did. */
  kill(why: 'blameless' | 'hung' = 'blameless'): void {
    if (this.#hasExited) return
    this.isBlameless = why === 'blameless'
    this.#worker.process.kill('SIGKILL')
  }

  status(): WorkerStatus {
    return {
      worker: this.number,
      role: this.role,
      pid: this.pid,
      state: this.state,
      sessions: this.lastReport.sessions.reduce((sum, { count }) => sum + count, 0),
      uptime_ms: Math.round(performance.now() - this.#startedAt),
      restarts: this.restarts,
    }
  }

  #receive(message: FromWorker): void {
    switch (message.kind) {
      case 'hello':
        this.isListening = true
        this.version = message.version ?? ''
        this.#becomeReady()
        return
      case 'reply':
        this.#waiting.get(message.id)?.(message.reply)
        return
      case 'report':
        this.lastReport = message.report
        return
      case 'spooled':
        this.#events.spooled(message.ids)
        return
      case 'spool-usage':
        this.#events.spoolUsage(message.usage)
        return
      case 'failing':
        this.state = 'leaving'
        this.#events.failing(this)
    }
  }

  #leave(exit: Exit): void {
    this.#hasExited = true
    this.#becomeReady()
    this.#settleAll()
    this.#events.exited(this, exit)
  }

  #settleAll(): void {
    for (const settle of this.#waiting.values()) settle(undefined)
  }
}
