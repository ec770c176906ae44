/** A client's TLS session, once its handshake has begun. */
import { constants } from 'node:os'
import { type Link, mustSendFirst } from './link.ts'
import type { OpenSsl } from './openssl.ts'
import { interrupted, type SystemCalls, wouldBlock } from './system-calls.ts'

/** RFC 8446 section 5.1. */
const recordBytes = 16_384
/** Of a record: who sends less in one has said what there is to say. */
const muchBytes = 4_096
/** After these there may be more. */
const passing = new Set([wouldBlock, interrupted, mustSendFirst])
/** -EBADF, as of a connection that is closed. */
const over = -constants.errno.EBADF

export class TlsSession implements Link {
  readonly #openSsl: OpenSsl
  readonly #calls: SystemCalls
  /** 0 when it is over: no pointer is used after that. */
  #session: bigint
  /** What comes after all that was received: 0, or a negative error number. */
  #end: number | undefined

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

  /** OpenSSL gives a record at a time: of those who send much, as many as there is room for. */
  receive(_descriptor: number, octets: Uint8Array): number {
    if (this.#session === 0n) return over
    if (this.#end !== undefined) return this.#end
    let total = 0
    for (;;) {
      const room = total === 0 ? octets : octets.subarray(total)
      const count = this.#openSsl.read(this.#session, room)
      if (count <= 0) {
        if (total === 0) return count
        // A reset is told of once.
        if (!passing.has(count)) this.#end = count
        return total
      }
      total += count
      if (count < muchBytes || octets.length - total < recordBytes) return total
    }
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
