/**
 * The connections that add messages to one mailbox, shared by all of its folders that are being copied:
 * while one server process waits for its disk, others write. Messages keep their order all the same.
 * A server numbers what one command adds when that command ends: each is sent at once, but for its end,
 * which follows when all that took their turns before it have been answered for.
 */
import {
  AppendConnection,
  type AppendMessage,
  type AppendOutcome,
} from '../backend/append-connection.ts'
import type { MailboxAccess } from '../backend/mailbox-access.ts'
import { systemClock } from '../backend/system-clock.ts'
import type { Clock } from '../base/clock.ts'
import { MailmuxError } from '../base/error.ts'

export interface AppendPoolOptions {
  /** Connections, where there is room for them, and the server takes them. */
  readonly most: number
  readonly signal: AbortSignal
  readonly clock?: Clock
}

export interface AppendTurn extends Disposable {
  /**
   * Stores messages, in their order, after those of `before`; `messages` makes them, a second time
   * where that must be tried again. Throws what `before` does, and what `AppendConnection.append` does.
   */
  append(
    folder: string,
    messages: () => readonly AppendMessage[],
    before: Promise<void>,
  ): Promise<AppendOutcome[]>
}

/**
 * A store that is one file, locked from the first octet to the last, lets nobody end before whoever has
 * begun: who waits to end while nothing moves for so long is taken to be in the way. Milliseconds.
 */
const inTheWayMs = 20_000
const looks = 4

/** One that waits for others kept them waiting. */
class InTheWay extends Error {}

export class AppendPool implements Disposable {
  readonly #access: MailboxAccess
  readonly #signal: AbortSignal
  readonly #clock: Clock
  readonly #free: AppendConnection[] = []
  readonly #opened = new Map<AppendConnection, Disposable | undefined>()
  /** The last number in each folder. */
  readonly #last = new Map<string, { readonly uidValidity: number; readonly uid: number }>()
  readonly #disordered = new Set<string>()
  /** Of connections that are closed. */
  #movedBefore = 0
  readonly #takenBack = Promise.withResolvers<never>()
  #opening = 0
  #most: number
  #given = Promise.withResolvers<void>()

  constructor(access: MailboxAccess, { most, signal, clock = systemClock }: AppendPoolOptions) {
    this.#access = access
    this.#signal = signal
    this.#clock = clock
    this.#most = Math.min(most, access.share?.mostAppends ?? most)
    // Heard of by those who wait, if any do.
    this.#takenBack.promise.catch(() => undefined)
  }

  /** Whether all messages that were added to a folder have numbers in the order of their turns. */
  isInOrder(folder: string): boolean {
    return !this.#disordered.has(folder)
  }

  /** Waits for a connection. Throws as `AppendConnection.open` does, where there is none at all. */
  async turn(): Promise<AppendTurn> {
    for (;;) {
      const given = this.#given.promise
      const connection = this.#take() ?? (await this.#open())
      if (connection !== undefined) return this.#turnWith(connection)
      await given
    }
  }

  [Symbol.dispose](): void {
    for (const connection of this.#opened.keys()) this.#close(connection)
  }

  #take(): AppendConnection | undefined {
    for (let one = this.#free.pop(); one !== undefined; one = this.#free.pop()) {
      if (one.isUsable) return one
      this.#close(one)
    }
    return undefined
  }

