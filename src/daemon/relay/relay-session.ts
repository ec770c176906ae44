/**
 * One client of the relay, from accept to end: performs what the SMTP machine asks for, with one
 * transaction at a time. A message goes from the client's socket to those of its back-ends chunk by
 * chunk; when one side is slow the other waits.
 */
import type { SessionEnd } from '../../base/log.ts'
import { assertNever } from '../../base/never.ts'
import type { ListenerConfig } from '../../config/config.ts'
import type { Reply } from '../../mail/reply.ts'
import type { Connection } from '../../net/connection.ts'
import type { SmtpFrontEnd } from '../../protocol/smtp/front-end.ts'
import type { FrontEndAction } from '../../protocol/smtp/front-end-action.ts'
import type { Slot } from '../../protocol/smtp/outbox.ts'
import type { ClientAddress } from '../client-address.ts'
import { ClientLine, type LineOwner } from '../client-line.ts'
import { ClientPatience, type PatienceOwner } from '../login/client-patience.ts'
import { worstOf } from './relay-answers.ts'
import type { Freeze } from '../freezes.ts'
import { RelayClient } from './relay-client.ts'
import type { MessageFate, TransactionOwner } from './relay-delivery.ts'
import { type Entrance, frontEndFor, greetAfter } from './relay-greeting.ts'
import { RelayMessage } from './relay-message.ts'
import { relayPoolOf } from './relay-pool.ts'
import { RelayReport } from './relay-report.ts'
import type { RelayTransaction } from './relay-transaction.ts'
import type { Generation, Runtime, Session } from '../runtime.ts'

export class RelaySession implements Session, LineOwner, PatienceOwner, TransactionOwner {
  readonly service: 'smtp' | 'lmtp'
  readonly id: string
  readonly startedAt = performance.now()
  readonly user = undefined
  readonly login = undefined
  backend: string | undefined
  readonly #runtime: Runtime
  readonly #listener: ListenerConfig
  readonly #leave: () => void
  readonly #report: RelayReport
  readonly #client: RelayClient
  readonly #machine: SmtpFrontEnd
  readonly #patience: ClientPatience
  #greeting: NodeJS.Timeout | undefined
  #generation: Generation
  #line: ClientLine | undefined
  #message: RelayMessage | undefined
  /** Said, and sent at the end of the present event in one piece. */
  #text = ''
  #hasClientEnded = false
  #end: SessionEnd | undefined
  #isGone = false
  #isOver = false

  constructor(address: ClientAddress, entrance: Entrance, runtime: Runtime) {
    const { protocol, listener } = entrance
    this.id = runtime.nextSessionId()
    this.service = protocol
    this.#listener = listener
    this.#runtime = runtime
    this.#generation = runtime.current
    this.#client = new RelayClient(this.id, address, runtime.current.config)
    this.#report = new RelayReport(runtime, protocol, this.id, this.#client.peer)
    this.#machine = frontEndFor(runtime, entrance, this.#client.isTrusted)
    this.#leave = runtime.enter(this)
    this.#patience = new ClientPatience(this, runtime)
  }

  get peer(): string {
    return this.#client.peer
  }

  get state(): Session['state'] {
    return this.#transaction?.isOver === false ? 'message' : 'idle'
  }

  get bytesIn(): number {
    return this.#line?.bytesIn ?? 0
  }

  get bytesOut(): number {
    return this.#line?.bytesOut ?? 0
  }

