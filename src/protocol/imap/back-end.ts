/**
 * IMAP towards a back-end until it has taken the login: greeting, STARTTLS where asked for, ID where
 * the client is to be told, LOGIN or AUTHENTICATE, capabilities. RFC 9051, 3501, 2971.
 *
 * One command is under way at a time; `#awaited` is its tag. A response to any other tag means that
 * the two sides have lost each other. Untagged responses are not forwarded.
 */
import { limits } from '../../base/limit.ts'
import type { TlsMode } from '../../config/config.ts'
import { BackEndMachine } from '../back-end-machine.ts'
import type { BackEndAction, Introduction, LoginProof } from '../login.ts'
import { encodeBase64, octetsOf, writePlain } from '../sasl.ts'
import { type Exchange, firstFor } from '../sasl/exchange.ts'
import { idParameters } from '../told-client.ts'
import {
  cleanCapabilities,
  cleanText,
  readLiteralMark,
  readStatus,
  type StatusLine,
  writeQuoted,
} from './grammar.ts'
import { isThrottling } from './throttling.ts'

type Tag = 'C' | 'S' | 'I' | 'L' | 'P'

/** Codes of a refusal that are no fault of the credentials. RFC 5530. */
const unavailableCodes = new Set(['UNAVAILABLE', 'SERVERBUG'])
const deniedCodes = new Set(['LIMIT', 'EXPIRED', 'CONTACTADMIN', 'INUSE', 'OVERQUOTA'])

/** Dovecot cuts off who sends more before login in one line; the answer to `+` may be longer. */
const longestCommandBytes = 4000

class ImapBackEnd extends BackEndMachine {
  #isUpgraded = false
  #awaited: Tag | undefined
  /** Capabilities in capitals, a space on each side of each; undefined where not known. */
  #capabilities: string | undefined
  /** As they were written, from after the login. */
  #capabilityText = ''
  /** What is still to be sent, a piece for each `+` of the back-end. */
  #continuations: string[] = []
  #text = ''
  /** Client and back-end are speaking with each other. */
  #isCarried = false

  tlsStarted(): BackEndAction[] {
    this.#isUpgraded = true
    this.step = 'hello'
    this.#ask('C', 'CAPABILITY')
    return this.taken()
  }

  protected isAnswer(text: string): boolean {
    return !text.startsWith('* ')
  }

  protected line(text: string): void {
    if (readLiteralMark(text) !== undefined) this.fail('bad_reply', 'a literal before login')
    else if (this.step === 'greeting') this.#greeting(text)
    else if (text.startsWith('* ')) this.#untagged(text.slice(2))
    else if (text.startsWith('+')) this.#goOn(text.replace(/^\+ ?/, ''))
    else this.#tagged(text)
  }

  #greeting(text: string): void {
    const status = text.startsWith('* ') ? readStatus(text.slice(2)) : undefined
    if (status?.status === 'PREAUTH') this.fail('preauth', 'logged in before any login')
    else if (status?.status === 'BYE') this.fail('login_unavailable', text)
    else if (status?.status !== 'OK') this.fail('bad_banner', text)
    else {
      this.step = 'hello'
      if (status.code === 'CAPABILITY') this.#remember(status.codeText)
      if (this.#capabilities === undefined) this.#ask('C', 'CAPABILITY')
      else this.#afterHello()
    }
  }

