/**
 * A session after its login: two joined sockets, and an end that is ours where somebody asks for it.
 * The client is told why where it would understand: between two responses of its back-end. Where that
 * does not come in time, the connections are closed without a word, as if the network had failed.
 */
import { waits } from '../../base/limit.ts'
import type { Connection } from '../../net/connection.ts'
import { deadlines, type Timed } from '../../net/deadline.ts'
import type { Inlet } from '../../net/dial.ts'
import { Pump } from '../../net/pump.ts'
import type { PassedBytes, PumpEnd } from '../../net/pump-options.ts'
import type { FarewellReason, JoinedWatch } from '../../protocol/joined-watch.ts'
import { backendHerdOf } from '../backend-herds.ts'
import type { ClientLine } from '../client-line.ts'
import type { JoinedSession, JoinOptions } from './login-protocol.ts'

/** Changes what a back-end says before anybody sees it. */
interface Rewriter {
  /** Of the first `length` bytes of `bytes`; undefined: they are to pass as they are. */
  rewrite(bytes: Buffer, length: number): Buffer | undefined
}

/**
 * Before the pump. A line of which the back-end has sent a part when it ends is not passed on: a part
 * of a name is another name.
 */
class RewritingInlet implements Inlet {
  readonly #pump: Pump
  readonly #rewriter: Rewriter

  constructor(pump: Pump, rewriter: Rewriter) {
    this.#pump = pump
    this.#rewriter = rewriter
  }

  readBuffer(): Buffer {
    return this.#pump.readBuffer()
  }

  take(length: number, buffer: Buffer): boolean {
    const rewritten = this.#rewriter.rewrite(buffer, length)
    if (rewritten === undefined) return this.#pump.take(length, buffer)
    return rewritten.length === 0 || this.#pump.take(rewritten.length, rewritten)
  }
}

export class Join implements JoinedSession, PassedBytes, Timed {
  due: Timed['due']
  readonly #pump: Pump
  readonly #watch: JoinedWatch
  readonly #rewriter: Rewriter | undefined
  readonly #backend: Connection
  readonly #onEnd: JoinOptions['onEnd']
  /** What came and went before. */
  readonly #before: Pick<ClientLine, 'bytesIn' | 'bytesOut' | 'tls'>
  /** Why it is to end, once it is. */
  #why: FarewellReason | undefined

  /** `rewriter`: what the client is to get of the back-end's bytes, where it is not these. */
  constructor(options: JoinOptions, watch: JoinedWatch, rewriter?: Rewriter) {
    const { line, accepted, idleTimeoutMs, onEnd } = options
    const backend = accepted.client.joinable
    this.#backend = backend
    this.#watch = watch
    this.#onEnd = onEnd
    this.#before = { bytesIn: line.bytesIn, bytesOut: line.bytesOut, tls: line.tls }
    const herd = backendHerdOf(options.runtime, accepted.backend)
    const delayMs = (silentMs: number): number => herd.ended(silentMs, performance.now())
    this.#pump = new Pump({ client: line.detach(), backend, idleTimeoutMs, delayMs, onEnd: this })
    this.#pump.watch = watch
    this.#rewriter = rewriter
    const pump = this.#pump
    accepted.client.handOver(rewriter === undefined ? pump : new RewritingInlet(pump, rewriter))
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

  get isLeaving(): boolean {
    return this.#watch.isLeaving
  }

  get isCut(): boolean {
    return this.#backend.destroyed
  }

  start(toClient: Buffer, toBackend: Buffer): void {
    const rewritten = this.#rewriter?.rewrite(toClient, toClient.length)
    this.#pump.start(rewritten ?? toClient, toBackend)
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
    if (why === undefined || this.due === undefined || !this.#watch.isAtBoundary) return
    this.#close(this.#watch.farewell(why))
  }

  #close(farewell: string): void {
    deadlines.disarm(this)
    this.#pump.shutdown(farewell)
    // What the client has sent last is not worth a change of a mailbox that is to be left alone.
    if (this.#why === 'kicked') this.#backend.destroy()
  }
}
