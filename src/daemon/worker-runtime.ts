/** What sessions share within one worker: the generation in force, counts, and who is there. */
import { randomBytes } from 'node:crypto'
import { messageOf } from '../base/error.ts'
import { waits } from '../base/limit.ts'
import type { EventFields, Log, RefusalReason, ServiceName } from '../base/log.ts'
import type { Service } from '../config/config.ts'
import type { BreakerReport } from '../control/messages.ts'
import { Chain } from '../net/chain.ts'
import type { FileSpoolWriter, SpoolUsage } from '../spool/file-spool-writer.ts'
import type { SpoolWriter } from '../spool/spooled-message.ts'
import { Admission } from './admission/admission.ts'
import { type BoardShare, openBoards } from './admission/boards.ts'
import { LoginBrakes } from './admission/login-brakes.ts'
import { RoomBoard } from './admission/room-board.ts'
import { BackendTroubles } from './backend-troubles.ts'
import type { NoRoom } from './busy-answer.ts'
import type { Drain, SessionCount, WorkerReport } from './channel.ts'
import type { CounterTable } from './counters.ts'
import { FreezeTable } from './freezes.ts'
import type { LogWriter } from './log-writer.ts'
import { LoginTurns } from './login/login-turns.ts'
import { RetiredMaps } from './retired-maps.ts'
import type { Generation, Runtime, Session } from './runtime.ts'
import { needsQueue, type Settings } from './settings.ts'
import { openWorkerSpool } from './worker-spool.ts'

/** Beyond this share of its sessions a worker has no patience left. */
const crowdedShare = 0.8

