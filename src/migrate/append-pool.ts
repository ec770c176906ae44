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
 * begun: who waits so long to end is taken to be in the way. Milliseconds.
 */
export const inTheWayMs = 20_000

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
  #opening = 0
  #most: number
  #given = Promise.withResolvers<void>()

  constructor(access: MailboxAccess, { most, signal, clock = systemClock }: AppendPoolOptions) {
    this.#access = access
    this.#signal = signal
    this.#clock = clock
    this.#most = most
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
    const count = this.#opened.size + this.#opening
    if (count >= this.#most) return undefined
    const { share } = this.#access
    // Room for the first was taken with the mailbox.
    const seat = count === 0 ? undefined : share?.trySeats(1)
    if (count > 0 && share !== undefined && seat === undefined) return undefined
    this.#opening++
    try {
      const connection = await AppendConnection.open(this.#access, this.#signal)
      this.#opened.set(connection, seat)
      // Only numbers that are told are known to be in order.
      if (!connection.offers.multiple || !connection.offers.uids) this.#most = 1
      return connection
    } catch (error) {
      seat?.[Symbol.dispose]()
      if (this.#opened.size === 0 || !(error instanceof MailmuxError)) throw error
      this.#most = this.#opened.size
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
          const mayEnd = (): Promise<void> => this.#patiently(before)
          return this.#ordered(folder, await connection.append(folder, messages(), mayEnd))
        } catch (error) {
          if (!(error instanceof InTheWay)) throw error
        }
        // It was not ended, so that nothing of it is stored. Those after it are in the way, too.
        this.#most = 1
        await before
        const other = await AppendConnection.open(this.#access, this.#signal)
        this.#opened.set(other, this.#opened.get(connection))
        this.#opened.delete(connection)
        connection = other
        return await connection.append(folder, messages())
      },
      [Symbol.dispose]: () => this.#give(connection),
    }
  }

  async #patiently(before: Promise<void>): Promise<void> {
    const { promise, reject } = Promise.withResolvers<never>()
    const cancel = this.#clock.after(inTheWayMs, () => reject(new InTheWay()))
    try {
      await Promise.race([before, promise])
    } finally {
      cancel()
    }
  }

  /** A server that numbers messages before their command has ended gets one connection from now on. */
  #ordered(folder: string, outcomes: AppendOutcome[]): AppendOutcome[] {
    for (const outcome of outcomes) {
      if (outcome.kind !== 'stored') continue
      const { uidValidity = 0, uid = 0 } = outcome
      const last = this.#last.get(folder)
      if (last?.uidValidity === uidValidity && uid < last.uid) {
        this.#disordered.add(folder)
        this.#most = 1
      }
      this.#last.set(folder, { uidValidity, uid })
    }
    return outcomes
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
    this.#opened.get(connection)?.[Symbol.dispose]()
    this.#opened.delete(connection)
  }
}
