/**
 * A session of submission after its login, while somebody must see that nobody sends in the name of
 * another: client and back-end speak with each other through here, and the senders of messages are
 * asked about. Bytes in, actions out.
 *
 * One command is under way at a time: it is passed on when the reply to the one before has come. So a
 * client may pipeline, and no reply can be taken for that of another command. Messages go through the
 * dot reader, in which a bare LF becomes CR LF: a back-end can see no end of one where we see none.
 *
 * EHLO is answered here, since what the back-end offers holds for it alone; there it is RSET.
 */
import { limits } from '../../base/limit.ts'
import type { BackendReason, RefusalReason, SessionEnd } from '../../base/log.ts'
import { assertNever } from '../../base/never.ts'
import { formatReply, type Reply, reply } from '../../mail/reply.ts'
import { type CheckedCommand, parseChecked } from './checked-command.ts'
import { CommandLines } from './command-lines.ts'
import { replies } from './front-end-replies.ts'
import { MessageIntake } from './message-intake.ts'
import type { Path } from './path.ts'
import { type RawReply, ReplyReader } from './reply-reader.ts'

/** Whether a client may send as somebody; it cannot always be told. */
export type Claim = 'own' | 'foreign' | 'unknown'

export interface CheckedOptions {
  readonly hostname: string
  /** What EHLO offers. */
  readonly extensions: readonly string[]
  /** The most octets of a message. */
  readonly limitBytes: number
  readonly judge: (path: Path) => Claim
}

export type CheckedAction =
  | { readonly do: 'say'; readonly text: string }
  /** To the back-end; octets are valid until the next chunk. */
  | { readonly do: 'pass'; readonly octets: string | Buffer }
  /** The back-end must not have what it has begun to get: no end of it, and no word more. */
  | { readonly do: 'cut' }
  | { readonly do: 'refuse'; readonly reason: RefusalReason }
  | { readonly do: 'fault'; readonly reason: BackendReason; readonly detail: string }
  /** Close both after what was said. Nothing follows. */
  | { readonly do: 'close'; readonly end: SessionEnd }

type Mode =
  /** It is the client's turn. */
  | 'command'
  | 'message'
  /** It is the back-end's turn. */
  | 'reply'
  | 'hello'
  | 'data'
  | 'verdict'
  | 'quit'
  | 'over'

const answers = {
  notYours: reply(553, '5.7.1', 'you may not send as this address'),
  unknown: reply(451, '4.3.0', 'the sender cannot be looked up now, try again later'),
  lost: reply(421, '4.3.0', 'lost the back-end, try again later'),
} as const

export class CheckedSession {
  readonly #options: CheckedOptions
  readonly #lines = new CommandLines<CheckedCommand>(parseChecked)
  readonly #replies = new ReplyReader()
  #mode: Mode = 'command'
  #message: MessageIntake | undefined
  #isExtended = true
  #badCommands = 0
  #actions: CheckedAction[] = []

  constructor(options: CheckedOptions) {
    this.#options = options
  }

  /** False while more octets could only be kept: the client is to wait. */
  get wantsInput(): boolean {
    return this.#lines.length < limits.unparsedBytes
  }

  /** Nothing that the client has said waits for an answer; it may be in the middle of a command. */
  get isIdle(): boolean {
    return this.#mode === 'command'
  }

  /** A message has begun, and not ended. */
  get isReceiving(): boolean {
    return this.#mode === 'message'
  }

  /** The back-end has a whole message, and has not judged it yet. */
  get awaitsVerdict(): boolean {
    return this.#mode === 'verdict'
  }

