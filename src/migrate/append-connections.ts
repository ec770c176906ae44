/** The connections that add messages to one mailbox: opened as they are needed, and shared. */
import { AppendConnection } from '../backend/append-connection.ts'
import type { MailboxAccess } from '../backend/mailbox-access.ts'
import { MailmuxError } from '../base/error.ts'

export interface AppendConnectionsOptions {
  /** Connections, where there is room for them, and the server takes them. */
  readonly most: number
  readonly signal: AbortSignal
}

export class AppendConnections implements Disposable {
  readonly #access: MailboxAccess
  readonly #signal: AbortSignal
  readonly #free: AppendConnection[] = []
  readonly #opened = new Map<AppendConnection, Disposable | undefined>()
  /** Of connections that are closed. */
  #movedBefore = 0
  #opening = 0
  #most: number
  #given = Promise.withResolvers<void>()

  constructor(access: MailboxAccess, { most, signal }: AppendConnectionsOptions) {
    this.#access = access
    this.#signal = signal
    this.#most = Math.min(most, access.share?.mostAppends ?? most)
  }

  /** There will be no more than one. */
  get isOne(): boolean {
    return this.#most === 1
  }

  /** Octets that went either way, over all that there were. */
  get movedBytes(): number {
    let sum = this.#movedBefore
    for (const { movedBytes } of this.#opened.keys()) sum += movedBytes
    return sum
  }

  /** Waits for a connection. Throws as `AppendConnection.open` does, where there is none at all. */
  async take(): Promise<AppendConnection> {
    for (;;) {
      const given = this.#given.promise
      const connection = this.#takeFree() ?? (await this.#open())
      if (connection !== undefined) return connection
      await given
    }
  }

  /** Another in the place of one that is of no more use. Throws as `AppendConnection.open` does. */
  async replace(connection: AppendConnection): Promise<AppendConnection> {
    const other = await AppendConnection.open(this.#access, this.#signal)
    this.#opened.set(other, this.#opened.get(connection))
    this.#opened.delete(connection)
    this.#movedBefore += connection.movedBytes
    return other
  }

  give(connection: AppendConnection): void {
    if (connection.isUsable && this.#opened.size <= this.#most) this.#free.push(connection)
    else this.#close(connection)
    this.#wake()
  }

  /** No more than so many from now on, of all mailboxes there; those in use come to their end. */
  limit(most: number, { isForAll = true } = {}): void {
    this.#most = Math.min(this.#most, Math.max(1, most))
    if (isForAll) this.#access.share?.limitAppends(this.#most)
    while (this.#opened.size > this.#most) {
      const idle = this.#free.pop()
      if (idle === undefined) return
      this.#close(idle)
    }
  }

  [Symbol.dispose](): void {
    for (const connection of this.#opened.keys()) this.#close(connection)
  }

  #takeFree(): AppendConnection | undefined {
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
      if (!connection.offers.multiple || !connection.offers.uids) this.limit(1)
      if (this.#opened.size <= this.#most) return connection
      this.#close(connection)
      return undefined
    } catch (error) {
      seat?.[Symbol.dispose]()
      this.#signal.throwIfAborted()
      if (!isSpare) throw error
      const isDown = error instanceof MailmuxError && error.code === 'BACKEND_UNREACHABLE'
      this.limit(this.#opened.size + this.#opening - 1, { isForAll: !isDown })
      return undefined
    } finally {
      this.#opening--
      this.#wake()
    }
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
