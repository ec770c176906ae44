/**
 * Joins a client of submission and its back-end through the machine that sees who sends. What the
 * machine has cut off has no end for the back-end: whatever it was sent of a message, it has none.
 *
 * A client that does not read is not asked for more, since no reply is read of the back-end until it
 * has taken the one before; a back-end that does not take a message stops its client.
 */
import { waits } from '../../base/limit.ts'
import type { SessionEnd } from '../../base/log.ts'
import { assertNever } from '../../base/never.ts'
import type { Connection } from '../../net/connection.ts'
import { deadlines, type Timed } from '../../net/deadline.ts'
import type { Inlet } from '../../net/dial.ts'
import { quietBuffer } from '../../net/read-buffer.ts'
import type { FarewellReason } from '../../protocol/joined-watch.ts'
import type { CheckedAction, CheckedSession } from '../../protocol/smtp/checked-session.ts'
import type { ClientLine } from '../client-line.ts'
import type { JoinedSession, JoinOptions } from './login-protocol.ts'

/** How long a client may take to read the last words. */
const lastWordsMs = 30_000

export class CheckedJoin implements JoinedSession, Inlet, Timed {
  due: Timed['due']
  bytesIn: number
  bytesOut: number
  readonly tls: ClientLine['tls']
  readonly #client: Connection
  readonly #backend: Connection
  readonly #options: JoinOptions
  readonly #machine: CheckedSession
  #end: SessionEnd | 'idle' | undefined
  /** Who ends it is an administrator, or a move. */
  #isKicked = false
  /** The client sends no more. */
  #hasLeft = false
  /** The back-end is of no more use. */
  #isLost = false
  #open = 2

  constructor(options: JoinOptions, machine: CheckedSession) {
    const { line, accepted } = options
    this.bytesIn = line.bytesIn
    this.bytesOut = line.bytesOut
    this.tls = line.tls
    this.#client = line.detach()
    this.#backend = accepted.client.joinable
    this.#options = options
    this.#machine = machine
    accepted.client.handOver(this)
  }

  get isCut(): boolean {
    return this.#backend.destroyed
  }

  /** The back-end has said nothing yet, or its login had failed. */
  start(_toClient: Buffer, toBackend: Buffer): void {
    const [client, backend] = [this.#client, this.#backend]
    client.on('end', () => this.#left()).on('error', () => this.#failed())
    client.on('close', () => this.#closed(backend)).on('drain', () => backend.resume())
    backend.on('end', () => this.#lost()).on('error', () => this.#lost())
    backend.on('close', () => {
      this.#lost()
      this.#closed(client)
    })
    backend.on('drain', () => this.#listen())
    client.on('data', (chunk: Buffer) => this.#take(chunk))
    deadlines.arm(this, this.#options.idleTimeoutMs)
    if (toBackend.length > 0) this.#take(toBackend)
    // Either may have ended, or been destroyed, while nobody listened.
    if (client.destroyed) this.#closed(backend)
    else if (client.readableEnded) this.#left()
    else this.#listen()
  }

  readBuffer(): Buffer {
    return quietBuffer
  }

  take(length: number, buffer: Buffer): boolean {
    if (this.#end !== undefined) return true
    deadlines.arm(this, this.#options.idleTimeoutMs)
    this.#perform(this.#machine.fromBackend(Buffer.from(buffer.subarray(0, length))))
    this.#listen()
    return !this.#client.writableNeedDrain
  }

  timedOut(): void {
    if (this.#end !== undefined) this.kill()
    else this.#perform(this.#machine.timedOut())
  }

  end(why: FarewellReason): void {
    this.#isKicked ||= why === 'kicked'
    if (this.#end === undefined) this.#perform(this.#machine.shutDown())
    if (this.#isKicked) this.#backend.destroy()
  }

  kill(): void {
    this.#end ??= 'shutdown'
    this.#client.destroy()
    this.#backend.destroy()
  }

  #take(chunk: Buffer): void {
    this.bytesIn += chunk.length
    if (this.#end !== undefined) return
    deadlines.arm(this, this.#options.idleTimeoutMs)
    this.#perform(this.#machine.fromClient(chunk))
    this.#listen()
  }

  /** Reads on, unless what comes could only be kept. */
  #listen(): void {
    if (this.#end !== undefined) return
    const isFull = this.#backend.writableNeedDrain || !this.#machine.wantsInput
    if (isFull) this.#client.pause()
    else this.#client.resume()
    if (this.#hasLeft && this.#machine.isIdle) this.#finish('client_closed')
  }

  #perform(actions: readonly CheckedAction[]): void {
    const { runtime, fields, accepted } = this.#options
    const { backend } = accepted
    for (const action of actions) {
      switch (action.do) {
        case 'say':
          this.bytesOut += action.text.length
          if (!this.#client.destroyed) this.#client.write(action.text, 'latin1')
          break
        case 'pass':
          this.#pass(action.octets)
          break
        case 'cut':
          this.#isLost = true
          this.#backend.destroy()
          break
        case 'refuse':
          runtime.log('refuse', { ...fields, reason: action.reason })
          break
        case 'fault': {
          const { reason, detail } = action
          runtime.log('backend', { ...fields, backend, step: 'session', reason, detail })
          break
        }
        case 'close':
          this.#finish(action.end)
          break
        default:
          assertNever(action)
      }
    }
  }

  #pass(octets: string | Buffer): void {
    if (this.#backend.destroyed) return
    if (typeof octets === 'string') this.#backend.write(octets, 'latin1')
    else this.#backend.write(octets)
  }

  /** The client sends no more, and may still be owed replies. A message without an end has none. */
  #left(): void {
    this.#hasLeft = true
    if (this.#machine.isReceiving) {
      this.#backend.destroy()
      this.#finish('client_closed')
    } else this.#listen()
  }

  #failed(): void {
    this.#end ??= 'client_error'
    this.#client.destroy()
  }

  /** The other side has nothing to wait for; a back-end that has a whole message keeps it. */
  #closed(other: Connection): void {
    this.#end ??= 'client_closed'
    this.#open--
    if (other === this.#backend && this.#machine.awaitsVerdict) other.destroySoon()
    else if (other === this.#backend) other.destroy()
    if (this.#open !== 0) return
    deadlines.disarm(this)
    const isKicked = this.#isKicked && this.#end === 'shutdown'
    this.#options.onEnd.joinEnded(isKicked ? 'kicked' : this.#end)
  }

  #lost(): void {
    if (this.#end === undefined && !this.#isLost) this.#perform(this.#machine.backendLost())
  }

  #finish(end: SessionEnd | 'idle'): void {
    if (this.#end !== undefined) return
    this.#end = end
    const [client, backend] = [this.#client, this.#backend]
    if (!backend.destroyed) backend.destroySoon()
    deadlines.arm(this, lastWordsMs)
    client.end(() => {
      if (this.#open > 0) deadlines.arm(this, waits.closeMs)
    })
    // What is unread would make the kernel reset the connection, and lose the last words.
    client.resume()
  }
}
