/**
 * One client of the relay, from accept to end: performs what the SMTP machine asks for, with one
 * transaction at a time. A message goes from the client's socket to those of its back-ends chunk by
 * chunk; when one side is slow the other waits.
 */
import type { Socket } from 'node:net'
import { waits } from '../base/limit.ts'
import type { SessionEnd } from '../base/log.ts'
import { assertNever } from '../base/never.ts'
import type { ListenerConfig } from '../config/config.ts'
import type { Reply } from '../mail/reply.ts'
import { deadlines, type Timed } from '../net/deadline.ts'
import type { Sender } from '../protocol/smtp/capabilities.ts'
import { SmtpFrontEnd } from '../protocol/smtp/front-end.ts'
import type { FrontEndAction } from '../protocol/smtp/front-end-action.ts'
import { greetingOf } from '../protocol/smtp/front-end-replies.ts'
import type { Path } from '../protocol/smtp/grammar.ts'
import type { Slot } from '../protocol/smtp/outbox.ts'
import { ClientLine, type LineOwner } from './client-line.ts'
import type { MessageFate, TransactionOwner } from './relay-delivery.ts'
import { relayMeansOf, relayPoolOf } from './relay-pool.ts'
import { RelayReport, type SentMessage } from './relay-report.ts'
import { routeRecipient } from './relay-route.ts'
import { RelayTransaction } from './relay-transaction.ts'
import type { Generation, Runtime, Session } from './runtime.ts'

export class RelaySession implements Session, LineOwner, Timed, TransactionOwner {
  dueTick = 0
  readonly service = 'smtp'
  readonly id: string
  readonly peer: string
  readonly startedAt = performance.now()
  readonly user = undefined
  backend: string | undefined
  readonly #runtime: Runtime
  readonly #listener: ListenerConfig
  readonly #leave: () => void
  readonly #report: RelayReport
  #generation: Generation
  #line: ClientLine | undefined
  #machine: SmtpFrontEnd | undefined
  #transaction: RelayTransaction | undefined
  #sent: SentMessage | undefined
  /** Said, and sent at the end of the present event in one piece. */
  #text = ''
  #isHeld = false
  #hasClientEnded = false
  #end: SessionEnd | undefined
  #isGone = false
  #isOver = false

  constructor(peer: string, listener: ListenerConfig, runtime: Runtime) {
    this.id = runtime.nextSessionId()
    this.peer = peer
    this.#listener = listener
    this.#runtime = runtime
    this.#generation = runtime.current
    this.#report = new RelayReport(runtime, this.id, peer)
    this.#leave = runtime.enter(this)
  }

