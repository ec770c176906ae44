/** A connection that is logged in to somebody's mailbox, as a stream of bytes both ways. */
import type { Socket } from 'node:net'
import { Duplex } from 'node:stream'
import { messageOf } from '../base/error.ts'
import { nodeSocketOf } from '../net/connection.ts'
import type { Inlet } from '../net/dial.ts'
import type { BackEndOutcome } from '../protocol/login.ts'
import type { Share } from './allowance.ts'
import { CompressAnswer, compressCommand, Compression, Farewell } from './compression.ts'
import type { LoginClient } from './login-client.ts'

const readBytes = 65_536

/** What there is to read of bytes that have come, in order; it may keep them. */
export type Sieve = (bytes: Buffer) => readonly Buffer[]

interface StreamOptions {
  readonly share: Share | undefined
  readonly signal: AbortSignal
  readonly sieve: Sieve | undefined
}

/** That the back-end has let somebody in. */
export type Accepted = Extract<BackEndOutcome, { kind: 'accepted' }>

/** Who speaks with the server behind a stream. */
export interface MailboxListener {
  readonly take: (chunk: Buffer) => void
  /** Nothing more will come, and why; maybe more than once. */
  readonly fail: (reason: string) => void
}

export class MailboxStream extends Duplex {
  /** IMAP: those after login, between single spaces. */
  readonly capabilities: string
  readonly #socket: Socket
  readonly #share: Share | undefined
  readonly #signal: AbortSignal
  readonly #sieve: Sieve | undefined
  /** What calls off a wait, by direction. */
  readonly #held = new Map<'read' | 'write', () => void>()
  /** While an answer to COMPRESS is waited for. */
  #compressing: { readonly answer: CompressAnswer; readonly end: () => void } | undefined
  #compression: Compression | undefined
  /** Of a write that waits. */
  #endWrite: ((error: Error) => void) | undefined
  #silenceMs = 0
  /** Since when an answer is waited for; undefined where none is. */
  #askedAt: number | undefined

  constructor(
    client: LoginClient,
    { response, surplus }: Accepted,
    { share, signal, sieve }: StreamOptions,
  ) {
    super({ highWaterMark: readBytes * 4 })
    const giveUp = (): void => void this.destroy()
    signal.addEventListener('abort', giveUp, { once: true })
    this.once('close', () => signal.removeEventListener('abort', giveUp))
    this.#share = share
    this.#signal = signal
    this.#sieve = sieve
    const { socket } = client
    if (socket === undefined) throw new Error('accepted without a connection')
    this.#socket = nodeSocketOf(socket)
    this.capabilities = response.capabilities
    client.handOver(inletOf(this))
    if (surplus.length > 0) this.took(surplus)
    socket.on('end', () => {
      if (this.#compressing !== undefined) this.destroy(new Error('connection closed'))
      else if (this.#compression === undefined) this.push(null)
      else this.#compression.end()
    })
    socket.on('error', (error) => this.destroy(error))
    socket.on('timeout', () => this.emit('timeout'))
    socket.on('close', () => {
      if (this.readableEnded) this.destroy()
      else this.destroy(new Error('connection closed by the back-end'))
    })
  }

  /**
   * Asks for compression, before anything else is asked; resolves when it is agreed on, or declined.
   * Throws what ends the connection. RFC 4978 section 3.
   */
  async compress(timeoutMs: number): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    this.#compressing = { answer: new CompressAnswer(), end: resolve }
    const gone = (): void => reject(new Error('connection closed'))
    const late = setTimeout(() => this.destroy(new Error('no answer in time')), timeoutMs)
    this.on('error', reject).on('close', gone)
    this.#socket.write(compressCommand)
    await promise.finally(() => clearTimeout(late))
    this.off('error', reject).off('close', gone)
  }

  /** `silenceMs`: no answer for so long ends it. */
  listen({ take, fail }: MailboxListener, silenceMs: number): void {
    this.setTimeout(silenceMs)
    this.on('data', take).on('timeout', () => fail('no answer in time'))
    this.on('error', (error) => fail(messageOf(error)))
    this.on('end', () => fail('connection closed')).on('close', () => fail('connection closed'))
  }

  /** Emits `timeout` where nothing came or went for so long; 0: never. */
  setTimeout(ms: number): this {
    this.#silenceMs = ms
    this.#watchSilence()
    return this
  }

  /** Waits until a command may be written. Throws the reason of the signal that it was opened with. */
  async untilTurn(): Promise<void> {
    await this.#share?.command(this.#signal)
  }

  /** Takes bytes that have come. False: no more of them now. */
  took(bytes: Buffer): boolean {
    this.#tellLatency()
    const isWanted = this.#arrived(bytes)
    const isHeld = this.#hold('read', bytes.length, () => this.#socket.resume())
    return isWanted && !isHeld
  }

  /** Resolves when the octets have gone, and their memory is free again, or nothing goes any more. */
  send(bytes: Buffer): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.write(bytes, () => resolve())
    return promise
  }

