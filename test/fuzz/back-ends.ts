/** The back-end sides of the login protocols as targets: whatever a back-end says before its login. */
import assert from 'node:assert/strict'
import type { LoginService } from '../../src/config/config.ts'
import { createImapBackEnd } from '../../src/protocol/imap/back-end.ts'
import type {
  BackEndAction,
  BackEndOutcome,
  Credentials,
  Introduction,
  LoginBackEnd,
  LoginProof,
} from '../../src/protocol/login.ts'
import { createPop3BackEnd } from '../../src/protocol/pop3/back-end.ts'
import { createSieveBackEnd } from '../../src/protocol/sieve/back-end.ts'
import { createSubmissionBackEnd } from '../../src/protocol/smtp/submission-back-end.ts'
import { ann, base64, scram, token } from '../support/back-end-dialogue.ts'
import type { Target } from './explore.ts'
import { pause } from './front-ends.ts'

type Create = (
  tls: 'none' | 'starttls',
  proof: LoginProof,
  introduction: Introduction,
) => LoginBackEnd

const creators: Readonly<Record<LoginService, Create>> = {
  imap: createImapBackEnd,
  pop3: createPop3BackEnd,
  sieve: createSieveBackEnd,
  submission: createSubmissionBackEnd,
}

const octets: Credentials = { login: 'jörg', password: 'secret\xe4"\\' }
const admin: Credentials = { login: 'mailmux', password: 'secret', actsFor: 'ann@example.com' }
const proofs: readonly LoginProof[] = [ann, octets, scram, token, admin]

/** What gives a password, a token, or what proves them, away. */
const secrets =
  /secret|AGFubk|c2VjcmV0|ttttttttt|biwsbj1hbm5A|bixhPWFubk|dHR0dHR0|am.?.?cmcA|c2VjcmV0/

/** How a login that was taken looks; IMAP's own tag, and no other. */
const isTaken = {
  imap: /^L OK/im,
  pop3: /^\+OK/im,
  sieve: /^(?:[^\n]*\n)?OK/im,
  submission: /^235/m,
} as const

const endsLines = /^(?:[^]*\r\n)?$/
const printable = /^[\x20-\x7e]*$/

class Played {
  readonly seen: string[] = []
  readonly #service: LoginService
  readonly #machine: LoginBackEnd
  /** What came since nobody in between could read or write. */
  #heard = ''
  #isSecure: boolean
  #outcome: BackEndOutcome | undefined
  #isAsked = false

  constructor(service: LoginService, machine: LoginBackEnd, isSecure: boolean) {
    this.#service = service
    this.#machine = machine
    this.#isSecure = isSecure
  }

