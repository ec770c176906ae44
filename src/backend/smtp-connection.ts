/**
 * One connection to a back-end for messages: dials it, performs what the machine asks for, keeps its
 * deadlines. It serves one user at a time, who is told what happened, never what to say about it.
 * A connection that failed is destroyed before its user hears of it.
 */
import { waits } from '../base/limit.ts'
import type { BackendReason } from '../base/log.ts'
import { assertNever } from '../base/never.ts'
import type { Endpoint } from '../config/config.ts'
import type { Connection } from '../net/connection.ts'
import { deadlines, type Timed } from '../net/deadline.ts'
import { type Cancel, type DialResult, dial, type Inlet, type Trust, upgrade } from '../net/dial.ts'
import { quietBuffer } from '../net/read-buffer.ts'
import { SmtpBackEnd } from '../protocol/smtp/back-end.ts'
import type { BackEndAction, BackEndFailure } from '../protocol/smtp/back-end-action.ts'
import type { Capabilities, Sender } from '../protocol/smtp/capabilities.ts'
import type { RcptParameters } from '../protocol/smtp/parameters.ts'
import type { RawReply } from '../protocol/smtp/reply-reader.ts'
import type { Overdue } from './late-verdicts.ts'
import { connectedFor, forwardedFor, type PassedClient, prefaceFor } from './passed-client.ts'
import type { SmtpUser } from './smtp-user.ts'
import { WriteGroup } from './write-group.ts'

export interface SmtpPlan extends PassedClient {
  /** Name of the back-end. */
  readonly backend: string
  readonly protocol: 'smtp' | 'lmtp'
  readonly endpoint: Endpoint
  /** Needed unless the endpoint's TLS mode is `none`. */
  readonly trust: Trust | undefined
  /** What we call ourselves. */
  readonly hostname: string
  /** For a connection, and again for TLS where the protocol upgrades to it. */
  readonly connectTimeoutMs: number
  /** From dialling to the end of the greetings. */
  readonly readyTimeoutMs: number
  /** For the reply to each command. */
  readonly commandTimeoutMs: number
  /** For the back-end to take octets that wait, and for its verdict. */
  readonly dataTimeoutMs: number
  /** The most connections at once from this worker. */
  readonly connectionLimit: number
}

export class SmtpConnection implements Inlet, Timed {
  due: Timed['due']
  /** Of the present user, or the last. */
  plan: SmtpPlan
  user: SmtpUser | undefined
  /** It has served a user before this one. */
  isReused = false
  /** The back-end has answered something to the present user. */
  hasAnswered = false
  /** How long octets may wait for the back-end to take some; milliseconds. */
  stallMs: number
  /** Whoever counts it; told once when it is of no more use. */
  onUseless: (() => void) | undefined
  /** Takes over from a user for whom a verdict is too late; undefined: nobody does. */
  onOverdue: ((overdue: Overdue) => ((octets: Buffer) => void) | undefined) | undefined
  /** Told what the back-end offers, when the connection is ready. */
  onReady: ((offered: Capabilities) => void) | undefined
  readonly #machine: SmtpBackEnd
  #socket: Connection | undefined
  #cancel: Cancel | undefined
  #isReady = false
  readonly #unsent = new WriteGroup()
  #isOver = false
  /** How many replies there were when the one began that is awaited. */
  #awaited = -1
  #heir: ((octets: Buffer) => void) | undefined

  /** `readyMs`: how long it may take until the greetings are over. */
  constructor(plan: SmtpPlan, user: SmtpUser, readyMs = plan.readyTimeoutMs) {
    this.plan = plan
    this.user = user
    this.stallMs = plan.dataTimeoutMs
    const { endpoint, protocol, hostname, trust } = plan
    const startTls = endpoint.tls === 'starttls'
    this.#machine = new SmtpBackEnd({ protocol, hostname, startTls, client: connectedFor(plan) })
    deadlines.arm(this, readyMs)
    const preface = prefaceFor(plan)
    const options = { endpoint, trust, timeoutMs: plan.connectTimeoutMs, inlet: this, preface }
    this.#cancel = dial(options, (result) => this.#connected(result))
  }

  /** Nothing is under way, and it may serve another user. */
  get isIdle(): boolean {
    return !this.#isOver && this.#machine.isIdle
  }