  begin(socket: Socket): void {
    const line = new ClientLine(socket, this)
    this.#line = line
    if (this.#listener.tls === 'implicit') this.#startTls(line, () => this.#greet(line))
    else {
      line.listen()
      this.#greet(line)
    }
  }

  shutdown(): void {
    if (this.#machine === undefined) this.kill()
    else this.#react(this.#machine.shutDown())
  }

  kill(): void {
    this.#end ??= 'shutdown'
    this.#line?.destroy()
  }

  timedOut(): void {
    if (this.#machine === undefined || this.#end !== undefined) this.#line?.destroy()
    else this.#react(this.#machine.timedOut())
  }

  received(chunk: Buffer): void {
    if (this.#machine === undefined || this.#end !== undefined) return
    this.#react(this.#machine.push(chunk))
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
    deadlines.disarm(this)
    this.#isGone = true
    // After the end of data the verdict is waited for, so that it is in the log.
    if (this.#transaction?.awaitsVerdict === true) return
    this.#over()
  }

  recipientAnswered(slot: Slot, answer: Reply): void {
    if (this.#machine !== undefined) this.#perform(this.#machine.recipientAnswered(slot, answer))
  }

  dataAnswered(answer: Reply): void {
    if (this.#machine !== undefined) this.#perform(this.#machine.dataAnswered(answer))
  }

  messageAnswered(answer: Reply, fate: MessageFate): void {
    if (this.#sent !== undefined) this.#report.message(this.#sent, answer.code, fate)
    if (this.#sent !== undefined && this.#isGone) this.#report.goneAfterEnd(answer.code)
    this.#sent = undefined
    if (this.#machine !== undefined) this.#perform(this.#machine.messageAnswered(answer))
    if (this.#isGone) this.#over()
  }

  /** Sends what was said, and decides who is waited for now. */
  settled(): void {
    const line = this.#line
    const machine = this.#machine
    if (line === undefined || machine === undefined || this.#isGone) return
    this.#transaction?.flush()
    this.#flush(line)
    if (this.#end !== undefined) return
    if (this.#hasClientEnded && machine.awaitsClient) {
      this.#close(line, 'client_closed')
      return
    }
    const isBlocked = this.#transaction?.isBlocked === true
    this.#hold(line, isBlocked || !machine.wantsInput)
    if (machine.awaitsClient && !isBlocked) {
      deadlines.arm(this, this.#generation.config.limits.commandTimeoutMs)
    } else deadlines.disarm(this)
  }

  #greet(line: ClientLine): void {
    const { config, serverTls } = this.#generation
    this.#machine = new SmtpFrontEnd({
      hostname: config.hostname,
      limitBytes: config.limits.messageSizeBytes,
      bareNewline: this.#listener.bareNewline,
      startTls: this.#listener.tls === 'starttls' && serverTls !== undefined,
      secure: line.tls !== '',
    })
    this.#text = greetingOf(config.hostname)
    this.settled()
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
        case 'begin':
          this.#begin(action.sender)
          break
        case 'recipient':
          this.#recipient(action.path, action.slot)
          break
        case 'data':
          this.#transaction?.data()
          break
        case 'pass':
          this.#transaction?.write(action.parts)
          break
        case 'end':
          this.#endOfData(action.bytes, action.bareLf)
          break
        case 'abort':
          this.#transaction?.abort()
          this.#transaction = undefined
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

  /** A transaction is decided by one generation, whatever is reloaded meanwhile. */
  #begin(sender: Sender): void {
    this.#generation = this.#runtime.current
    const machine = this.#machine
    const { hostname, relay } = this.#generation.config
    this.#transaction = new RelayTransaction({
      ...relayMeansOf(this.#runtime),
      relay,
      sender,
      owner: this,
      report: this.#report,
      trace: () => (machine === undefined ? '' : this.#report.trace(machine, hostname)),
    })
  }

  #recipient(path: Path, slot: Slot): void {
    const route = routeRecipient(this.#generation, path)
    if (route.kind === 'deliver') {
      this.#transaction?.recipient(slot, route)
      this.backend = this.#transaction?.backend ?? this.backend
      return
    }
    if (route.refusal !== undefined) this.#report.refuse(route.refusal)
    if (route.fault !== undefined) this.#report.fault(route.fault)
    this.recipientAnswered(slot, route.reply)
  }

  #endOfData(bytes: number, bareLf: number): void {
    const transaction = this.#transaction
    if (transaction === undefined) return
    this.#sent = { recipients: transaction.accepted, bytes, bareLf }
    transaction.end()
  }

  #upgrade(): void {
    const line = this.#line
    if (line === undefined) return
    this.#flush(line)
    deadlines.disarm(this)
    this.#startTls(line, () => {
      if (this.#machine !== undefined) this.#react(this.#machine.tlsStarted())
    })
  }

  #startTls(line: ClientLine, secured: () => void): void {
    const { serverTls } = this.#runtime.current
    const refused = (): void => {
      if (this.#end === undefined) this.#report.refuse('tls_handshake')
      this.#end ??= 'refused'
      line.destroy()
      this.#over()
    }
    if (serverTls === undefined) refused()
    else line.startTls(serverTls, (isSecure) => (isSecure ? secured() : refused()))
  }

  #flush(line: ClientLine): void {
    if (this.#text === '') return
    const text = this.#text
    this.#text = ''
    line.send(text)
  }

  #hold(line: ClientLine, isHeld: boolean): void {
    if (isHeld === this.#isHeld) return
    this.#isHeld = isHeld
    if (isHeld) line.hold()
    else line.release()
  }

  #close(line: ClientLine, end: SessionEnd): void {
    if (this.#end !== undefined) return
    this.#end = end
    this.#flush(line)
    this.#transaction?.abort()
    line.end()
    deadlines.arm(this, waits.closeMs)
  }

  #over(): void {
    if (this.#isOver) return
    this.#isOver = true
    deadlines.disarm(this)
    this.#transaction?.abort()
    this.#report.ended({
      end: this.#end ?? 'client_closed',
      tls: this.#line?.tls ?? '',
      bytesIn: this.#line?.bytesIn ?? 0,
      bytesOut: this.#line?.bytesOut ?? 0,
      backend: this.backend,
      generation: this.#generation.map.generation,
    })
    this.#leave()
    if (this.#runtime.draining) relayPoolOf(this.#runtime).close()
  }
}
