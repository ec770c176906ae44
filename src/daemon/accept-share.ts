/**
 * Leaves clients to other workers while this one is full. All of them have the same listening sockets,
 * and the kernel gives a client to whoever is quickest: one can be full long before the others, and
 * would turn away clients for whom they have room. The last that takes clients goes on when it is full,
 * for somebody must tell them.
 */
import type { RoomBoard } from './admission/room-board.ts'

const lookMs = 200
/** Who has been full waits until so much of its room is free, as long as that is soon. */
const freeShare = 0.02

export interface AcceptShareOptions {
  readonly listeners: { pause(): void; resume(): Promise<void> }
  readonly room: RoomBoard
  /** How many sessions more this worker may well have; 0 where there is hardly room. */
  readonly free: () => number
  /** How many in all. */
  readonly limit: () => number
  /** It could not listen again; it tries once more. */
  readonly onFault: (error: unknown) => void
}

export class AcceptShare {
  readonly #options: AcceptShareOptions
  /** Others have the clients. */
  #isAway = false
  /** Runs while this worker is full, and until it listens again. */
  #timer: NodeJS.Timeout | undefined
  #isEnded = false

  constructor(options: AcceptShareOptions) {
    this.#options = options
  }

  /** It listens, or has other limits. */
  begin(): void {
    if (this.#isAway) this.left()
    else if (!this.#isEnded) this.#options.room.claim()
  }

  /** A client has come. */
  entered(): void {
    if (this.#options.free() > 0 || this.#isAway || this.#isEnded) return
    this.#goAway()
    this.#timer ??= setInterval(() => this.#look(), lookMs)
  }

  /** A client has gone. */
  left(): void {
    if (!this.#isAway) return
    const { free, limit } = this.#options
    if (free() >= Math.max(1, limit() * freeShare)) void this.#return()
  }

  /** It takes no client ever again. */
  end(): void {
    this.#isEnded = true
    this.#stopLooking()
    this.#options.room.release()
  }

  /** Where there is somebody else: of two that are full at once one may see the other go. */
  #goAway(): void {
    const { room, listeners } = this.#options
    room.release()
    this.#isAway = room.hasOthers
    if (this.#isAway) listeners.pause()
    else room.claim()
  }

  /** Others may have died, or come. */
  #look(): void {
    const { free, room } = this.#options
    const isFull = free() <= 0
    if (this.#isAway) {
      if (!isFull || !room.hasOthers) void this.#return()
    } else if (!isFull) this.#stopLooking()
    else if (room.hasOthers) this.#goAway()
  }

  async #return(): Promise<void> {
    const { listeners, room, onFault } = this.#options
    this.#isAway = false
    this.#stopLooking()
    try {
      await listeners.resume()
      // It may be full again, and away, by now.
      if (!this.#isEnded && !this.#isAway) room.claim()
    } catch (error) {
      onFault(error)
      if (this.#isEnded) return
      this.#isAway = true
      this.#timer ??= setInterval(() => this.#look(), lookMs)
    }
  }

  #stopLooking(): void {
    clearInterval(this.#timer)
    this.#timer = undefined
  }
}