  /** Undefined: what there is has to do. */
  async #open(): Promise<AppendConnection | undefined> {
    const others = this.#opened.size + this.#opening
    if (others >= this.#most) return undefined
    const isSpare = others > 0
    const { share } = this.#access
    // Room for the first was taken with the mailbox.
    const seat = isSpare ? share?.trySeats(1) : undefined
    if (isSpare && share !== undefined && seat === undefined) return undefined
    this.#opening++
    try {
      const connection = await AppendConnection.open(this.#access, this.#signal, { isSpare })
      this.#opened.set(connection, seat)
      // Only numbers that are told are known to be in order.
      if (!connection.offers.multiple || !connection.offers.uids) this.#limit(1)
      if (this.#opened.size <= this.#most) return connection
      this.#close(connection)
      return undefined
    } catch (error) {
      seat?.[Symbol.dispose]()
      this.#signal.throwIfAborted()
      if (!isSpare) throw error
      const isDown = error instanceof MailmuxError && error.code === 'BACKEND_UNREACHABLE'
      this.#limit(this.#opened.size + this.#opening - 1, { isForAll: !isDown })
      return undefined
    } finally {
      this.#opening--
      this.#wake()
    }
  }

  #turnWith(first: AppendConnection): AppendTurn {
    let connection = first
    return {
      append: async (folder, messages, before) => {
        try {
          return this.#watchOrder(
            folder,
            await this.#appendAfter(before, connection, folder, messages),
          )
        } catch (error) {
          if (!(error instanceof InTheWay)) throw error
        }
        // It was not ended, so that nothing of it is stored. Those after it are in the way, too.
        this.#takenBack.reject(new InTheWay())
        this.#limit(1)
        await before
        const other = await AppendConnection.open(this.#access, this.#signal)
        this.#opened.set(other, this.#opened.get(connection))
        this.#opened.delete(connection)
        this.#movedBefore += connection.movedBytes
        connection = other
        return this.#watchOrder(folder, await connection.append(folder, messages()))
      },
      [Symbol.dispose]: () => this.#give(connection),
    }
  }

  async #appendAfter(
    before: Promise<void>,
    connection: AppendConnection,
    folder: string,
    messages: () => readonly AppendMessage[],
  ): Promise<AppendOutcome[]> {
    if (this.#most === 1) {
      await before
      return await connection.append(folder, messages())
    }
    // Nothing after a failure need be sent to its end.
    const failures: unknown[] = []
    let isOver = false
    before.catch((error: unknown) => {
      failures.push(error)
      if (!isOver) connection[Symbol.dispose]()
    })
    try {
      return await connection.append(folder, messages(), () => this.#patiently(before))
    } catch (error) {
      throw failures.length > 0 ? failures[0] : error
    } finally {
      isOver = true
    }
  }

  /** Throws InTheWay where nothing moves for too long. */
  async #patiently(before: Promise<void>): Promise<void> {
    for (let [moved, quiet] = [-1, 0]; quiet < looks; ) {
      if (await this.#within(inTheWayMs / looks, before)) return
      quiet = this.#movedBytes === moved ? quiet + 1 : 0
      moved = this.#movedBytes
    }
    throw new InTheWay()
  }

  async #within(waitMs: number, before: Promise<void>): Promise<boolean> {
    const { promise, resolve } = Promise.withResolvers<false>()
    const cancel = this.#clock.after(waitMs, () => resolve(false))
    try {
      return await Promise.race([this.#takenBack.promise, before.then(() => true), promise])
    } finally {
      cancel()
    }
  }

  get #movedBytes(): number {
    let sum = this.#movedBefore
    for (const { movedBytes } of this.#opened.keys()) sum += movedBytes
    return sum
  }

  /** A server that numbers messages before their command has ended gets one connection from now on. */
  #watchOrder(folder: string, outcomes: AppendOutcome[]): AppendOutcome[] {
    for (const outcome of outcomes) {
      if (outcome.kind !== 'stored') continue
      const { uidValidity = 0, uid = 0 } = outcome
      const last = this.#last.get(folder)
      if (last?.uidValidity === uidValidity && uid < last.uid) {
        this.#disordered.add(folder)
        this.#limit(1)
      }
      this.#last.set(folder, { uidValidity, uid })
    }
    return outcomes
  }

  /** No more than so many from now on, of all mailboxes there; those in use come to their end. */
  #limit(most: number, { isForAll = true } = {}): void {
    this.#most = Math.min(this.#most, Math.max(1, most))
    if (isForAll) this.#access.share?.limitAppends(this.#most)
    while (this.#opened.size > this.#most) {
      const idle = this.#free.pop()
      if (idle === undefined) return
      this.#close(idle)
    }
  }

  #give(connection: AppendConnection): void {
    if (connection.isUsable && this.#opened.size <= this.#most) this.#free.push(connection)
    else this.#close(connection)
    this.#wake()
  }

  #wake(): void {
    this.#given.resolve()
    this.#given = Promise.withResolvers()
  }

  #close(connection: AppendConnection): void {
    connection[Symbol.dispose]()
    this.#movedBefore += connection.movedBytes
    this.#opened.get(connection)?.[Symbol.dispose]()
    this.#opened.delete(connection)
  }
}
