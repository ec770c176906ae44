/**
 * A connection that is logged in to somebody's mailbox, as a stream of bytes both ways: dialled,
 * secured and logged in as every connection to a back-end is.
 */
import type { Socket } from 'node:net'
import { Duplex } from 'node:stream'
import { MailmuxError, messageOf } from '../base/error.ts'
import { nodeSocketOf } from '../net/connection.ts'
import type { Inlet } from '../net/dial.ts'
import { createImapBackEnd } from '../protocol/imap/back-end.ts'
import type { BackEndOutcome } from '../protocol/login.ts'
import { createPop3BackEnd } from '../protocol/pop3/back-end.ts'
import { createSieveBackEnd } from '../protocol/sieve/back-end.ts'
import type { Share } from './allowance.ts'
import { LoginClient } from './login-client.ts'
import { endpointOf, type MailboxAccess, type MailboxProtocol } from './mailbox-access.ts'
import { prefaceFor } from './passed-client.ts'

const machines = {
  imap: createImapBackEnd,
  pop3: createPop3BackEnd,
  sieve: createSieveBackEnd,
} as const
const readBytes = 65_536

/**
 * Throws BACKEND_UNREACHABLE, BACKEND_THROTTLED, BACKEND_LOGIN_REFUSED, BACKEND_PORT_MISSING, or the
 * reason of `signal`, which closes it later, too: nobody waits for an answer then. Who has it destroys
 * it. What comes and goes is counted by the share of `access`, and waits where that says so; `isSpare`:
 * that the login is refused is not; what comes goes through `sieve`.
 */
export function openMailboxStream(
  access: MailboxAccess,
  protocol: MailboxProtocol,
  signal: AbortSignal,
  { isSpare = false, sieve }: { readonly isSpare?: boolean; readonly sieve?: Sieve } = {},
): Promise<MailboxStream> {
  const endpoint = endpointOf(access, protocol)
  signal.throwIfAborted()
  const { promise, resolve, reject } = Promise.withResolvers<MailboxStream>()
  const plan = {
    machine: machines[protocol](endpoint.tls, access.proof),
    endpoint,
    trust: access.trust,
    connectTimeoutMs: access.connectTimeoutMs,
    loginTimeoutMs: access.loginTimeoutMs,
    preface: prefaceFor({ clientAddress: access.clientAddress, client: undefined }),
  }
  const options = { share: access.share, signal, sieve }
  const client = new LoginClient(plan, {
    backendAnswered(outcome) {
      signal.removeEventListener('abort', giveUp)
      if (outcome.kind === 'accepted') resolve(new MailboxStream(client, outcome, options))
      else {
        // That one more is refused is not held against the server.
        const share = isSpare ? undefined : access.share
        reject(failureOf(access, share, protocol, outcome))
      }
    },
    backendChallenged() {
      // RFC 7628 section 3.2.3: a refused token is told of in a challenge, to be answered by nothing.
      client.respond('')
    },
  })
  const giveUp = (): void => {
    client.abort()
    reject(signal.reason as Error)
  }
  signal.addEventListener('abort', giveUp, { once: true })
  return promise
}

/** What there is to read of bytes that have come, in order; it may keep them. */
export type Sieve = (bytes: Buffer) => readonly Buffer[]

interface StreamOptions {
  readonly share: Share | undefined
  readonly signal: AbortSignal
  readonly sieve: Sieve | undefined
}

type Accepted = Extract<BackEndOutcome, { kind: 'accepted' }>

/** Codes of a login that may work when others are over. RFC 5530, RFC 2449 section 8.1.1. */
const passing = new Set(['LIMIT', 'INUSE', 'IN-USE', 'LOGIN-DELAY'])

function failureOf(
  { server, login }: MailboxAccess,
  share: Share | undefined,
  protocol: string,
  outcome: Exclude<BackEndOutcome, Accepted>,
): MailmuxError {
  const where = `${server}, ${protocol} as ${login}`
  if (outcome.kind === 'failed') {
    const what = `${where}: ${outcome.step}: ${outcome.detail}`
    if (outcome.reason === 'no_mechanism') return new MailmuxError('BACKEND_LOGIN_REFUSED', what)
    if (outcome.reason !== 'login_unavailable') return new MailmuxError('BACKEND_UNREACHABLE', what)
    share?.refused()
    return new MailmuxError('BACKEND_THROTTLED', what)
  }
  const isDenied = outcome.kind === 'denied'
  const what = `${where}: ${isDenied ? outcome.text : 'the login was refused'}`
  if (!isDenied || !passing.has(outcome.code)) {
    return new MailmuxError('BACKEND_LOGIN_REFUSED', what)
  }
  share?.refused()
  return new MailmuxError('BACKEND_THROTTLED', what)
}

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
    socket.on('end', () => this.push(null))
    socket.on('error', (error) => this.destroy(error))
    socket.on('timeout', () => this.emit('timeout'))
    socket.on('close', () => {
      if (this.readableEnded) this.destroy()
      else this.destroy(new Error('connection closed by the back-end'))
    })
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
    const isWanted = this.#push(bytes)
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
    if (!this.#held.has('read')) this.#socket.resume()
  }

  override _write(chunk: Buffer, _encoding: string, done: (error?: Error | null) => void): void {
    const go = (): void => {
      this.#endWrite = undefined
      this.#askedAt = this.#share?.now()
      this.#socket.write(chunk, () => done())
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
    this.#socket.destroy()
    done(error)
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
