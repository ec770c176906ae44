/** The front ends of the login protocols as targets: whatever a client says before it is joined. */
import assert from 'node:assert/strict'
import { globSync } from 'node:fs'
import type { LoginService } from '../../src/config/config.ts'
import { createImapFrontEnd } from '../../src/protocol/imap/front-end.ts'
import type { FrontEndAction, LoginFrontEnd, LoginOutcome } from '../../src/protocol/login.ts'
import type { FrontEndOptions } from '../../src/protocol/login-machine.ts'
import { createPop3FrontEnd } from '../../src/protocol/pop3/front-end.ts'
import { createSieveFrontEnd } from '../../src/protocol/sieve/front-end.ts'
import { createSubmissionFrontEnd } from '../../src/protocol/smtp/submission-front-end.ts'
import { readTranscript } from '../support/transcript.ts'
import type { Target } from './explore.ts'

/** Divides an input into what comes at once. */
export const pause = '\xfe'
/** Of what is played octet by octet. */
const longest = 2000

const creators: Readonly<Record<LoginService, (options: FrontEndOptions) => LoginFrontEnd>> = {
  imap: createImapFrontEnd,
  pop3: createPop3FrontEnd,
  sieve: createSieveFrontEnd,
  submission: createSubmissionFrontEnd,
}

const upgradable = {
  hostname: 'mx1.example.com',
  secure: false,
  offersTls: true,
  allowsCleartext: false,
  mechanisms: ['PLAIN', 'LOGIN', 'SCRAM-SHA-256', 'OAUTHBEARER'],
} as const satisfies FrontEndOptions
const secure = { ...upgradable, secure: true, offersTls: false } as const

/** How logins end, one after the other. */
const outcomes: readonly LoginOutcome[] = [
  { kind: 'refused' },
  { kind: 'unavailable' },
  { kind: 'denied', code: 'LIMIT', text: 'Too many' },
  { kind: 'accepted', response: { text: 'In', capabilities: 'IMAP4rev1 IDLE' } },
  { kind: 'denied', code: 'IN-USE', text: '' },
  { kind: 'accepted', response: { text: '', capabilities: '' } },
]