  push(chunk: string): void {
    this.#heard += chunk
    this.#perform(this.#machine.push(Buffer.from(chunk, 'latin1')))
    if (!this.#isAsked) return
    this.#isAsked = false
    this.#perform(this.#machine.respond('c=biws,r=x,p=AAAA'))
  }

  #perform(actions: BackEndAction[]): void {
    for (let action = actions.shift(); action !== undefined; action = actions.shift()) {
      assert.equal(this.#outcome, undefined, `${action.do} after the end`)
      switch (action.do) {
        case 'send':
          assert.match(action.text, endsLines)
          if (!this.#isSecure) assert.doesNotMatch(action.text, secrets)
          this.seen.push(`send ${action.text.replace(/[^A-Z].*/s, '')}`)
          break
        case 'start-tls':
          assert.ok(!this.#isSecure, 'TLS once')
          this.#isSecure = true
          this.#heard = ''
          this.seen.push('start-tls')
          actions.push(...this.#machine.tlsStarted())
          break
        case 'challenge':
          this.#isAsked = true
          this.seen.push('challenge')
          break
        case 'finish':
          this.#finish(action.outcome)
      }
    }
  }

  #finish(outcome: BackEndOutcome): void {
    this.#outcome = outcome
    switch (outcome.kind) {
      case 'accepted': {
        const { response, surplus } = outcome
        assert.ok(this.#isSecure, 'a login that nobody has protected')
        assert.match(this.#heard, isTaken[this.#service])
        assert.match(response.text, printable)
        assert.match(response.capabilities, /^(?:[!-\\^-~]+(?: [!-\\^-~]+)*)?$/)
        assert.ok(this.#heard.endsWith(surplus.toString('latin1')))
        if (this.#service === 'submission') assert.equal(surplus.length, 0)
        this.seen.push(`accepted ${response.capabilities !== ''} ${surplus.length > 0}`)
        break
      }
      case 'denied':
        assert.match(outcome.code, /^[A-Z-]+$/)
        assert.match(outcome.text, printable)
        this.seen.push(`denied ${outcome.code}`)
        break
      case 'failed':
        assert.match(outcome.detail, /^[\x20-\x7e\xa0-\xff…]*$/)
        assert.doesNotMatch(outcome.detail, /secret|ttttttttt/)
        this.seen.push(`${outcome.step} ${outcome.reason}`)
        break
      default:
        this.seen.push(outcome.kind)
    }
  }
}

/** The first octet says what is logged in with, and how. */
function play(service: LoginService, input: string): readonly string[] {
  const choice = input.charCodeAt(0) || 0
  const tls = choice % 2 === 0 ? 'starttls' : 'none'
  const proof = proofs[(choice >> 1) % proofs.length] ?? ann
  const client = choice % 16 < 8 ? undefined : { address: '192.0.2.7', port: 4242 }
  const machine = creators[service](tls, proof, { hostname: 'mx.example.com', client })
  const played = new Played(service, machine, tls === 'none')
  for (const chunk of input.slice(1).split(pause)) played.push(chunk)
  return played.seen
}

const imapHello = '* OK [CAPABILITY IMAP4rev1 SASL-IR LITERAL- ID AUTH=PLAIN STARTTLS] hi\r\n'
const imapCapabilities =
  '* CAPABILITY IMAP4rev1 ID AUTH=PLAIN AUTH=SCRAM-SHA-256 AUTH=OAUTHBEARER\r\nC OK\r\n'
const sieveHello =
  '"SASL" "PLAIN SCRAM-SHA-256 OAUTHBEARER"\r\n"STARTTLS"\r\n"XCLIENT"\r\nOK "hi"\r\n'
const ehlo =
  '250-fritz\r\n250-STARTTLS\r\n250-XCLIENT ADDR PORT\r\n250 AUTH PLAIN LOGIN SCRAM-SHA-256\r\n'
const challenge = base64('r=abcXYZ,s=AAAA,i=4096')

const dialogues: Readonly<Record<LoginService, readonly (readonly string[])[]>> = {
  imap: [
    [imapHello, 'L OK [CAPABILITY IMAP4rev1] In\r\n* 3 EXISTS\r\n'],
    [imapHello, 'S OK go\r\n', imapCapabilities, 'I OK\r\n', 'L OK In\r\n', imapCapabilities],
    [imapHello, '+ go\r\n', '+ go\r\n', 'L NO [LIMIT] x\r\n'],
    ['* OK hi\r\n', imapCapabilities, `+ ${challenge}\r\n`, '+ dj1BQUFB\r\n', 'L OK In\r\n'],
    ['* PREAUTH hi\r\n'],
    ['* BYE full\r\n'],
  ],
  pop3: [
    ['+OK hi\r\n', '+OK\r\n', '+OK In\r\nmore'],
    ['+OK [XCLIENT] hi\r\n', '+OK\r\n', '+ \r\n', '+OK\r\n', '-ERR [IN-USE] x\r\n'],
    ['+OK hi\r\n', '+ \r\n', `+ ${challenge}\r\n`, '+OK In\r\n'],
    ['+OK hi\r\n', '-ERR [SYS/TEMP] x\r\n'],
  ],
  sieve: [
    [sieveHello, 'OK "In"\r\nmore'],
    [sieveHello, 'OK\r\n', sieveHello, 'OK\r\n', 'NO (TRYLATER) "x"\r\n'],
    [sieveHello, `"${challenge}"\r\n`, 'OK (SASL "dj1BQUFB") {2}\r\nIn\r\n'],
    [sieveHello, 'NO (REFERRAL "sieve://evil") "x"\r\n'],
    ['BYE "full"\r\n'],
  ],
  submission: [
    ['220 hi\r\n', ehlo, '235 2.7.0 In\r\n'],
    ['220 hi\r\n', ehlo, '220 go\r\n', ehlo, '220 hi\r\n', ehlo, '334 \r\n', '235 In\r\n'],
    ['220-hi\r\n220 ho\r\n', ehlo, `334 ${challenge}\r\n`, '334 dj1BQUFB\r\n', '235 In\r\n'],
    ['554 full\r\n'],
    ['220 hi\r\n', '500 what\r\n', '250 fritz\r\n', '535 5.7.8 no\r\n'],
  ],
}

function wordsOf(service: LoginService): readonly string[] {
  const lines = dialogues[service].flat().flatMap((text) => text.split(/(?<=\n)/))
  const marks = ['\r\n', '\n', '\0', ' ', pause, '"', '{5}\r\n', '{4294967295}\r\n', '[', ']']
  const forged = ['* OK [ALERT] pay here\r\n', '* 1 EXISTS\r\n', '* BYE\r\n', 'X OK\r\n', 'x']
  return [...lines, ...marks, ...forged, '=', 'A', '\xff', '\x1b[2J', ' [REFERRAL imap://evil] ']
}

export const backEnds: readonly Target[] = (['imap', 'pop3', 'sieve', 'submission'] as const).map(
  (service) => ({
    name: `${service}-back-end`,
    words: wordsOf(service),
    seeds: dialogues[service].flatMap((dialogue) =>
      Array.from({ length: 16 }, (_, choice) => String.fromCharCode(choice) + dialogue.join(pause)),
    ),
    play: (input) => play(service, input),
  }),
)
