/**
 * Submission towards a back-end until it has taken the login: the opening of any SMTP connection, and
 * AUTH. RFC 6409, RFC 4954.
 *
 * A back-end that is told by XCLIENT whose session it is needs no AUTH, and gets none.
 *
 * The session goes on where its client's own would: nothing of a message has been said, and whatever
 * the back-end says before it is asked would be taken for the answer to the client's next command.
 */
import { limits } from '../../base/limit.ts'
import { assertNever } from '../../base/never.ts'
import type { TlsMode } from '../../config/config.ts'
import { BackEndMachine } from '../back-end-machine.ts'
import type { BackEndAction, Introduction, LoginProof } from '../login.ts'
import { breaksLines, encodeBase64, octetsOf, writePlain } from '../sasl.ts'
import { firstFor } from '../sasl/exchange.ts'
import { BackEndOpening, type Opened } from './back-end-opening.ts'
import { cleanReply } from './clean-reply.ts'
import { type RawReply, ReplyLines } from './reply-reader.ts'

/** RFC 4954 section 4.6: not for us to log in with here, or not over this connection. */
const mechanismCodes = new Set([502, 504, 530, 534, 538])

class SubmissionBackEnd extends BackEndMachine {
  readonly #hostname: string
  readonly #opening: BackEndOpening
  readonly #replies = new ReplyLines()
  /** What answers the next 334, each without its line end. */
  #answers: string[] = []

  constructor(tls: TlsMode, proof: LoginProof, introduction: Introduction) {
    super(tls, proof, introduction)
    this.#hostname = introduction.hostname
    const startTls = tls === 'starttls'
    this.#opening = new BackEndOpening({ protocol: 'smtp', startTls, ...introduction })
  }

  tlsStarted(): BackEndAction[] {
    this.#goOn(this.#opening.tlsStarted(), '')
    return this.taken()
  }

  protected isAnswer(): boolean {
    return true
  }

  protected line(text: string): void {
    const event = this.#replies.take(text)
    if (event?.kind === 'fault') this.#unreadable(text)
    else if (event?.kind === 'reply') this.#take(event.reply)
  }

  #take(reply: RawReply): void {
    const text = reply.lines.join(' ')
    if (this.step === 'login') this.#loginAnswered(reply, text)
    else this.#goOn(this.#opening.take(reply), text)
  }

  #unreadable(text: string): void {
    this.fail(this.step === 'greeting' ? 'bad_banner' : 'bad_reply', text)
  }

  #goOn(opened: Opened, text: string): void {
    this.step = this.#opening.step
    switch (opened.kind) {
      case 'send':
        this.send(opened.text)
        break
      case 'start-tls':
        this.startTls()
        break
      case 'ready':
        this.#logIn()
        break
      case 'fail':
        this.fail(opened.reason, opened.detail ?? text)
        break
      default:
        assertNever(opened)
    }
  }

  #logIn(): void {
    this.step = 'login'
    if (this.client?.login !== undefined) {
      this.#trusted()
      return
    }
    const { auth } = this.#opening.capabilities
    const proof = this.proof
    if ('mechanism' in proof) {
      if (auth.has(proof.mechanism)) {
        this.#authenticate(proof.mechanism, encodeBase64(firstFor(proof)))
      } else this.fail('no_mechanism', `does not offer AUTH ${proof.mechanism}`)
      return
    }
    const { login, password } = proof
    const user = octetsOf(login)
    if (breaksLines(user) || breaksLines(password)) {
      this.fail('no_mechanism', 'a name or password with line breaks cannot be sent')
    } else if (auth.has('PLAIN')) this.#authenticate('PLAIN', writePlain(proof))
    else if (auth.has('LOGIN') && proof.actsFor === undefined) {
      this.#ask('LOGIN', encodeBase64(user), encodeBase64(password))
    } else this.fail('no_mechanism', 'offers no AUTH that would do')
  }

  #trusted(): void {
    if (!this.#opening.hasToldLogin) {
      this.fail('no_mechanism', 'does not take LOGIN by XCLIENT')
    } else if (this.hasMore) this.fail('desync', 'says more than it was asked')
    else this.accept('Authentication successful', '')
  }

  #authenticate(mechanism: string, message: string): void {
    const command = `AUTH ${mechanism} ${message}\r\n`
    // RFC 4954 section 4: the command is a line like any other.
    if (command.length <= limits.smtpSentBytes) this.send(command)
    else this.#ask(mechanism, message)
  }

  #ask(mechanism: string, ...answers: string[]): void {
    this.#answers = answers
    this.send(`AUTH ${mechanism}\r\n`)
  }

  #loginAnswered(reply: RawReply, text: string): void {
    const { code } = reply
    if (code === 334) this.#asked(text)
    else if (code === 235) this.#accepted(reply)
    else if (code < 400 || code === 503) this.fail('bad_reply', `${code} ${text}`)
    else if (code < 500) this.fail('login_unavailable', `${code} ${text}`)
    else if (mechanismCodes.has(code)) this.fail('no_mechanism', `${code} ${text}`)
    else this.finish({ kind: 'refused' })
  }

  #asked(text: string): void {
    const next = this.#answers.shift()
    if (next !== undefined) this.send(`${next}\r\n`)
    else if ('mechanism' in this.proof) this.challenge(text)
    else this.fail('desync', 'asked to go on with nothing to send')
  }

  #accepted(reply: RawReply): void {
    if (this.#answers.length > 0) this.fail('desync', 'took a login that it had not been sent')
    else if (this.hasMore) this.fail('desync', 'says more than it was asked')
    else {
      const { names } = this.#opening
      const [text = ''] = cleanReply(reply, { names, hostname: this.#hostname }).lines
      this.accept(text, '')
    }
  }
}

export function createSubmissionBackEnd(
  tls: TlsMode,
  proof: LoginProof,
  introduction: Introduction,
): SubmissionBackEnd {
  return new SubmissionBackEnd(tls, proof, introduction)
}