/** What clients of each may hear; the tag of a ManageSieve NOOP is any text. */
const isSaid = {
  imap: /^(?:[\x20-\x7e]*\r\n)*$/,
  pop3: /^(?:[\x20-\x7e]*\r\n)*$/,
  sieve: /^(?:(?:OK|NO|BYE|"|\{)[\x20-\x7e\x80-\xff]*\r\n)*$/,
  submission: /^(?:[2-5]\d\d[ -][\x20-\x7e]*\r\n)*$/,
} as const

/** A client under way: performs what the machine asks for, and writes down what is seen. */
class Played {
  readonly seen: string[] = []
  said = ''
  /** What is the back-end's. */
  tail: string | undefined
  readonly #machine: LoginFrontEnd
  readonly #shift: number
  #logins = 0
  #isOver = false

  constructor(machine: LoginFrontEnd, shift: number) {
    this.#machine = machine
    this.#shift = shift
  }

  push(chunk: string): void {
    if (this.tail !== undefined) this.tail += chunk
    else this.perform(this.#machine.push(Buffer.from(chunk, 'latin1')))
  }

  perform(actions: FrontEndAction[]): void {
    for (let action = actions.shift(); action !== undefined; action = actions.shift()) {
      assert.ok(!this.#isOver, `${action.do} after the end`)
      if (action.do === 'send') this.#hear(action.text)
      else {
        this.seen.push('reason' in action ? `${action.do} ${action.reason}` : action.do)
        actions.push(...this.#answer(action))
      }
    }
  }

  #hear(text: string): void {
    this.said += text
    for (const line of text.split('\r\n')) {
      // Without what is the client's own, or of another length each time.
      const form = line.replace(/^\S+ (?=OK|NO|BAD)/, 'T ').replace(/\(TAG .*?"\)/, '(TAG)')
      if (line !== '') this.seen.push(form.replace(/^\+ .*|^"[A-Za-z0-9+/=]{20,}"/, 'challenge'))
    }
  }

  #answer(action: FrontEndAction): FrontEndAction[] {
    switch (action.do) {
      case 'start-tls':
        return this.#machine.tlsStarted()
      case 'brake':
        assert.ok(action.attempt >= 1 && action.attempt <= 3)
        return this.#machine.resume()
      case 'log-in': {
        const { login, password } = action.credentials
        for (const part of [login, password]) assert.doesNotMatch(part, /^$|[\0\r\n]/)
        return this.#logIn()
      }
      case 'exchange':
        assert.doesNotMatch(action.exchange.login, /^$|[\0\r\n]/)
        return (this.#logins + this.#shift) % 2 === 0
          ? this.#logIn()
          : this.#machine.challenged('r=x,s=AAAA,i=4096\0')
      case 'respond':
        return this.#logIn()
      case 'join':
        this.tail = this.#machine.takePending().toString('latin1')
        this.#isOver = true
        return []
      case 'close':
        assert.equal(this.#machine.takePending().length, 0)
        this.#isOver = true
        return []
      default:
        return []
    }
  }

  #logIn(): FrontEndAction[] {
    const outcome = outcomes[(this.#logins++ + this.#shift) % outcomes.length]
    assert.ok(outcome !== undefined)
    this.seen.push(outcome.kind)
    return this.#machine.loginAnswered(outcome)
  }
}

function playWith(machine: LoginFrontEnd, shift: number, chunks: Iterable<string>): Played {
  const played = new Played(machine, shift)
  for (const chunk of chunks) played.push(chunk)
  played.perform(machine.timedOut())
  return played
}

/** The first octet says which machine it is, and how logins end. */
function play(service: LoginService, input: string): readonly string[] {
  const choice = input.charCodeAt(0) || 0
  const options = choice % 4 === 0 ? upgradable : secure
  const create = (): LoginFrontEnd => creators[service](options)
  const chunks = input.slice(1).split(pause)
  const bytes = chunks.join('')
  const played = playWith(create(), choice >> 2, chunks)
  assert.match(played.said, isSaid[service])
  if (played.tail !== undefined) assert.ok(bytes.endsWith(played.tail), 'each byte once, in order')
  // What comes along with STARTTLS makes a difference, nothing else does.
  if (options === upgradable) return played.seen
  for (const others of [[bytes], bytes.length < longest ? bytes : bytes.match(/[^]{1,61}/g)]) {
    const other = playWith(create(), choice >> 2, others ?? [])
    assert.equal(other.said, played.said)
    assert.equal(other.tail, played.tail)
  }
  return played.seen
}

const words: readonly string[] = [
  '\r\n',
  ' ',
  '\n',
  '\r',
  '\0',
  pause,
  '"',
  '\\',
  '(',
  ')',
  '{3}\r\n',
  '{3+}\r\n',
  '{0+}\r\n',
  '{4096+}\r\n',
  '{4097+}\r\n',
  '{8192}\r\n',
  '{4294967296+}\r\n',
  'AGFubgBzZWNyZXQ=',
  'YW5u',
  '=',
  '*',
  '*\r\n',
  '\xc3\xa9',
  '\xc3',
  'a LOGIN ann secret\r\n',
  'a AUTHENTICATE PLAIN ',
  'a AUTHENTICATE SCRAM-SHA-256 biwsbj1hLHI9Yg==\r\n',
  'a AUTHENTICATE LOGIN\r\n',
  'a ID ("x-proxy-ttl" "3")\r\n',
  'a STARTTLS\r\n',
  'STARTTLS\r\n',
  'STLS\r\n',
  'USER ann\r\n',
  'PASS secret\r\n',
  'AUTH PLAIN ',
  'AUTH LOGIN\r\n',
  'AUTH SCRAM-SHA-256 biwsbj1hLHI9Yg==\r\n',
  'AUTHENTICATE "PLAIN" ',
  'AUTHENTICATE "LOGIN"\r\n',
  '"AGFubgBzZWNyZXQ="\r\n',
  'EHLO x\r\n',
  'MAIL FROM:<a@b>\r\n',
  'NOOP\r\n',
  'a NOOP\r\n',
  'Yz1iaXdzLHI9YngscD1BQUFB\r\n',
]

/** What clients say in the dialogues that people wrote, a pause after each turn. */
function seedsOf(service: LoginService): string[] {
  const said = globSync(`test/transcripts/${service}/*.txt`).map((file) => {
    const turns = readTranscript(file).turns.filter(({ from }) => from === 'C')
    return turns.map(({ text }) => text).join(pause)
  })
  return said
    .filter(({ length }) => length < 2000)
    .flatMap((text) => [`\x01${text}`, `\x04${text}`])
}

export const frontEnds: readonly Target[] = (['imap', 'pop3', 'sieve', 'submission'] as const).map(
  (service) => ({
    name: `${service}-front-end`,
    words,
    seeds: seedsOf(service),
    play: (input) => play(service, input),
  }),
)