export class WorkerRuntime implements Runtime {
  readonly counters: CounterTable
  readonly log: Log
  readonly freezes = new FreezeTable(() => this.#current)
  draining = false
  secret: Uint8Array = randomBytes(32)
  /** Which workers take clients. */
  readonly room = new RoomBoard()
  /** Called after each session. */
  onLeft: () => void = () => undefined
  /** The most sessions at once. */
  sessionLimit = 0
  readonly #logWriter: LogWriter
  readonly #worker: number
  readonly #sessions = new Chain<Session>()
  readonly #retired = new RetiredMaps()
  readonly #troubles = new BackendTroubles()
  #breakers: () => readonly BreakerReport[] = () => []
  #current: Generation | undefined
  #spool: FileSpoolWriter | undefined
  #lastSession = 0
  readonly #whenEmpty = new Set<() => void>()
  #admission: Admission | undefined
  #logins: { readonly brakes: LoginBrakes; readonly turns: LoginTurns } | undefined
  /** What the end of the session must call that is about to begin. */
  #entering: (() => void) | undefined

  constructor(worker: number, counters: CounterTable, logWriter: LogWriter) {
    this.#worker = worker
    this.#logWriter = logWriter
    this.counters = counters
    this.log = (name, fields) => {
      if (name === 'backend') this.#troubles.note(fields as EventFields['backend'], Date.now())
      logWriter.log(name, fields)
    }
  }

  get current(): Generation {
    if (this.#current === undefined) throw new Error('a session started before the first settings')
    return this.#current
  }

  get spool(): SpoolWriter | undefined {
    return this.#spool
  }

  set spoolUsage(usage: SpoolUsage) {
    if (this.#spool !== undefined) this.#spool.usage = usage
  }

  /** Puts a generation in force; the one before lives as long as decisions may rest on it. */
  replaceGeneration(generation: Generation, settings: Settings): void {
    const before = this.#current
    this.#current = generation
    this.sessionLimit = settings.sessionsPerWorker
    this.#troubles.keepOnly(generation.config.backends)
    this.#admission?.use(generation.config)
    this.#logins?.brakes.use(generation.config)
    if (needsQueue(settings)) {
      this.#spool ??= openWorkerSpool(generation.config, this.log)
      this.#spool.caps = generation.config.spool
    }
    if (before !== undefined) this.#retired.retire(before.map, this.#sessions)
  }

  /** Those that are open, in the order in which they came. */
  get sessions(): Chain<Session> {
    return this.#sessions
  }

  get sessionCount(): number {
    return this.#sessions.size
  }

  enter(session: Session): () => void {
    const link = this.#sessions.add(session)
    const leave = this.#entering
    this.#entering = undefined
    this.counters.count('session', session.service)
    // Accepted a moment before the stop.
    if (this.draining) setImmediate(() => session.shutdown())
    return () => {
      this.#sessions.remove(link)
      leave?.()
      this.#retired.leave(session)
      this.onLeft()
      if (this.#sessions.size === 0) for (const tell of this.#whenEmpty) tell()
    }
  }

  reportBreakers(breakers: () => readonly BreakerReport[]): void {
    this.#breakers = breakers
  }

  nextSessionId(): string {
    this.#lastSession++
    return `${this.#worker}-${this.#lastSession}`
  }

  /** Takes its part in the counts that all workers share; once. */
  joinBoards(share: BoardShare | undefined): void {
    if (this.#admission !== undefined) return
    if (share !== undefined) this.secret = Buffer.from(share.secret, 'base64')
    const onFault = (error: unknown): void =>
      this.log('internal', { reason: 'admission', detail: messageOf(error) })
    const boards = openBoards(share, { onFault })
    this.#admission = new Admission(boards)
    if (share !== undefined) this.room.use(boards.sessions)
    const brakes = new LoginBrakes(boards, this.secret)
    this.#logins = { brakes, turns: new LoginTurns(brakes) }
  }

  get brakes(): LoginBrakes {
    return this.#part().brakes
  }

  get turns(): LoginTurns {
    return this.#part().turns
  }

  /** Runs `start` where there is room for a session from `address`; else says why there is none. */
  admit(service: Service, address: string, start: () => void): NoRoom | undefined {
    const admitted = this.#admission?.enter(service, address, Date.now())
    if (admitted?.ok === false) return admitted.reason
    this.#entering = admitted?.leave
    start()
    // The client had gone before it began.
    this.#entering?.()
    this.#entering = undefined
    return undefined
  }

  get isCrowded(): boolean {
    return this.#sessions.size > this.sessionLimit * crowdedShare
  }

  isMessageOver(address: string): boolean {
    return this.#admission?.isMessageOver(address, Date.now()) === true
  }

  isRecipientOver(address: string): boolean {
    return this.#admission?.isRecipientOver(address, Date.now()) === true
  }

  /** A client that was turned away before it had a session. */
  refuse(service: ServiceName, peer: string, reason: RefusalReason): void {
    this.log('refuse', { service, session: this.nextSessionId(), peer, reason })
  }

  /**
   * Asks every session to end at its next boundary, when its time for that has come, and ends those
   * that are left. Returns true where none had to be forced.
   */
  async drain({ drainMs, patient = false, graceMs = 0 }: Drain): Promise<boolean> {
    if (graceMs > 0) await this.#isEmptyWithin(graceMs)
    this.draining = true
    for (const session of this.#sessions) {
      if (!patient || session.state !== 'joined') session.shutdown()
    }
    const leftMs = drainMs - graceMs
    if (patient && !(await this.#isEmptyWithin(leftMs))) {
      for (const session of this.#sessions) session.shutdown()
    }
    const isDrained = await this.#isEmptyWithin(patient ? waits.boundaryMs * 2 : leftMs)
    for (const session of this.#sessions) session.kill()
    return isDrained
  }

  #part(): { readonly brakes: LoginBrakes; readonly turns: LoginTurns } {
    if (this.#logins === undefined) throw new Error('a login came before the counts were open')
    return this.#logins
  }

  #isEmptyWithin(ms: number): Promise<boolean> {
    if (this.#sessions.size === 0) return Promise.resolve(true)
    return new Promise((resolve) => {
      const settle = (isEmpty: boolean): void => {
        clearTimeout(timer)
        this.#whenEmpty.delete(tell)
        resolve(isEmpty)
      }
      const tell = (): void => settle(true)
      const timer = setTimeout(settle, ms, false)
      this.#whenEmpty.add(tell)
    })
  }

  report(): WorkerReport {
    return {
      generation: this.#current?.map.generation,
      sessions: countSessions(this.#sessions),
      counters: this.counters.snapshot(),
      logDropped: this.#logWriter.dropped,
      troubles: this.#troubles.newest,
      breakers: this.#breakers(),
      residentBytes: residentBytes(),
      guesses: this.#logins?.brakes.guesses.report(Date.now()),
    }
  }
}

/** 0 where it cannot be told: asking takes a file descriptor, of which there may be none. */
function residentBytes(): number {
  try {
    return process.memoryUsage.rss()
  } catch {
    return 0
  }
}

/** Of ten thousand sessions a report has a few lines. */
function countSessions(sessions: Iterable<Session>): SessionCount[] {
  const counts = new Map<string, { -readonly [Key in keyof SessionCount]: SessionCount[Key] }>()
  for (const { service, backend } of sessions) {
    const key = `${service} ${backend ?? ''}`
    const known = counts.get(key)
    if (known === undefined) counts.set(key, { service, backend, count: 1 })
    else known.count++
  }
  return [...counts.values()]
}
