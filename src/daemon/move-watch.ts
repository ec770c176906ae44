/**
 * Looks after moves: tells how many there are of each step, and has what is due of them gone on with by
 * `mailmux user moves --due`, in a process of its own that runs as workers do, so that nothing of it
 * touches the daemon. Whatever fails is an event, and tried again later.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import type { Readable } from 'node:stream'
import { setTimeout as wait } from 'node:timers/promises'
import { messageOf } from '../base/error.ts'
import type { EventFields, Log } from '../base/log.ts'
import type { Config } from '../config/config.ts'
import { movesDue } from '../map/state/move-due.ts'
import { type Move, MoveJournal, type MoveStep } from '../map/state/move-journal.ts'
import type { RunAs } from './run-as.ts'

export interface MoveFigures {
  readonly steps: ReadonlyMap<MoveStep, number>
  /** Messages that came to back-ends which their users had left, and were brought over. */
  readonly stragglers: number
}

export interface MoveWatchOptions {
  /** The words that run mailmux; without them nothing is gone on with. */
  readonly program: readonly string[] | undefined
  /** Whom it runs as; who runs the daemon where nobody is named. */
  readonly runAs?: RunAs | undefined
  readonly log: Log
}

/** One of what `user moves --due --json` prints. */
type Settled = EventFields['move.settled'] & {
  readonly error?: { readonly code: string; readonly message: string }
}

/** What has failed is left alone for so long, where nothing else is due. */
const retryMs = 300_000
/** A move that is under way ends its freeze before it ends. */
const endMs = 10_000
const lastWordsMs = 1_000
/** Of some ten thousand moves. */
const mostPrinted = 16 * 1024 * 1024

export class MoveWatch implements AsyncDisposable {
  figures: MoveFigures = { steps: new Map(), stragglers: 0 }
  readonly #options: MoveWatchOptions
  /** When users are due again whose moves have failed, by the monotonic clock. */
  readonly #notBefore = new Map<string, number>()
  /** And anybody, since it could not be run, or has printed something else. */
  #noneBefore = Number.NEGATIVE_INFINITY
  #config: Config
  #timer: NodeJS.Timeout | undefined
  #child: { readonly process: ChildProcess; readonly ended: Promise<unknown> } | undefined
  #isEnding = false

  constructor(config: Config, options: MoveWatchOptions) {
    this.#options = options
    this.#config = config
    this.use(config)
  }

  /** A new config is in force. */
  use(config: Config): void {
    this.#config = config
    clearInterval(this.#timer)
    const { dueEveryMs } = config.move
    if (dueEveryMs > 0) this.#timer = setInterval(() => this.#look(), dueEveryMs).unref()
    this.#look()
  }

  /** Begins nothing more, and has what is under way end in order. */
  end(): void {
    this.#isEnding = true
    clearInterval(this.#timer)
    this.#child?.process.kill('SIGTERM')
  }

  /** Ends at once what is under way. */
  kill(): void {
    this.#child?.process.kill('SIGKILL')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.end()
    if (this.#child === undefined) return
    const late = setTimeout(() => this.kill(), endMs)
    await this.#child.ended
    clearTimeout(late)
  }

  /** Reads the journal, and begins what is due. */
  #look(): void {
    const { stateDir, backends, move } = this.#config
    try {
      using journal = MoveJournal.openToRead(stateDir)
      const moves = journal?.moves() ?? []
      this.figures = figuresOf(moves)
      if (move.dueEveryMs === 0 || this.#isEnding || this.#child !== undefined) return
      const now = performance.now()
      if (this.#noneBefore > now) return
      const isDue = ({ user }: Move): boolean => (this.#notBefore.get(user) ?? 0) <= now
      if (movesDue(moves, Date.now(), backends).some(isDue)) this.#begin()
    } catch (error) {
      this.#tellOf(error)
    }
  }

  #begin(): void {
    const { program, runAs } = this.#options
    if (program === undefined) return
    const [command = '', ...words] = program
    const call = ['user', 'moves', '--due', '--json', '--config', this.#config.file]
    const child = spawn(command, [...words, ...call], {
      stdio: ['ignore', 'pipe', 'ignore'],
      ...(runAs === undefined ? {} : { uid: runAs.uid, gid: runAs.gid }),
    })
    const ended = this.#follow(child)
      .catch((error: unknown) => this.#tellOf(error))
      .finally(() => (this.#child = undefined))
    this.#child = { process: child, ended }
  }

  /** Throws where it could not be run, or printed what it should not. */
  async #follow(child: ChildProcess & { readonly stdout: Readable }): Promise<void> {
    const chunks: Buffer[] = []
    let bytes = 0
    child.stdout.on('data', (chunk: Buffer) => {
      chunks.push(chunk)
      bytes += chunk.length
      if (bytes > mostPrinted) child.kill('SIGKILL')
    })
    const closed = once(child, 'close')
    // What fails is thrown by the next.
    closed.catch(() => undefined)
    await once(child, 'exit')
    // What it has started may hold its output open.
    await Promise.race([closed, wait(lastWordsMs, undefined, { ref: false })])
    child.stdout.destroy()
    const printed = Buffer.concat(chunks).toString()
    if (this.#isEnding && printed === '') return
    const settled = settledIn(printed)
    this.#notBefore.clear()
    for (const one of settled) this.#tell(one)
  }

  #tell({ error, ...told }: Settled): void {
    const { user, source, target, swept, moved, notes = [] } = told
    const problems = error === undefined ? told.problems : [...told.problems, error.message]
    if (problems.length > 0) this.#notBefore.set(user, performance.now() + retryMs)
    this.#options.log('move.settled', {
      user,
      source,
      target,
      ...(swept === undefined ? {} : { swept }),
      ...(moved === undefined ? {} : { moved }),
      ...(notes.length === 0 ? {} : { notes }),
      problems,
    })
  }

  #tellOf(error: unknown): void {
    this.#noneBefore = performance.now() + retryMs
    this.#options.log('internal', { reason: 'moves', detail: messageOf(error) })
  }
}

/** Throws where it is not what is to be printed: the command says why it failed in another form. */
function settledIn(printed: string): readonly Settled[] {
  const read: unknown = JSON.parse(printed)
  if (Array.isArray(read)) return read as Settled[]
  const { error } = read as { readonly error?: { readonly message?: string } }
  throw new Error(error?.message ?? 'no list')
}

function figuresOf(moves: readonly Move[]): MoveFigures {
  const steps = new Map<MoveStep, number>()
  for (const { step } of moves) steps.set(step, (steps.get(step) ?? 0) + 1)
  return { steps, stragglers: moves.reduce((sum, { details }) => sum + details.stragglers, 0) }
}
