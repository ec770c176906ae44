/** The addresses of a connection's two ends: our own is asked of the kernel when somebody wants to know. */
import { EventEmitter } from 'node:events'
import { decodeAddress, nowhere, type SocketAddress } from './socket-address.ts'
import type { SystemCalls } from './system-calls.ts'

/** A socket as far as its ends go. Our own is empty when it is closed. */
export class SocketEnds extends EventEmitter {
  /** Of this process; -1 when it has none any more. */
  descriptor: number
  protected readonly calls: SystemCalls
  readonly #remote: SocketAddress

  constructor(calls: SystemCalls, descriptor: number, remote: SocketAddress) {
    super()
    this.calls = calls
    this.descriptor = descriptor
    this.#remote = remote
  }

  get remoteAddress(): string {
    return this.#remote.address
  }

  get remotePort(): number {
    return this.#remote.port
  }

  get localAddress(): string {
    return this.#localEnd().address
  }

  get localPort(): number {
    return this.#localEnd().port
  }

  #localEnd(): SocketAddress {
    const { calls, descriptor } = this
    const isKnown = descriptor >= 0 && calls.localAddress(descriptor) === 0
    return isKnown ? decodeAddress(calls, calls.lastAddress) : nowhere
  }
}