  fromClient(chunk: Buffer): CheckedAction[] {
    if (this.#mode === 'over') return []
    this.#lines.push(chunk)
    while (this.#takeNext());
    this.#lines.settle()
    return this.#taken()
  }

  fromBackend(chunk: Buffer): CheckedAction[] {
    for (const event of this.#replies.push(chunk)) {
      if (this.#mode === 'over') break
      if (event.kind === 'reply') this.#answered(event.reply)
      else this.#lose('bad_reply', event.fault)
    }
    while (this.#takeNext());
    this.#lines.settle()
    return this.#taken()
  }

  /** The daemon is stopping. What has no answer yet has none. */
  shutDown(): CheckedAction[] {
    return this.#interrupt(replies.stopping, 'shutdown')
  }

  /** The back-end has left. */
  backendLost(): CheckedAction[] {
    return this.#interrupt(answers.lost, 'backend_closed')
  }

  timedOut(): CheckedAction[] {
    if (this.#mode !== 'over') this.#refuse('idle_timeout')
    return this.#interrupt(replies.idle_timeout, 'refused')
  }

  #interrupt(answer: Reply, end: SessionEnd): CheckedAction[] {
    if (this.#mode === 'over') return []
    // Between the client's end of a message and the verdict, nobody knows what has become of it.
    if (this.#mode !== 'verdict') this.#actions.push({ do: 'cut' })
    this.#say(answer)
    this.#close(end)
    return this.#taken()
  }

  /** False when nothing more can be taken. */
  #takeNext(): boolean {
    if (this.#lines.length === 0) return false
    if (this.#mode === 'message') return this.#takeMessage(this.#lines.takeAll())
    if (this.#mode !== 'command') return false
    const command = this.#lines.next()
    if (command !== undefined) this.#take(command)
    return command !== undefined
  }

  #take(command: CheckedCommand): void {
    switch (command.verb) {
      case 'MAIL':
        this.#takeSender(command.path, command.text)
        break
      case 'EHLO':
      case 'HELO':
        this.#isExtended = command.verb === 'EHLO'
        this.#ask('RSET', 'hello')
        break
      case 'DATA':
        this.#ask(command.text, 'data')
        break
      case 'QUIT':
        this.#ask(command.text, 'quit')
        break
      case 'RCPT':
      case 'other':
        this.#ask(command.text, 'reply')
        break
      case 'BAD':
        if (command.reason !== undefined) this.#refuse(command.reason)
        this.#bad(command.refusal)
        break
      case 'HOSTILE':
        this.#cutOff(command.refusal, command.reason)
        break
      default:
        assertNever(command)
    }
  }

  #takeSender(path: Path, text: string): void {
    const claim = this.#options.judge(path)
    if (claim === 'own') this.#ask(text, 'reply')
    else if (claim === 'unknown') this.#say(answers.unknown)
    else {
      this.#refuse('sender_denied')
      this.#bad(answers.notYours)
    }
  }

  #takeMessage(chunk: Buffer): boolean {
    const message = this.#message
    if (message === undefined) return false
    const { pass, refusal, end, isOverrun } = message.push(chunk)
    if (refusal !== undefined) {
      this.#refuse(refusal)
      this.#actions.push({ do: 'cut' })
    }
    for (const octets of pass) this.#actions.push({ do: 'pass', octets })
    const { verdict } = message
    if (verdict === undefined) {
      if (end === undefined) return false
      if (end < chunk.length) this.#lines.push(chunk.subarray(end))
      this.#message = undefined
      this.#ask('.', 'verdict')
      return false
    }
    // Without a back-end there is nothing to go on with.
    if (end === undefined && !isOverrun) return false
    for (const answer of verdict.replies) this.#say(answer)
    this.#close('refused')
    return false
  }

  #answered(raw: RawReply): void {
    const mode = this.#mode
    const isAsked = mode !== 'command' && mode !== 'message'
    if (raw.code === 421 && mode !== 'message') {
      this.#pass(raw)
      this.#close('backend_closed')
    } else if (!isAsked) this.#lose('desync', `${raw.code} unasked`)
    else if (raw.code >= 300 && raw.code < 400) this.#goAhead(raw)
    else if (mode === 'hello' && raw.code < 300) this.#greet()
    else {
      this.#mode = 'command'
      this.#pass(raw)
      if (mode === 'quit') this.#close('logout')
    }
  }

  #goAhead(raw: RawReply): void {
    if (this.#mode !== 'data' || raw.code !== 354) {
      this.#lose('desync', `${raw.code} to another command than DATA`)
      return
    }
    const { limitBytes } = this.#options
    this.#message = new MessageIntake({ bareNewline: 'normalize', limitBytes })
    this.#mode = 'message'
    this.#pass(raw)
  }

  #greet(): void {
    const { hostname, extensions } = this.#options
    this.#mode = 'command'
    this.#say(reply(250, '', hostname, ...(this.#isExtended ? extensions : [])))
  }

  #ask(text: string, mode: Mode): void {
    this.#actions.push({ do: 'pass', octets: `${text}\r\n` })
    this.#mode = mode
  }

  /** As the back-end gave it. */
  #pass({ code, lines }: RawReply): void {
    this.#say(reply(code, '', ...lines))
  }

  #lose(reason: BackendReason, detail: string): void {
    this.#actions.push({ do: 'fault', reason, detail }, { do: 'cut' })
    this.#say(answers.lost)
    this.#close('backend_error')
  }

  #bad(refusal: Reply): void {
    if (++this.#badCommands < limits.badCommands) this.#say(refusal)
    else this.#cutOff(replies.tooManyBad, 'bad_commands')
  }

  #cutOff(answer: Reply, reason: RefusalReason): void {
    this.#refuse(reason)
    this.#say(answer)
    this.#close('refused')
  }

  #refuse(reason: RefusalReason): void {
    this.#actions.push({ do: 'refuse', reason })
  }

  #say(answer: Reply): void {
    this.#actions.push({ do: 'say', text: formatReply(answer) })
  }

  #close(end: SessionEnd): void {
    this.#actions.push({ do: 'close', end })
    this.#mode = 'over'
    this.#message = undefined
  }

  #taken(): CheckedAction[] {
    const taken = this.#actions
    this.#actions = []
    return taken
  }
}