  /** Names and addresses of the back-end, as its texts may hold them. */
  get names(): readonly string[] {
    return [...this.#machine.names, this.plan.endpoint.host]
  }

  /** It tells senders of its own outcomes, as they asked (RFC 3461). */
  get offersDsn(): boolean {
    return this.#machine.capabilities.dsn
  }

  /** What it has said so far of the message that it had last, where it answers for each recipient. */
  get verdicts(): readonly RawReply[] {
    return this.#machine.verdicts
  }

  /** So much is unsent that no more is to be written before `drained`. */
  get isBlocked(): boolean {
    const socket = this.#socket
    return socket !== undefined && socket.writableNeedDrain && socket.writableLength > 0
  }

  begin(sender: Sender): void {
    this.stallMs = this.plan.dataTimeoutMs
    this.#perform(this.#machine.begin(sender, forwardedFor(this.plan)))
  }

  recipient(address: string, parameters?: RcptParameters): void {
    this.#perform(this.#machine.recipient(address, parameters))
  }

  data(): void {
    this.#perform(this.#machine.data())
  }

  /** Octets of the message. They must stay as they are until they are sent. */
  write(octets: Buffer | string): void {
    const socket = this.#socket
    if (this.#isOver || socket === undefined) return
    this.#unsent.add(socket, octets)
  }

  /** Sends what was written. To be called at the end of each event. */
  flush(): void {
    if (this.#socket !== undefined && this.#unsent.send(this.#socket)) this.#await()
  }

  endOfData(): void {
    this.#perform(this.#machine.endOfData())
  }

  /** Leaves in good order. */
  quit(): void {
    if (this.#isOver) return
    this.flush()
    this.#end()
    this.#socket?.end('QUIT\r\n')
    // What it says to that, and whether, makes no difference.
    this.#socket?.resume()
    deadlines.arm(this, waits.closeMs)
  }

  /** Without a word: what the back-end has not had in full it must not take for complete. */
  destroy(): void {
    this.#end()
    this.#cancel?.()
    if (this.#heir === undefined) this.#socket?.destroy()
  }

  readBuffer(): Buffer {
    return quietBuffer
  }

  take(length: number, buffer: Buffer): boolean {
    this.#heir?.(buffer.subarray(0, length))
    if (this.#isOver) return true
    // It may have another user afterwards, or none.
    const { user } = this
    const actions = this.#machine.push(buffer.subarray(0, length))
    // A farewell answers nothing: it may have been on its way before the question was.
    const [first] = actions
    this.hasAnswered ||= !(first?.do === 'fail' && first.isShutdown)
    this.#perform(actions)
    user?.settled()
    this.flush()
    this.#await()
    return true
  }

  timedOut(): void {
    if (this.#isOver) this.#socket?.destroy()
    else if (this.user === undefined) this.quit()
    else this.#fail('timeout', 'no answer in time')
  }

  #connected(result: DialResult): void {
    this.#cancel = undefined
    if (!result.ok) return this.#failed({ ...result.failure, isShutdown: false })
    const { socket } = result
    this.#socket = socket
    const onClose = (): void => this.#fail('closed', 'connection closed by the back-end')
    socket.on('end', onClose).on('error', onClose).on('close', onClose)
    socket.on('drain', () => {
      this.#await()
      this.user?.drained()
    })
  }

  #perform(actions: readonly BackEndAction[]): void {
    for (const action of actions) {
      if (this.#isOver) return
      switch (action.do) {
        case 'send':
          this.write(action.text)
          break
        case 'start-tls':
          this.#startTls()
          break
        case 'ready':
          this.#isReady = true
          this.onReady?.(this.#machine.capabilities)
          this.user?.connectionReady()
          break
        case 'recipient':
          this.user?.recipientAnswered(action.reply)
          break
        case 'data':
          this.user?.dataAnswered(action.reply)
          break
        case 'message':
          this.user?.messageAnswered(action.replies)
          break
        case 'fail':
          this.#failed(action)
          break
        default:
          assertNever(action)
      }
    }
  }

  #startTls(): void {
    this.flush()
    const socket = this.#socket
    const { trust, connectTimeoutMs } = this.plan
    if (socket === undefined || trust === undefined) throw new Error('STARTTLS without trust')
    for (const event of ['end', 'error', 'close', 'drain']) socket.removeAllListeners(event)
    const options = { socket, trust, timeoutMs: connectTimeoutMs, inlet: this }
    this.#cancel = upgrade(options, (result) => {
      this.#connected(result)
      if (result.ok) this.#perform(this.#machine.tlsStarted())
      this.flush()
    })
  }

  /** Sets the deadline that fits what is awaited now. */
  #await(): void {
    // Who keeps it without a user has set a deadline of its own.
    if (this.#isOver || !this.#isReady || this.user === undefined) return
    const { awaitsReply, answered, step } = this.#machine
    if (awaitsReply) {
      const isMidVerdict = step === 'end_of_data' && this.verdicts.length > 0
      const isGoingOn = isMidVerdict && this.user.isUnhurried !== true
      // A reply has its time as a whole, in whatever pieces it comes.
      if (this.due !== undefined && (this.#awaited === answered || isGoingOn)) return
      this.#awaited = answered
      const { commandTimeoutMs, dataTimeoutMs } = this.plan
      deadlines.arm(this, step === 'end_of_data' ? dataTimeoutMs : commandTimeoutMs)
    } else if (!this.isBlocked) deadlines.disarm(this)
    else if (this.due === undefined) deadlines.arm(this, this.stallMs)
  }

  #fail(reason: BackendReason, detail: string): void {
    if (this.#isOver) return
    const step = this.#socket === undefined ? 'connect' : this.#machine.step
    this.#failed({ step, reason, detail, isShutdown: false })
  }

  #failed(failure: BackEndFailure): void {
    if (this.#isOver) return
    const { user } = this
    this.#handOver(failure)
    this.destroy()
    user?.connectionFailed(failure)
    user?.settled()
  }

  /** What it says of a message is worth hearing, also where nobody waits for it any more. */
  #handOver({ step, reason }: BackEndFailure): void {
    const { user, plan } = this
    const socket = this.#socket
    // What is unsent is taken back, so that the back-end does not get the end of it.
    const isHeard = user !== undefined && socket?.writableLength === 0
    if (!isHeard || step !== 'end_of_data' || reason !== 'timeout') return
    const overdue = { socket, machine: this.#machine, user, waitedMs: plan.dataTimeoutMs }
    this.#heir = this.onOverdue?.(overdue)
  }

  #end(): void {
    this.#isOver = true
    deadlines.disarm(this)
    this.user = undefined
    this.onUseless?.()
    this.onUseless = undefined
  }
}
