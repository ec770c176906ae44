/** A client's TLS session, once its handshake has begun. */
import { constants } from 'node:os'
import type { Link } from './link.ts'
import type { OpenSsl } from './openssl.ts'
import type { SystemCalls } from './system-calls.ts'

/** -EBADF, as of a connection that is closed. */
const over = -constants.errno.EBADF

export class TlsSession implements Link {
  readonly #openSsl: OpenSsl
  readonly #calls: SystemCalls
  /** 0 when it is over: no pointer is used after that. */
  #session: bigint

  constructor(openSsl: OpenSsl, calls: SystemCalls, context: bigint, descriptor: number) {
    this.#openSsl = openSsl
    this.#calls = calls
    this.#session = openSsl.createSession(context, descriptor)
  }

  /** Returns 1 when the handshake is done, -EAGAIN where more must come first, or another negative number. */
  handshake(): number {
    return this.#openSsl.handshake(this.#own)
  }

  describe(): { readonly protocol: string; readonly cipher: string } {
    return this.#openSsl.describe(this.#own)
  }

  receive(_descriptor: number, octets: Uint8Array): number {
    return this.#session === 0n ? over : this.#openSsl.read(this.#session, octets)
  }

  isAtEnd(): boolean {
    return this.#session !== 0n && this.#openSsl.isAtEnd(this.#session)
  }

  send(_descriptor: number, octets: Uint8Array, length: number): number {
    return this.#session === 0n ? over : this.#openSsl.write(this.#session, octets, length)
  }

  endSending(descriptor: number, isClosing: boolean): void {
    if (this.#session !== 0n) this.#openSsl.shutdown(this.#session)
    this.#calls.endSending(descriptor, isClosing)
  }

  release(): void {
    if (this.#session !== 0n) this.#openSsl.freeSession(this.#session)
    this.#session = 0n
  }

  get #own(): bigint {
    if (this.#session === 0n) throw new Error('a TLS session that is over')
    return this.#session
  }
}
