/**
 * A session after its login: two joined sockets, and an end that is ours where somebody asks for it.
 * The client is told why where it would understand: between two responses of its back-end. Where that
 * does not come in time, the connections are closed without a word, as if the network had failed.
 */
import type { Socket } from 'node:net'
import { waits } from '../base/limit.ts'
import { deadlines, type Timed } from '../net/deadline.ts'
import { Pump } from '../net/pump.ts'
import type { PassedBytes, PumpEnd } from '../net/pump-options.ts'
import type { FarewellReason, JoinedWatch } from '../protocol/joined-watch.ts'
import type { ClientLine } from './client-line.ts'
import type { JoinedSession, JoinOptions } from './login-protocol.ts'

export class Join implements JoinedSession, PassedBytes, Timed {
  dueTick = 0
  readonly #pump: Pump
  readonly #watch: JoinedWatch
  readonly #backend: Socket
  readonly #onEnd: JoinOptions['onEnd']
  /** What came and went before. */
  readonly #before: Pick<ClientLine, 'bytesIn' | 'bytesOut' | 'tls'>
  /** Why it is to end, once it is. */
  #why: FarewellReason | undefined

  constructor({ line, accepted, idleTimeoutMs, onEnd }: JoinOptions, watch: JoinedWatch) {
    const backend = accepted.client.joinable
    this.#backend = backend
    this.#watch = watch
    this.#onEnd = onEnd
    this.#before = { bytesIn: line.bytesIn, bytesOut: line.bytesOut, tls: line.tls }
    this.#pump = new Pump({ client: line.detach(), backend, idleTimeoutMs, onEnd: this })
    this.#pump.watch = watch
    accepted.client.handOver(this.#pump)
  }

  get bytesIn(): number {
    return this.#before.bytesIn + this.#pump.bytesIn
  }

  get bytesOut(): number {
    return this.#before.bytesOut + this.#pump.bytesOut
  }

  get tls(): string {
    return this.#before.tls
  }

  get isCut(): boolean {
    return this.#backend.destroyed
  }

  start(toClient: Buffer, toBackend: Buffer): void {
    this.#pump.start(toClient, toBackend)
  }

  end(why: FarewellReason): void {
    if (this.#why !== undefined) {
      // It is on its way out: the back-end is not to hear the rest of it.
      if (why === 'kicked') this.#backend.destroy()
      return
    }
    this.#why = why
    if (this.#watch.isAtBoundary) this.#close(this.#watch.farewell(why))
    else {
      this.#pump.watch = this
      deadlines.arm(this, waits.boundaryMs)
    }
  }

  kill(): void {
    this.#pump.kill()
  }

  fromBackEnd(bytes: Buffer, length: number): void {
    this.#watch.fromBackEnd(bytes, length)
    // Not from within the call that brought the bytes: the sockets are in its hands.
    if (this.#watch.isAtBoundary) setImmediate(() => this.#closeAtBoundary())
  }

  fromClient(bytes: Buffer): void {
    this.#watch.fromClient(bytes)
  }

  timedOut(): void {
    this.#close('')
  }

  pumpEnded(end: PumpEnd): void {
    deadlines.disarm(this)
    this.#onEnd.joinEnded(end === 'shutdown' && this.#why === 'kicked' ? 'kicked' : end)
  }

  #closeAtBoundary(): void {
    const why = this.#why
    if (why === undefined || this.dueTick === 0 || !this.#watch.isAtBoundary) return
    this.#close(this.#watch.farewell(why))
  }

  #close(farewell: string): void {
    deadlines.disarm(this)
    this.#pump.shutdown(farewell)
    // What the client has sent last is not worth a change of a mailbox that is to be left alone.
    if (this.#why === 'kicked') this.#backend.destroy()
  }
}
