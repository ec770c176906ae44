/** The addresses of a connection's two ends: asked of the kernel when somebody wants to know. */
import { EventEmitter } from 'node:events'
import { decodeAddress, type SocketAddress } from './socket-address.ts'
import type { SystemCalls } from './system-calls.ts'

const nowhere: SocketAddress = { address: '', port: 0 }

/** A socket as far as its ends go. They are empty where it is closed, unless they were known before. */
export class SocketEnds extends EventEmitter {
  /** Of this process; -1 when it has none any more. */
  descriptor: number
  protected readonly calls: SystemCalls
  #remote: SocketAddress | undefined

  /** `remote`: where that is known already. */
  constructor(calls: SystemCalls, descriptor: number, remote: SocketAddress | undefined) {
    super()
    this.calls = calls
    this.descriptor = descriptor
    this.#remote = remote
  }

  get remoteAddress(): string {
    return this.#remoteEnd().address
  }

  get remotePort(): number {
    return this.#remoteEnd().port
  }

  get localAddress(): string {
    return this.#localEnd().address
  }

  get localPort(): number {
    return this.#localEnd().port
  }

  #remoteEnd(): SocketAddress {
    const { calls, descriptor } = this
    if (this.#remote === undefined && descriptor >= 0 && calls.remoteAddress(descriptor) === 0) {
      this.#remote = decodeAddress(calls, calls.lastAddress)
    }
    return this.#remote ?? nowhere
  }

  #localEnd(): SocketAddress {
    const { calls, descriptor } = this
    if (descriptor < 0 || calls.localAddress(descriptor) < 0) return nowhere
    return decodeAddress(calls, calls.lastAddress) ?? nowhere
  }
}
