/**
 * Looks after moves: tells how many there are of each step, and has what is due of them gone on with by
 * `mailmux user moves --due`, in a process of its own, so that nothing of it touches the daemon.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { MailmuxError, messageOf } from '../base/error.ts'
import type { EventFields, Log } from '../base/log.ts'
import type { Config } from '../config/config.ts'
import { movesDue } from '../map/state/move-due.ts'
import { type Move, MoveJournal, type MoveStep } from '../map/state/move-journal.ts'

export interface MoveFigures {
  readonly steps: ReadonlyMap<MoveStep, number>
  /** Messages that came to back-ends which their users had left, and were brought over. */
  readonly stragglers: number
}

export interface MoveWatchOptions {
  /** The words that run mailmux; without them nothing is gone on with. */
  readonly program: readonly string[] | undefined
  readonly log: Log
  readonly now?: () => number
}

/** One of what `user moves --due --json` prints. */
type Settled = EventFields['move.settled'] & {
  readonly error?: { readonly code: string; readonly message: string }
}

/** What has failed is left alone for so long, where nothing else is due. */
const retryMs = 300_000
/** A move that is under way ends its freeze before it ends. */
const endMs = 10_000

export class MoveWatch implements AsyncDisposable {
  figures: MoveFigures = { steps: new Map(), stragglers: 0 }
  readonly #options: MoveWatchOptions
  readonly #failed = new Map<string, number>()
  #config: Config
  #timer: NodeJS.Timeout | undefined
  #child: ChildProcess | undefined

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
    if (dueEveryMs > 0) this.#timer = setInterval(() => this.look(), dueEveryMs).unref()
    this.look()
  }

  /** Reads the journal, and begins what is due. */
  look(): void {
    const moves = this.#read()
    this.figures = figuresOf(moves)
    const now = (this.#options.now ?? Date.now)()
    const due = movesDue(moves, now).filter(({ user }) => (this.#failed.get(user) ?? 0) <= now)
    const isWanted = this.#config.move.dueEveryMs > 0 && this.#options.program !== undefined
    if (due.length > 0 && isWanted && this.#child === undefined) void this.#goOn(now)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer)
    const child = this.#child
    if (child === undefined) return
    const ended = once(child, 'close').catch(() => undefined)
    child.kill('SIGTERM')
    const late = setTimeout(() => child.kill('SIGKILL'), endMs)
    await ended
    clearTimeout(late)
  }

  /** The state database that cannot be read is told of by those who need it more. */
  #read(): Move[] {
    try {
      using journal = MoveJournal.openToRead(this.#config.stateDir)
      return journal?.moves() ?? []
    } catch (error) {
      if (error instanceof MailmuxError) return []
      throw error
    }
  }

  async #goOn(now: number): Promise<void> {
    const { program: [command = '', ...words] = [], log } = this.#options
    const call = ['user', 'moves', '--due', '--json', '--config', this.#config.file]
    this.#failed.clear()
    try {
      const child = spawn(command, [...words, ...call], { stdio: ['ignore', 'pipe', 'ignore'] })
      this.#child = child
      const [printed] = await Promise.all([text(child.stdout), once(child, 'close')])
      for (const one of settledIn(printed)) this.#tell(one, now)
    } catch (error) {
      log('internal', { reason: 'moves', detail: messageOf(error) })
    } finally {
      this.#child = undefined
    }
  }

  #tell({ error, ...told }: Settled, now: number): void {
    const { user, source, swept, moved, notes = [] } = told
    const problems = error === undefined ? told.problems : [...told.problems, error.message]
    if (problems.length > 0) this.#failed.set(user, now + retryMs)
    this.#options.log('move.settled', {
      user,
      source,
      ...(swept === undefined ? {} : { swept }),
      ...(moved === undefined ? {} : { moved }),
      ...(notes.length === 0 ? {} : { notes }),
      problems,
    })
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
