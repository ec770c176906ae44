/**
 * A TCP connection on system calls, which does what a socket of Node does, for the part that a
 * `Connection` has, at a third of the user time: no streams, no handles, one call to the kernel for
 * each read and write.
 *
 * The kernel tells each change once: what it has told is remembered until a call says that there is no
 * more of it.
 */
import type { Connection } from '../connection.ts'
import type { Inlet } from '../dial.ts'
import type { DirectOptions, Heir } from './direct-options.ts'
import { type Link, mustSendFirst } from './link.ts'
import type { Polled, Poller } from './poller.ts'
import type { TlsSession } from './tls-session.ts'
import { SendQueue, type Written } from './send-queue.ts'
import { SocketEnds } from './socket-ends.ts'
import { closedError, emitClose, emitDrain, emitFinish, systemError } from './socket-events.ts'
import { interrupted, pollEvents, wouldBlock } from './system-calls.ts'

/** So much may be unsent before `write` returns false. */
const highWaterMark = 65_536
const scratchBytes = 65_536

/** What is read where nobody gives a buffer; copied at once. */
const scratch = Buffer.allocUnsafeSlow(scratchBytes)
const ended = pollEvents.peerEnded | pollEvents.hangUp
const readable = pollEvents.in | pollEvents.error | ended
const writable = pollEvents.out | pollEvents.error | pollEvents.hangUp

export class DirectSocket extends SocketEnds implements Connection, Polled {
  allowHalfOpen = false
  connecting: boolean
  destroyed = false
  readableEnded = false
  writableEnded = false
  writableNeedDrain = false
  /** TLS is spoken. */
  readonly tls: TlsSession | undefined
  readonly poller: Poller
  readonly #link: Link
  readonly #inlet: Inlet | undefined
  readonly #queue: SendQueue
  #isFlowing = false
  /** There may be something to read, and nobody has been told. */
  #isReadable = false
  /** Its end, or an error, is there after what there is to read. */
  #isAtEnd = false
  #isTroubled = false
  #hasAskedTurn = false
  /** All has been sent, our end included. */
  #isFinished = false
  #isDestroyedSoon = false
  #putBack: Buffer | undefined
  #heir: Heir | undefined

  constructor(
    poller: Poller,
    { descriptor, inlet, remote, isConnecting = false, tls, events }: DirectOptions,
  ) {
    super(poller.calls, Math.max(descriptor, -1), remote)
    this.poller = poller
    this.#inlet = inlet
    this.tls = tls
    this.#link = tls ?? poller.calls
    this.#queue = new SendQueue(this.#link)
    this.connecting = isConnecting
    const isToAdd = descriptor >= 0 && tls === undefined
    if (tls !== undefined) poller.handOver(descriptor, this, events)
    const result = isToAdd ? poller.addConnection(descriptor, this) : Math.min(descriptor, 0)
    if (result < 0) this.#fail(isConnecting ? 'connect' : 'epoll_ctl', result)
  }

  get writable(): boolean {
    return !this.writableEnded && !this.destroyed
  }

  get writableLength(): number {
    return this.#queue.length
  }

  get readableLength(): number {
    return this.#putBack?.length ?? 0
  }

  isPaused(): boolean {
    return !this.#isFlowing
  }

  pause(): this {
    this.#isFlowing = false
    return this
  }

