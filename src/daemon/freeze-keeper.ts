/**
 * The freezes of a daemon: the one place that says which there are. Every process is asked for each,
 * and answers when nothing is under way to the mailbox any more; one that starts later is given them
 * before it listens. Who asks with an older epoch than was ever asked with is refused, so that a move
 * that was given up cannot undo what the next one does.
 *
 * A freeze ends by itself after its time. Who wants it for longer asks again, and learns from
 * `frozen_ms` whether there was a gap, such as a restart of the daemon.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { waits } from '../base/limit.ts'
import type { EventFields } from '../base/log.ts'
import type {
  FreezeAnswer,
  FreezeReport,
  FreezeRequest,
  ThawReport,
  ThawRequest,
} from '../control/session-messages.ts'
import type { FreezeNotice } from './freezes.ts'
import { type Daemon, userOf } from './session-control.ts'
import type { WorkerProcess } from './worker-process.ts'

/** The longest that a mailbox stays frozen after whoever wanted it has died. */
const mostTtlMs = 600_000
/** For a message whose end was sent, and for the answer. */
const barrierMs = waits.freezeVerdictMs + 5_000
const thawMs = 5_000
const exitMs = 5_000
/** Epochs are remembered of so many users. */
const mostEpochs = 100_000

interface InForce {
  epoch: number
  readonly since: number
  expiresAt: number
  timer: NodeJS.Timeout
}

export class FreezeKeeper {
  readonly #daemon: Daemon
  readonly #inForce = new Map<string, InForce>()
  /** The highest that was asked with, oldest users first. */
  readonly #epochs = new Map<string, number>()

  constructor(daemon: Daemon) {
    this.#daemon = daemon
  }

  /** For a process that starts. */
  get notices(): FreezeNotice[] {
    const now = performance.now()
    return [...this.#inForce].map(([user, { epoch, expiresAt }]) => ({
      user,
      epoch,
      ttlMs: Math.max(1, expiresAt - now),
    }))
  }

  async freeze(request: FreezeRequest): Promise<FreezeReport> {
    const user = userOf(request.user, this.#daemon)
    const { epoch } = request
    const younger = this.#youngerThan(user, epoch)
    if (younger !== undefined) return this.#report({ user, epoch }, [], younger)
    const startedAt = performance.now()
    const ttlMs = Math.min(request.ttl_ms, mostTtlMs)
    this.#enter(user, epoch, ttlMs)
    const processes = await this.#ask({ user, epoch, ttlMs })
    const report = this.#report({ user, epoch }, processes, this.#youngerThan(user, epoch))
    this.#daemon.log('user.frozen', {
      user,
      epoch,
      complete: report.complete,
      sessions: sumOf(processes, 'sessions'),
      deliveries: sumOf(processes, 'deliveries'),
      waited_ms: Math.round(performance.now() - startedAt),
    })
    return report
  }

  async thaw(request: ThawRequest): Promise<ThawReport> {
    const user = userOf(request.user, this.#daemon)
    const { epoch } = request
    const younger = this.#youngerThan(user, epoch)
    if (younger !== undefined) return { user, epoch, thawed: false, superseded_by: younger }
    this.#remember(user, epoch)
    return { user, epoch, thawed: await this.#end(user, 'asked') }
  }

  #enter(user: string, epoch: number, ttlMs: number): void {
    this.#remember(user, epoch)
    const known = this.#inForce.get(user)
    clearTimeout(known?.timer)
    const now = performance.now()
    if (known !== undefined && known.epoch < epoch) this.#tellThaw(user, known, 'superseded')
    const timer = setTimeout(() => void this.#end(user, 'expired'), ttlMs).unref()
    const since = known?.epoch === epoch ? known.since : now
    this.#inForce.set(user, { epoch, since, expiresAt: now + ttlMs, timer })
  }

  async #ask(notice: FreezeNotice): Promise<FreezeAnswer[]> {
    // One that does not listen yet is given the freeze before it takes a client.
    const asked = this.#daemon.workers.filter(({ isListening }) => isListening)
    return Promise.all(asked.map((process) => askOne(process, notice)))
  }

  /** Nobody hears of the end before the freeze is over here. */
  async #end(user: string, reason: 'asked' | 'expired'): Promise<boolean> {
    const known = this.#inForce.get(user)
    if (known === undefined) return false
    clearTimeout(known.timer)
    this.#inForce.delete(user)
    this.#tellThaw(user, known, reason)
    const { epoch } = known
    const asked = this.#daemon.workers.filter(({ isListening }) => isListening)
    await Promise.all(asked.map((process) => process.ask({ do: 'thaw', user, epoch }, thawMs)))
    return true
  }

  #tellThaw(
    user: string,
    { epoch, since }: InForce,
    reason: EventFields['user.thawed']['reason'],
  ): void {
    const frozenMs = Math.round(performance.now() - since)
    this.#daemon.log('user.thawed', { user, epoch, reason, frozen_ms: frozenMs })
  }

  #report(
    { user, epoch }: { readonly user: string; readonly epoch: number },
    processes: readonly FreezeAnswer[],
    younger: number | undefined,
  ): FreezeReport {
    const now = performance.now()
    const found = this.#inForce.get(user)
    const known = found?.epoch === epoch ? found : undefined
    return {
      user,
      epoch,
      complete: known !== undefined && processes.every(({ complete }) => complete),
      frozen_ms: known === undefined ? 0 : Math.round(now - known.since),
      expires_ms: known === undefined ? 0 : Math.round(known.expiresAt - now),
      processes,
      ...(younger === undefined ? {} : { superseded_by: younger }),
    }
  }

  #youngerThan(user: string, epoch: number): number | undefined {
    const highest = this.#epochs.get(user)
    return highest !== undefined && highest > epoch ? highest : undefined
  }

  #remember(user: string, epoch: number): void {
    this.#epochs.delete(user)
    this.#epochs.set(user, epoch)
    const [oldest] = this.#epochs.keys()
    if (this.#epochs.size > mostEpochs && oldest !== undefined) this.#epochs.delete(oldest)
  }
}

async function askOne(process: WorkerProcess, notice: FreezeNotice): Promise<FreezeAnswer> {
  const worker = process.number
  const ack = await process.ask({ do: 'freeze', notice }, barrierMs)
  if (ack !== undefined) return { worker, ...ack }
  // What a process had under way ends with it, and its channel a moment earlier.
  const hasEnded = process.isGone && (await hasExited(process))
  return { worker, complete: hasEnded, sessions: 0, deliveries: 0 }
}

function hasExited({ exited }: WorkerProcess): Promise<boolean> {
  const ended = exited.then(() => true)
  return Promise.race([ended, delay(exitMs, false, { ref: false })])
}

function sumOf(answers: readonly FreezeAnswer[], what: 'sessions' | 'deliveries'): number {
  return answers.reduce((sum, answer) => sum + answer[what], 0)
}
