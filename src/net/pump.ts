/**
 * Joins a client and a back-end after login: bytes both ways, in order, each once, whatever they
 * mean. Reading from one side stops while the other has not taken what it was given.
 *
 * The end of either side's bytes is passed on once all before it has been: the connection to the
 * client is half-closed and then read out (and thrown away) until the client closes too, for closing
 * it with unread input would make the kernel reset it and lose the tail on its way. Who has said that
 * it leaves sends no more: its connection is closed at once.
 *
 * Hot path: no parsing, no timers, no listener or closure per chunk, and no copy but for quiet
 * sessions, whose bytes are in the buffer that all of them share.
 */
import { TLSSocket } from 'node:tls'
import { waits } from '../base/limit.ts'
import { type Connection, isEncrypted } from './connection.ts'
import { deadlines, type Timed } from './deadline.ts'
import type { Inlet } from './dial.ts'
import { DirectSocket } from './direct/direct-socket.ts'
import { awaitDrain, awaitFinish, listenToClient, listenToEnd } from './pump-listeners.ts'
import type { PassedBytes, PumpEnd, PumpOptions } from './pump-options.ts'
import { borrowLargeBuffer, quietBuffer, returnLargeBuffer } from './read-buffer.ts'

/** A connection that lives this long is watched by TCP keepalive: most are over before. */
const settledMs = 60_000
const keepAliveMs = 180_000
/** How long one side may be silent after the other has ended. */
const halfOpenMs = 30_000
/** A busy connection whose reads get this small is quiet again. */
const quietReadBytes = 4096
const nothing = Buffer.alloc(0)

export class Pump implements Inlet, Timed {
  due: Timed['due']
  /** Bytes from the client and to it since the join. */
  bytesIn = 0
  bytesOut = 0
  /** Sees all that passes. */
  watch: PassedBytes | undefined
  readonly #client: Connection
  readonly #backend: Connection
  readonly #options: PumpOptions
  readonly #encrypted: boolean
  /** A write is taken at once, and told of later: so does TLS of Node. */
  readonly #takesAtOnce: boolean
  #large: Buffer | undefined
  #end: PumpEnd | undefined
  /** When bytes last passed, and how long none may: what is left of a join that ends is short. */
  #activeTick = deadlines.tick
  #silenceMs: number
  #isSettled = false
  #isWaiting = false
  /** Its back-end is gone, and its client is not told yet. */
  #isLeftAlone = false
  #open = 2
  #written: ((error?: Error | null) => void) | undefined

  constructor(options: PumpOptions) {
    this.#client = options.client
    this.#backend = options.backend
    this.#options = options
    this.#encrypted = isEncrypted(options.client)
    this.#takesAtOnce = options.client instanceof TLSSocket
    this.#silenceMs = options.idleTimeoutMs
  }