  get #transaction(): RelayTransaction | undefined {
    return this.#message?.transaction
  }

  begin(socket: Connection): void {
    const line = new ClientLine(socket, this)
    this.#line = line
    const { tls, greetingDelayMs } = this.#listener
    const greet = (delayMs: number): void => {
      this.#greeting = greetAfter(delayMs, () => this.#react(this.#machine.greet()))
    }
    if (tls === 'implicit') this.#startTls(line, () => greet(greetingDelayMs))
    else {
      // What has come already was said before our greeting, and is to be seen before it.
      const soonestMs = line.hasInput ? 1 : 0
      line.listen()
      greet(Math.max(soonestMs, greetingDelayMs))
    }
  }

  shutdown(): void {
    // Nothing can be said in the middle of a handshake.
    if (this.#listener.tls === 'implicit' && this.#line?.tls === '') this.kill()
    else this.#react(this.#machine.shutDown())
  }

  kill(): void {
    if (this.#end === undefined) this.#react(this.#machine.stopNow())
    this.#end ??= 'shutdown'
    this.#line?.destroy()
  }

  concerns(freeze: Freeze): boolean {
    return this.#transaction?.concerns(freeze) === true
  }

  yieldTo(freeze: Freeze, isLast: boolean): void {
    this.#transaction?.yieldTo(freeze, isLast)
    this.settled()
  }

  outOfPatience(reason: 'idle_timeout' | 'slow_data'): void {
    if (this.#end === undefined) this.#react(this.#machine.timedOut(reason))
  }

  closedTooLate(): void {
    this.#line?.destroy()
  }

  received(chunk: Buffer): void {
    if (this.#end === undefined) this.#react(this.#machine.push(chunk))
  }

  /** What the client sent before is still answered. */
  ended(): void {
    this.#hasClientEnded = true
    this.settled()
  }

  failed(): void {
    this.#end ??= 'client_error'
    this.#line?.destroy()
  }

  gone(): void {
    this.#end ??= 'client_closed'
    this.#patience.rest()
    this.#isGone = true
    // After the end of data the verdict is waited for, so that it is in the log.
    if (this.#transaction?.awaitsVerdict !== true) this.#over()
  }

  recipientAnswered(slot: Slot, answer: Reply): void {
    this.#message?.answered(slot, answer)
    this.#perform(this.#machine.recipientAnswered(slot, answer))
  }

  dataAnswered(answer: Reply): void {
    this.#perform(this.#machine.dataAnswered(answer))
  }

  messageAnswered(answers: readonly Reply[], fate: MessageFate): void {
    const worst = worstOf(answers)
    const wasSent = this.#message?.report(worst, fate) === true
    if (wasSent && this.#isGone) this.#report.goneAfterEnd(worst.code)
    this.#perform(this.#machine.messageAnswered(answers))
    if (this.#isGone) this.#over()
  }

  /** Sends what was said, and decides who is waited for now. */
  settled(): void {
    const line = this.#line
    const machine = this.#machine
    if (line === undefined || this.#isGone) return
    this.#transaction?.flush()
    const hasAnswered = this.#text !== ''
    this.#flush(line)
    if (this.#end !== undefined) return
    const { awaitsClient } = machine
    const isLeft = this.#hasClientEnded && awaitsClient !== undefined
    if (isLeft) return this.#close(line, 'client_closed')
    const isBlocked = this.#transaction?.isBlocked === true
    if (isBlocked || !machine.wantsInput) line.hold()
    else line.release()
    const { commandTimeoutMs } = this.#generation.config.limits
    if (awaitsClient === undefined || isBlocked) this.#patience.rest()
    else if (awaitsClient === 'message') this.#patience.awaitMessage(commandTimeoutMs, line.bytesIn)
    else this.#patience.awaitCommand(commandTimeoutMs, hasAnswered)
  }

  #react(actions: readonly FrontEndAction[]): void {
    this.#perform(actions)
    this.settled()
  }

  #perform(actions: readonly FrontEndAction[]): void {
    for (const action of actions) {
      switch (action.do) {
        case 'send':
          this.#text += action.text
          break
        case 'start-tls':
          this.#upgrade()
          break
        case 'client':
          this.#client.tell(action.client)
          this.#report.peer = this.#client.peer
          break
        case 'begin':
          this.#begin(action)
          break
        case 'recipient':
          this.#message?.recipient(action)
          this.backend = this.#transaction?.backend ?? this.backend
          break
        case 'data':
          this.#transaction?.data()
          break
        case 'pass':
          this.#transaction?.write(action.parts)
          break
        case 'end':
          this.#message?.end(action)
          break
        case 'abort':
          this.#transaction?.abort()
          this.#message = undefined
          break
        case 'refuse':
          this.#report.refuse(action.reason)
          break
        case 'close':
          if (this.#line !== undefined) this.#close(this.#line, action.end)
          break
        default:
          assertNever(action)
      }
    }
  }

  #begin(action: Extract<FrontEndAction, { do: 'begin' }>): void {
    const line = this.#line
    if (line === undefined) return
    this.#generation = this.#runtime.current
    const own = { owner: this, report: this.#report, client: this.#client, machine: this.#machine }
    const start = { ...own, runtime: this.#runtime, protocol: this.service, line }
    this.#message = new RelayMessage(start, action)
  }

  #upgrade(): void {
    const line = this.#line
    if (line === undefined) return
    this.#flush(line)
    this.#patience.rest()
    this.#startTls(line, () => this.#react(this.#machine.tlsStarted()))
  }

  #startTls(line: ClientLine, secured: () => void): void {
    const failed = (): void => {
      if (this.#end === undefined) this.#report.refuse('tls_handshake')
      this.#end ??= 'refused'
      line.destroy()
      this.#over()
    }
    line.startTls(this.#runtime, { secured, failed })
  }

  #flush(line: ClientLine): void {
    if (this.#text !== '') line.send(this.#text)
    this.#text = ''
  }

  #close(line: ClientLine, end: SessionEnd): void {
    if (this.#end !== undefined) return
    this.#end = end
    this.#flush(line)
    this.#transaction?.abort()
    line.end(end === 'logout')
    this.#patience.awaitClose()
  }

  #over(): void {
    if (this.#isOver) return
    this.#isOver = true
    clearTimeout(this.#greeting)
    this.#patience.rest()
    this.#transaction?.abort()
    const { lastGeneration: generation } = this.#generation.map
    const end = this.#end ?? 'client_closed'
    // A proxy that only looks for us is not worth a line.
    if (!this.#client.isCheck || this.backend !== undefined) {
      this.#report.ended({ end, line: this.#line, backend: this.backend, generation })
    }
    this.#leave()
    if (this.#runtime.draining) relayPoolOf(this.#runtime).close()
  }
}
