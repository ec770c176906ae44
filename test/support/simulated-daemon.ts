/**
 * The daemon of a simulated site, behind the real control socket: it lets a user's mail and logins in,
 * or not, as `FreezeKeeper` does it. It may be away, be started anew, and a freeze of it may end.
 */
import { openControl } from '../../src/control/server.ts'
import type {
  FreezeReport,
  FreezeRequest,
  ThawReport,
  ThawRequest,
} from '../../src/control/session-messages.ts'
import type { Turns, Waiting } from './simulated-turns.ts'

/** What is said of freezes in the time of the world: a tick counts so much. */
const tickMs = 20
/** A real clock has measured some of it by now. */
const longMs = 10_000

interface InForce {
  readonly epoch: number
  readonly since: number
  expiresAt: number
}

export interface DaemonWorld {
  readonly tick: number
  /** Before each question is answered. Throws where the answer is not to be. */
  asked(what: string): Promise<void>
  /** May a session or a delivery be under way still, so that the freeze is not complete? */
  isLate(): boolean
  /** Is the answer lost on its way? */
  isLost(): boolean
}

const unasked = (): Promise<never> => Promise.reject(new Error('not asked'))

export class SimulatedDaemon implements AsyncDisposable {
  readonly #runDir: string
  readonly #turns: Turns
  #world: DaemonWorld | undefined
  #control: AsyncDisposable | undefined
  #inForce: InForce | undefined
  #highest = 0
  readonly #asking = new Set<Waiting>()

  constructor(runDir: string, turns: Turns) {
    this.#runDir = runDir
    this.#turns = turns
  }

  async begin(world: DaemonWorld): Promise<void> {
    this.#world = world
    this.#inForce = undefined
    this.#highest = 0
    await this.start()
  }

  get isUp(): boolean {
    return this.#control !== undefined
  }

  /** Whether nothing is let in. */
  get isFrozen(): boolean {
    this.#expire()
    return this.#inForce !== undefined
  }

  /** Nothing is remembered of before. */
  async start(): Promise<void> {
    if (this.#control !== undefined) return
    this.#control = await openControl(this.#runDir, {
      status: unasked,
      reload: unasked,
      queue: unasked,
      who: unasked,
      kick: unasked,
      drain: unasked,
      restart: unasked,
      freeze: (request) => this.#inTurn(() => this.#freeze(request), 'freeze'),
      thaw: (request) => this.#inTurn(() => this.#thaw(request), 'thaw'),
    })
  }

  async stop(): Promise<void> {
    const control = this.#control
    this.#control = undefined
    this.#inForce = undefined
    this.#highest = 0
    for (const waiting of this.#asking) this.#turns.waiting.delete(waiting)
    this.#asking.clear()
    await control?.[Symbol.asyncDispose]()
  }

  /** The freeze is over, as after its time. */
  forget(): void {
    this.#inForce = undefined
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }

  #inTurn<Report>(work: () => Report, what: string): Promise<Report> {
    const { promise, resolve, reject } = Promise.withResolvers<Report>()
    const control = this.#control
    const waiting: Waiting = {
      id: this.#turns.nextId,
      isReady: true,
      serve: async () => {
        this.#turns.waiting.delete(waiting)
        this.#asking.delete(waiting)
        try {
          await this.#world?.asked(what)
          // It may have been started anew meanwhile, and has not heard of it then.
          if (this.#control !== control) throw new Error('started anew')
          const report = work()
          if (this.#world?.isLost() === true) throw new Error('lost on the way')
          resolve(report)
        } catch (error) {
          reject(error)
        }
      },
    }
    this.#turns.come()
    this.#turns.waiting.add(waiting)
    this.#asking.add(waiting)
    return promise
  }

  get #tick(): number {
    return this.#world?.tick ?? 0
  }

  #expire(): void {
    if (this.#inForce !== undefined && this.#inForce.expiresAt <= this.#tick) {
      this.#inForce = undefined
    }
  }

  #freeze({ user, epoch, ttl_ms: ttlMs }: FreezeRequest): FreezeReport {
    this.#expire()
    const complete = this.#world?.isLate() !== true
    const processes = [{ worker: 1, complete, sessions: 0, deliveries: 0 }]
    if (this.#highest > epoch) {
      const none = { complete: false, frozen_ms: 0, expires_ms: 0, processes: [] }
      return { user, epoch, ...none, superseded_by: this.#highest }
    }
    this.#highest = epoch
    const known = this.#inForce?.epoch === epoch ? this.#inForce : undefined
    const since = known?.since ?? this.#tick
    this.#inForce = { epoch, since, expiresAt: this.#tick + ttlMs / tickMs }
    return {
      user,
      epoch,
      complete,
      frozen_ms: known === undefined ? 0 : longMs + (this.#tick - since) * tickMs,
      expires_ms: ttlMs,
      processes,
    }
  }

  #thaw({ user, epoch }: ThawRequest): ThawReport {
    this.#expire()
    if (this.#highest > epoch) return { user, epoch, thawed: false, superseded_by: this.#highest }
    this.#highest = epoch
    const thawed = this.#inForce !== undefined
    this.#inForce = undefined
    return { user, epoch, thawed }
  }
}