  /** Begins with what was read too far on either side. */
  start(toClient: Buffer, toBackend: Buffer): void {
    for (const socket of [this.#client, this.#backend]) listenToEnd(socket, this)
    if (toClient.length > 0) {
      this.bytesOut += toClient.length
      this.#client.write(toClient)
      this.watch?.fromBackEnd(toClient, toClient.length)
    }
    if (toBackend.length > 0) this.takeFromClient(toBackend)
    deadlines.arm(this, Math.min(settledMs, this.#options.idleTimeoutMs))
    listenToClient(this.#client)
    // Either may have ended, or been destroyed, while nobody listened.
    if (this.#client.destroyed) this.closed(this.#client)
    else if (this.#client.readableEnded) this.ended(this.#client)
    else this.#client.resume()
  }

  readBuffer(): Buffer {
    return this.#large ?? quietBuffer
  }

  take(length: number, buffer: Buffer): boolean {
    const client = this.#client
    if (client.writableEnded || client.destroyed) return true
    this.bytesOut += length
    this.#activeTick = deadlines.tick
    const waited = client.writableLength > 0
    if (buffer === quietBuffer) {
      this.#writeQuiet(length, waited)
      if (length === buffer.length) this.#becomeBusy()
    } else if (buffer === this.#large) {
      client.write(buffer.subarray(0, length), this.#onWritten())
      if (length < quietReadBytes) this.#becomeQuiet(waited)
    } else {
      client.write(buffer) // a chunk of its own, as upgraded connections give
    }
    this.watch?.fromBackEnd(buffer, length)
    if (client.writableLength === 0) return true
    // TLS reports every write as done a little later: one small one may be on its way.
    if (this.#takesAtOnce && !waited && length <= quietBuffer.length) return true
    // A TLS connection goes on giving records that it has decrypted after it was stopped.
    if (!this.#isWaiting && buffer !== this.#large) client.write(nothing, this.#onWritten())
    this.#isWaiting = true
    return false
  }

  timedOut(): void {
    const leftMs = this.#silenceMs - deadlines.since(this.#activeTick)
    if (leftMs > 0) {
      if (!this.#isSettled) this.#settle()
      deadlines.arm(this, leftMs)
    } else if (this.#end === undefined) this.#finish('idle')
    else if (this.#isLeftAlone) this.#closeClient()
    else this.kill()
  }

  /** Ends the join after what was taken from either side, and `farewell`, have been delivered. */
  shutdown(farewell = ''): void {
    if (this.#end === undefined && farewell !== '' && this.#client.writable) {
      this.bytesOut += farewell.length
      this.#client.write(farewell, 'latin1')
    }
    this.#finish('shutdown')
  }

  kill(): void {
    this.#end ??= 'shutdown'
    this.#client.destroy()
    this.#backend.destroy()
  }

  resumeClient(): void {
    this.#client.resume()
  }

  failed(socket: Connection): void {
    if (socket === this.#client) this.#end ??= 'client_error'
    else this.#backendGone('backend_error')
    socket.destroy()
  }

  closed(socket: Connection): void {
    this.#open--
    if (socket === this.#client) {
      this.#end ??= 'client_closed'
      this.#closeBackend()
    } else {
      this.#backendGone('backend_error')
    }
    if (this.#open === 0) this.#over()
  }

  /** The bytes are in the buffer that others will use next: TLS takes them at once, TCP may not. */
  #writeQuiet(length: number, waited: boolean): void {
    if (this.#client instanceof DirectSocket) this.#client.writeLent(quietBuffer, length)
    else if (this.#takesAtOnce && !waited) this.#client.write(quietBuffer.subarray(0, length))
    else this.#client.write(quietBuffer.toString('latin1', 0, length), 'latin1')
  }

  #becomeBusy(): void {
    // Records are no larger than the shared buffer, and may come while a large one is in use.
    if (isEncrypted(this.#backend)) return
    this.#large ??= borrowLargeBuffer()
  }

  #becomeQuiet(waited: boolean): void {
    const large = this.#large
    if (large === undefined) return
    // What waits is still in the buffer, unless TLS has taken it: of writes that wait it takes one.
    if (this.#client.writableLength > 0 && (waited || !this.#takesAtOnce)) return
    this.#large = undefined
    returnLargeBuffer(large, false)
  }

  #onWritten(): (error?: Error | null) => void {
    this.#written ??= () => {
      if (!this.#isWaiting || this.#client.writableLength > 0) return
      this.#isWaiting = false
      this.#backend.resume()
    }
    return this.#written
  }

  takeFromClient(chunk: Buffer): void {
    const backend = this.#backend
    this.bytesIn += chunk.length
    if (this.#isLeftAlone) this.#closeClient()
    if (backend.writableEnded || backend.destroyed) return
    this.#activeTick = deadlines.tick
    this.watch?.fromClient(chunk)
    if (backend.write(chunk)) return
    this.#client.pause()
    awaitDrain(backend)
  }

  #settle(): void {
    this.#isSettled = true
    this.#client.setKeepAlive(true, keepAliveMs)
    this.#backend.setKeepAlive(true, keepAliveMs)
  }

  ended(socket: Connection): void {
    if (socket === this.#client) {
      this.#end ??= 'client_closed'
      if (this.#isLeftAlone) this.#closeClient()
      if (this.#backend.writableEnded || this.#backend.destroyed) return
      this.#backend.end()
      this.#allowSilence(halfOpenMs)
    } else {
      this.#backendGone('backend_closed')
    }
  }

  /** All that it said has been passed on. Who waits for nothing may be told later. */
  #backendGone(end: PumpEnd): void {
    const silentMs = deadlines.since(this.#activeTick)
    const waitMs = this.#end === undefined ? (this.#options.delayMs?.(silentMs) ?? 0) : 0
    this.#end ??= end
    this.#closeBackend()
    this.#isLeftAlone ||= waitMs > 0
    if (waitMs > 0) this.#allowSilence(waitMs)
    else if (!this.#isLeftAlone) this.#closeClient()
  }

  #allowSilence(silenceMs: number): void {
    this.#silenceMs = silenceMs
    this.#activeTick = deadlines.tick
    deadlines.arm(this, silenceMs)
  }

  #finish(end: PumpEnd): void {
    if (this.#isLeftAlone) this.#closeClient()
    if (this.#end !== undefined) return
    this.#end = end
    this.#closeBackend()
    this.#closeClient()
  }

  /** The back-end will say no more that anyone wants to hear. */
  #closeBackend(): void {
    const backend = this.#backend
    if (backend.writableLength === 0) backend.destroy()
    else if (!backend.destroyed) {
      backend.destroySoon()
      this.#allowSilence(halfOpenMs)
    }
  }

  #closeClient(): void {
    const client = this.#client
    this.#isLeftAlone = false
    if (client.destroyed) return
    if (this.watch?.isLeaving === true) return this.#dismissClient()
    if (!client.writableEnded) {
      client.end()
      awaitFinish(client)
      this.#allowSilence(halfOpenMs)
    }
    client.resume()
  }

  /** There is nothing more to hear of it: closed when all is sent. TLS has a word of its own to say. */
  #dismissClient(): void {
    const client = this.#client
    if (client.writableLength === 0 && !this.#encrypted) client.destroy()
    else if (!client.writableEnded) {
      client.destroySoon()
      this.#allowSilence(halfOpenMs)
    }
  }

  /** All has been sent: the client gets a moment to close its side. */
  clientFinished(): void {
    if (!this.#client.destroyed) this.#allowSilence(waits.closeMs)
  }

  #over(): void {
    deadlines.disarm(this)
    if (this.#large !== undefined) returnLargeBuffer(this.#large, this.#client.writableLength > 0)
    this.#large = undefined
    this.#options.onEnd.pumpEnded(this.#end ?? 'shutdown')
  }
}
