/**
 * Accepts the clients of a listening socket of Node by system calls: Node has made and bound it, and the
 * workers of node:cluster share it, but it is not asked for sockets of its own.
 */
import type { Server } from 'node:net'
import { constants } from 'node:os'
import { DirectSocket } from './direct-socket.ts'
import type { Polled, Poller } from './poller.ts'
import { decodeAddress } from './socket-address.ts'
import { interrupted, socketOptions, wouldBlock } from './system-calls.ts'

/** So many at a time; then others have their turns. */
const acceptedPerTurn = 32
/** How long clients wait where a descriptor, or memory, is lacking. */
const pauseMs = 100
/** Node's loop knows of a socket from its next turn on. */
const mostTries = 10

const aborted = -constants.errno.ECONNABORTED

class Acceptor implements Polled {
  readonly #poller: Poller
  readonly #descriptor: number
  readonly #onSocket: (socket: DirectSocket) => void
  #pause: NodeJS.Timeout | undefined
  #isClosed = false
  #hasAskedTurn = false

  constructor(poller: Poller, descriptor: number, onSocket: (socket: DirectSocket) => void) {
    this.#poller = poller
    this.#descriptor = descriptor
    this.#onSocket = onSocket
    // Those that are accepted have it from their listener.
    poller.calls.setOption(descriptor, socketOptions.noDelay, 1)
    if (this.#open()) this.#hide(mostTries)
  }

  noted(): void {
    if (this.#hasAskedTurn) return
    this.#hasAskedTurn = true
    this.#poller.askTurn(this)
  }

  haveTurn(): void {
    this.#hasAskedTurn = false
    const { calls } = this.#poller
    for (let count = 0; count < acceptedPerTurn && !this.#isClosed; count++) {
      const descriptor = calls.accept(this.#descriptor)
      if (descriptor < 0) return this.#acceptNothing(descriptor)
      const remote = decodeAddress(calls, calls.lastAddress)
      this.#onSocket(new DirectSocket(this.#poller, { descriptor, remote }))
    }
  }

  close(): void {
    this.#isClosed = true
    if (this.#pause === undefined) this.#poller.remove(this.#descriptor)
    clearTimeout(this.#pause)
  }

  #acceptNothing(error: number): void {
    if (error === wouldBlock || error === aborted || error === interrupted) return
    // The poller would tell of the same client again and again.
    this.#poller.remove(this.#descriptor)
    this.#pause = setTimeout(() => this.#open(), pauseMs)
  }

  /** Returns whether there will be clients. */
  #open(): boolean {
    this.#pause = undefined
    const isOpen = this.#poller.addListener(this.#descriptor, this) === 0
    if (!isOpen) this.#pause = setTimeout(() => this.#open(), pauseMs)
    return isOpen
  }

  /** Where that fails Node accepts clients, too, and they are served as well. */
  #hide(tries: number): void {
    if (tries === 0 || this.#isClosed || this.#poller.calls.hideFromLoop(this.#descriptor)) return
    setImmediate(() => this.#hide(tries - 1))
  }
}

/**
 * Takes the clients of a server that listens. `close` is to be called before the server's own. Undefined
 * where the server does not tell its descriptor: it accepts by itself.
 */
export function acceptDirectly(
  poller: Poller,
  server: Server,
  onSocket: (socket: DirectSocket) => void,
): { close(): void } | undefined {
  const { _handle: handle } = server as { _handle?: { readonly fd?: number } | null }
  const descriptor = handle?.fd ?? -1
  return descriptor < 0 ? undefined : new Acceptor(poller, descriptor, onSocket)
}
