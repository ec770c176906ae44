/**
 * Adds messages to one mailbox over several connections, for all of its folders that are being copied:
 * while one server process waits for its disk, others write. Messages keep their order all the same.
 * A server numbers what one command adds when that command ends: each is sent at once, but for its end,
 * which follows when all that took their turns before it have been answered for.
 */
import type {
  AppendConnection,
  AppendMessage,
  AppendOutcome,
} from '../backend/append-connection.ts'
import type { MailboxAccess } from '../backend/mailbox-access.ts'
import { systemClock } from '../backend/system-clock.ts'
import type { Clock } from '../base/clock.ts'
import { AppendConnections, type AppendConnectionsOptions } from './append-connections.ts'

export interface AppendPoolOptions extends AppendConnectionsOptions {
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
  readonly #clock: Clock
  readonly #connections: AppendConnections
  /** The last number in each folder. */
  readonly #last = new Map<string, { readonly uidValidity: number; readonly uid: number }>()
  readonly #disordered = new Set<string>()
  readonly #takenBack = Promise.withResolvers<never>()

  constructor(access: MailboxAccess, { clock = systemClock, ...options }: AppendPoolOptions) {
    this.#clock = clock
    this.#connections = new AppendConnections(access, options)
    // Heard of by those who wait, if any do.
    this.#takenBack.promise.catch(() => undefined)
  }

  /** Whether all messages that were added to a folder have numbers in the order of their turns. */
  isInOrder(folder: string): boolean {
    return !this.#disordered.has(folder)
  }

  /** Waits for a connection. Throws as `AppendConnection.open` does, where there is none at all. */
  async turn(): Promise<AppendTurn> {
    return this.#turnWith(await this.#connections.take())
  }

  [Symbol.dispose](): void {
    this.#connections[Symbol.dispose]()
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
        this.#connections.limit(1)
        await before
        connection = await this.#connections.replace(connection)
        return this.#watchOrder(folder, await connection.append(folder, messages()))
      },
      [Symbol.dispose]: () => this.#connections.give(connection),
    }
  }

  async #appendAfter(
    before: Promise<void>,
    connection: AppendConnection,
    folder: string,
    messages: () => readonly AppendMessage[],
  ): Promise<AppendOutcome[]> {
    if (this.#connections.isOne) {
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
      const { movedBytes } = this.#connections
      quiet = movedBytes === moved ? quiet + 1 : 0
      moved = movedBytes
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

  /** A server that numbers messages before their command has ended gets one connection from now on. */
  #watchOrder(folder: string, outcomes: AppendOutcome[]): AppendOutcome[] {
    for (const outcome of outcomes) {
      if (outcome.kind !== 'stored') continue
      const { uidValidity = 0, uid = 0 } = outcome
      const last = this.#last.get(folder)
      if (last?.uidValidity === uidValidity && uid < last.uid) {
        this.#disordered.add(folder)
        this.#connections.limit(1)
      }
      this.#last.set(folder, { uidValidity, uid })
    }
    return outcomes
  }
}