  override _read(): void {
    const isWanted = this.#compression?.resume() ?? true
    if (isWanted && !this.#held.has('read')) this.#socket.resume()
  }

  override _write(chunk: Buffer, _encoding: string, done: (error?: Error | null) => void): void {
    const go = (): void => {
      this.#endWrite = undefined
      this.#askedAt = this.#share?.now()
      if (this.#compression === undefined) this.#socket.write(chunk, () => done())
      else this.#compression.write(chunk, done)
    }
    if (this.#hold('write', chunk.length, go)) this.#endWrite = done
    else go()
  }

  override _final(done: () => void): void {
    this.#socket.end(done)
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    for (const callOff of this.#held.values()) callOff()
    this.#endWrite?.(error ?? new Error('closed'))
    this.#compression?.destroy()
    this.#socket.destroy()
    done(error)
  }

  /** False: no more of it now. */
  #arrived(bytes: Buffer): boolean {
    if (this.#compressing !== undefined) return this.#answered(bytes, this.#compressing)
    return this.#compression?.took(bytes) ?? this.#push(bytes)
  }

  #answered(
    bytes: Buffer,
    { answer, end }: { readonly answer: CompressAnswer; readonly end: () => void },
  ): boolean {
    const said = answer.push(bytes)
    if (said === undefined) return true
    this.#compressing = undefined
    if (said.kind === 'bye' || said.kind === 'malformed') {
      this.destroy(said.kind === 'bye' ? new Farewell(said.status) : new Error('malformed answer'))
      return false
    }
    if (said.kind === 'accepted') this.#compression = this.#compressed()
    end()
    return said.rest.length === 0 || this.#arrived(said.rest)
  }

  #compressed(): Compression {
    return new Compression({
      take: (bytes) => this.#push(bytes),
      send: (bytes, done) => void this.#socket.write(bytes, () => done()),
      resume: () => {
        if (!this.#held.has('read')) this.#socket.resume()
      },
      end: () => void this.push(null),
      fail: (error) => void this.destroy(error),
    })
  }

  /** False: there is enough to read. */
  #push(bytes: Buffer): boolean {
    if (this.#sieve === undefined) return this.push(bytes)
    let isWanted = true
    for (const piece of this.#sieve(bytes)) isWanted = this.push(piece)
    return isWanted
  }

  #tellLatency(): void {
    if (this.#askedAt === undefined) return
    this.#share?.answered(this.#share.now() - this.#askedAt)
    this.#askedAt = undefined
  }

  /** False: nothing is to be waited for. */
  #hold(direction: 'read' | 'write', bytes: number, goOn: () => void): boolean {
    const callOff = this.#share?.spend(bytes, () => {
      this.#held.delete(direction)
      this.#watchSilence()
      goOn()
    })
    if (callOff === undefined) return false
    this.#held.set(direction, callOff)
    this.#watchSilence()
    return true
  }

  /** While it is we who wait, nobody is silent. */
  #watchSilence(): void {
    this.#socket.setTimeout(this.#held.size > 0 ? 0 : this.#silenceMs)
  }
}

/** A large read is passed on as it is, with its buffer; a small one must not keep so much memory. */
function inletOf(stream: MailboxStream): Inlet {
  let own: Buffer | undefined
  return {
    readBuffer() {
      own ??= Buffer.allocUnsafeSlow(readBytes)
      return own
    },
    take(length, buffer) {
      const bytes = buffer.subarray(0, length)
      // Any other buffer is lent.
      if (buffer !== own || length < readBytes / 2) return stream.took(Buffer.from(bytes))
      own = undefined
      return stream.took(bytes)
    },
  }
}