  #remember(text: string): void {
    this.#capabilities = ` ${text.toUpperCase()} `
    this.#capabilityText = text
  }

  #has(capability: string): boolean {
    return this.#capabilities?.includes(` ${capability} `) ?? false
  }

  #ask(tag: Tag, command: string): void {
    this.#awaited = tag
    this.send(`${tag} ${command}\r\n`)
  }

  /** Capabilities are known: upgrade, or log in. */
  #afterHello(): void {
    if (!(this.#has('IMAP4REV1') || this.#has('IMAP4REV2'))) {
      this.fail('bad_banner', 'speaks neither IMAP4rev1 nor IMAP4rev2')
    } else if (this.tls !== 'starttls' || this.#isUpgraded) this.#introduce()
    else if (this.#has('STARTTLS')) this.#ask('S', 'STARTTLS')
    else this.fail('tls_unavailable', 'does not offer STARTTLS')
  }

  #introduce(): void {
    const { client } = this
    if (client === undefined || !this.#has('ID')) this.#logIn()
    else this.#ask('I', `ID ${idParameters(client)}`)
  }

  #logIn(): void {
    this.step = 'login'
    const proof = this.proof
    // What the client may be told is what holds after this login.
    this.#capabilityText = ''
    if ('mechanism' in proof) this.#exchange(proof)
    else if (proof.actsFor === undefined && !this.#has('LOGINDISABLED')) {
      this.#logInWith(octetsOf(proof.login), proof.password)
    } else if (this.#has('AUTH=PLAIN')) this.#authenticate('PLAIN', writePlain(proof))
    else if (proof.actsFor !== undefined) {
      this.fail('no_mechanism', 'does not take AUTHENTICATE PLAIN')
    } else this.fail('no_mechanism', 'takes neither LOGIN nor AUTHENTICATE PLAIN')
  }

  #logInWith(octets: string, password: string): void {
    const [user, secret] = [writeQuoted(octets), writeQuoted(password)]
    if (user !== undefined && secret !== undefined) this.#ask('L', `LOGIN ${user} ${secret}`)
    else this.#loginWithLiterals(octets, password)
  }

  #loginWithLiterals(user: string, password: string): void {
    const isShort = Math.max(user.length, password.length) <= limits.imapNonSyncLiteralBytes
    if (this.#has('LITERAL+') || (this.#has('LITERAL-') && isShort)) {
      this.#ask('L', `LOGIN {${user.length}+}\r\n${user} {${password.length}+}\r\n${password}`)
      return
    }
    this.#continuations = [`${user} {${password.length}}\r\n`, `${password}\r\n`]
    this.#ask('L', `LOGIN {${user.length}}`)
  }

  #exchange(exchange: Exchange): void {
    const { mechanism } = exchange
    if (!this.#has(`AUTH=${mechanism}`)) {
      this.fail('no_mechanism', `does not offer AUTH=${mechanism}`)
      return
    }
    this.#isCarried = true
    this.#authenticate(mechanism, encodeBase64(firstFor(exchange)))
  }

  #authenticate(mechanism: string, message: string): void {
    const command = `AUTHENTICATE ${mechanism}`
    const isShort = command.length + message.length < longestCommandBytes
    if (this.#has('SASL-IR') && isShort) this.#ask('L', `${command} ${message}`)
    else {
      this.#continuations = [`${message}\r\n`]
      this.#ask('L', command)
    }
  }

  #goOn(text: string): void {
    const next = this.#continuations.shift()
    if (next !== undefined) this.send(next)
    else if (this.#isCarried && this.#awaited === 'L') this.challenge(text)
    else this.fail('desync', 'asked to go on with nothing to send')
  }

  #untagged(rest: string): void {
    if (/^CAPABILITY /i.test(rest)) this.#remember(rest.slice('CAPABILITY '.length))
    else if (readStatus(rest)?.status === 'BYE') this.fail('login_unavailable', rest)
  }

  #tagged(text: string): void {
    const { status, tag } = readTagged(text)
    if (status === undefined) this.fail('bad_reply', text)
    else if (tag !== this.#awaited) this.fail('desync', text)
    else if (tag === 'C') this.#capabilitiesAnswered(status)
    else if (tag === 'S') this.#upgradeAnswered(status)
    // Whatever it thinks of that.
    else if (tag === 'I') this.#logIn()
    else if (tag === 'L') this.#loginAnswered(status)
    // Logged in all the same where the back-end did not like to be asked.
    else this.#accept()
  }

  #accept(): void {
    this.accept(this.#text, cleanCapabilities(this.#capabilityText))
  }

  #capabilitiesAnswered({ status }: StatusLine): void {
    if (status !== 'OK' || this.#capabilities === undefined) {
      this.fail('bad_reply', 'does not tell its capabilities')
    } else this.#afterHello()
  }

  #upgradeAnswered({ status, text }: StatusLine): void {
    this.#capabilities = undefined
    this.#capabilityText = ''
    if (status === 'OK') this.startTls()
    else this.fail('tls_unavailable', `refuses STARTTLS: ${text}`)
  }

  #loginAnswered({ status, code, codeText, text }: StatusLine): void {
    if (status === 'OK') {
      if (this.#continuations.length > 0) {
        this.fail('desync', 'took a login that it had not been sent')
        return
      }
      this.#text = cleanText(text)
      if (code === 'CAPABILITY') this.#capabilityText = codeText
      if (this.#capabilityText === '') this.#ask('P', 'CAPABILITY')
      else this.#accept()
    } else if (unavailableCodes.has(code)) this.fail('login_unavailable', text)
    else if (code === 'PRIVACYREQUIRED') this.fail('no_mechanism', text)
    else if (deniedCodes.has(code)) this.finish({ kind: 'denied', code, text: cleanText(text) })
    else if (isThrottling(code, text)) this.fail('login_unavailable', text)
    // BAD without a code: these octets were too much for its parser, others may do.
    else if (status === 'NO' || code === '' || code === 'AUTHENTICATIONFAILED') {
      this.finish({ kind: 'refused' })
    } else this.fail('bad_reply', text)
  }
}

function readTagged(text: string): { tag: string; status: StatusLine | undefined } {
  const tagEnd = text.indexOf(' ')
  const tag = tagEnd === -1 ? text : text.slice(0, tagEnd)
  return { tag, status: tagEnd === -1 ? undefined : readStatus(text.slice(tagEnd + 1)) }
}

export function createImapBackEnd(
  tls: TlsMode,
  proof: LoginProof,
  introduction?: Introduction,
): ImapBackEnd {
  return new ImapBackEnd(tls, proof, introduction)
}