  resume(): this {
    if (this.destroyed) return this
    this.#isFlowing = true
    // Before anything that waits for time: it was there first.
    if (this.#putBack !== undefined) process.nextTick(() => this.haveTurn())
    else if (this.#isReadable) this.#askTurn()
    return this
  }

  unshift(octets: Buffer): void {
    this.#putBack = this.#putBack === undefined ? octets : Buffer.concat([octets, this.#putBack])
  }

  cork(): void {
    this.#queue.isCorked = true
  }

  uncork(): void {
    this.#queue.isCorked = false
    this.#flush()
  }

  write(octets: Uint8Array | string, how?: Written | 'latin1' | 'utf8'): boolean {
    const written = typeof how === 'function' ? how : undefined
    if (!this.writable) {
      if (written !== undefined) process.nextTick(written, closedError())
      return false
    }
    if (typeof octets !== 'string') {
      return this.#added(this.#queue.addOctets(this.descriptor, octets, written))
    }
    const encoding = how === 'latin1' ? how : 'utf8'
    return this.#added(this.#queue.addText(this.descriptor, octets, encoding))
  }

  /** As `write`, of the first `length` of octets that will be others when it has returned. */
  writeLent(octets: Uint8Array, length: number): boolean {
    return this.writable && this.#added(this.#queue.addLent(this.descriptor, octets, length))
  }

  end(last?: string | (() => void)): this {
    if (typeof last === 'string') this.write(last)
    else if (last !== undefined && !this.#isFinished && !this.destroyed) this.once('finish', last)
    else if (last !== undefined) process.nextTick(last)
    if (this.writableEnded || this.destroyed) return this
    this.writableEnded = true
    this.#queue.isCorked = false
    if (!this.connecting) this.#flush()
    return this
  }

  destroySoon(): void {
    this.#isDestroyedSoon = true
    if (!this.writableEnded) this.end()
    if (this.#isFinished) this.destroy()
  }

  destroy(error?: Error): this {
    if (this.destroyed) this.#heir?.destroy()
    if (this.destroyed) return this
    this.destroyed = true
    this.#isFlowing = false
    this.#queue.abandon(error)
    this.#link.release()
    if (this.descriptor >= 0) this.poller.close(this.descriptor)
    this.descriptor = -1
    process.nextTick(emitClose, this, error)
    return this
  }

  setKeepAlive(isWanted: boolean, idleMs: number): this {
    if (!this.destroyed) this.calls.setKeepAlive(this.descriptor, isWanted, idleMs)
    return this
  }

  /**
   * Gives away a connection with nothing unsent, of which the poller goes on to tell. Where this one is to
   * be destroyed from now on, `heir` is.
   */
  giveAway(heir: Heir): { readonly descriptor: number; readonly putBack: Buffer | undefined } {
    const { descriptor } = this
    const isWhole = descriptor >= 0 && this.writableLength === 0 && this.tls === undefined
    if (!isWhole) throw new Error('not a connection to be given away')
    this.descriptor = -1
    this.destroyed = true
    this.#isFlowing = false
    this.#heir = heir
    return { descriptor, putBack: this.#putBack }
  }

  noted(events: number): void {
    if ((events & readable) !== 0) this.#isReadable = true
    if ((events & ended) !== 0) this.#isAtEnd = true
    if ((events & pollEvents.error) !== 0) this.#isTroubled = true
    if ((events & writable) !== 0) this.#queue.isBlocked = false
    const isToRead = this.#isReadable && (this.#isFlowing || this.#isAtEnd)
    if (isToRead || this.#queue.isReady || this.#isTroubled || this.connecting) this.#askTurn()
  }

  haveTurn(): void {
    this.#hasAskedTurn = false
    if (this.destroyed) return
    if (this.connecting) this.#connected()
    if (this.#isFlowing && this.#putBack !== undefined) {
      const octets = this.#putBack
      this.#putBack = undefined
      this.emit('data', octets)
    }
    // Before anything is sent, for that may fail, and what has come would be lost.
    if (this.#isFlowing && this.#isReadable && !this.readableEnded) this.#read()
    if (this.#queue.isReady) this.#flush()
    if (this.#isTroubled) this.#findTrouble()
    if (this.#isAtEnd && !this.#isFlowing) this.#findEnd()
  }

  #askTurn(): void {
    if (this.#hasAskedTurn || this.destroyed) return
    this.#hasAskedTurn = true
    this.poller.askTurn(this)
  }

  #connected(): void {
    const error = this.#isTroubled ? this.calls.takeError(this.descriptor) : 0
    if (error < 0) return this.#fail('connect', error)
    this.connecting = false
    this.emit('connect')
    this.#flush()
  }

  /** A client that has left is told of also while nothing is read of it. */
  #findEnd(): void {
    const isHidden = this.readableEnded || this.#putBack !== undefined || this.destroyed
    if (isHidden || this.#inlet !== undefined) return
    if (this.#link.isAtEnd(this.descriptor)) this.#readNothing(0)
  }

  /** A client that is gone is told of also while nothing is read of it; else all is read first. */
  #findTrouble(): void {
    const isReadFirst = this.#isFlowing || this.#inlet !== undefined
    if (this.destroyed || (this.#isReadable && isReadFirst)) return
    this.#isTroubled = false
    const error = this.calls.takeError(this.descriptor)
    if (error < 0) this.#fail('read', error)
  }

  /** Once in a turn, so that others have theirs, and the other side has time to send on. */
  #read(): void {
    const buffer = this.#inlet === undefined ? scratch : this.#inlet.readBuffer()
    const count = this.#link.receive(this.descriptor, buffer)
    if (count <= 0) return this.#readNothing(count)
    // The kernel had no more, and tells when it has. TLS may have kept some.
    const isLast = count < buffer.length && this.tls === undefined
    if (isLast && !this.#isAtEnd && !this.#isTroubled) this.#isReadable = false
    if (this.#inlet === undefined) this.emit('data', Buffer.from(buffer.subarray(0, count)))
    else if (!this.#inlet.take(count, buffer)) this.#isFlowing = false
    if (this.destroyed || !this.#isFlowing || !this.#isReadable) return
    // Nothing comes after an end that was told of before.
    if (isLast && this.#isAtEnd && !this.#isTroubled) this.#readNothing(0)
    else this.#askTurn()
  }

  #readNothing(result: number): void {
    // It goes on when the kernel takes something, or when others have had their turns.
    if (result === mustSendFirst) return
    if (result === interrupted) return this.#askTurn()
    this.#isReadable = false
    if (result === wouldBlock) return
    if (result < 0) return this.#fail('read', result)
    this.readableEnded = true
    this.emit('end')
    if (!this.allowHalfOpen) this.end()
    if (this.#isFinished) this.destroy()
  }

  #added(result: number): boolean {
    if (result < 0) this.#fail('write', result)
    const isRoomy = this.writableLength < highWaterMark
    if (!isRoomy) this.writableNeedDrain = true
    return isRoomy
  }

  #flush(): void {
    if (this.destroyed) return
    const result = this.#queue.flush(this.descriptor)
    if (result < 0) return this.#fail('write', result)
    if (this.writableLength > 0) return
    if (this.writableEnded) this.#finish()
    else if (this.writableNeedDrain) {
      this.writableNeedDrain = false
      process.nextTick(emitDrain, this)
    }
  }

  #finish(): void {
    if (this.#isFinished) return
    this.#isFinished = true
    process.nextTick(emitFinish, this)
    const isOver = this.#isDestroyedSoon || this.readableEnded
    this.#link.endSending(this.descriptor, isOver)
    if (isOver) this.destroy()
  }

  #fail(call: string, result: number): void {
    const whereTo = call === 'connect' ? `${this.remoteAddress}:${this.remotePort}` : ''
    this.destroy(systemError(call, result, whereTo))
  }
}
