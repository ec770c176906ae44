/** Submission with an eye on senders as a target: a client and its back-end, both of any kind. */
import assert from 'node:assert/strict'
import { limits } from '../../src/base/limit.ts'
import { type CheckedAction, CheckedSession } from '../../src/protocol/smtp/checked-session.ts'
import type { Target } from './explore.ts'

/** Begins what the client says, who speaks first. */
const asks = '\xfe'
/** Begins what the back-end says. */
const answers = '\xfd'
/** Begins something else: `s` the daemon stops, `l` the back-end is lost, else nobody has spoken. */
const befalls = '\xfc'
/** Of what is cut into single octets. */
const longest = 2000
const mostTurns = 100

const options = {
  hostname: 'mx1.example.com',
  extensions: ['PIPELINING', 'SIZE 1000'],
  limitBytes: 1000,
  judge: ({ local, domain }: { readonly local: string; readonly domain: string }) =>
    domain === 'example.com' && local === 'ann' ? 'own' : local === 'lost' ? 'unknown' : 'foreign',
} as const

/** A session under way: performs what the machine asks for, and writes down what is seen. */
class Played {
  readonly seen: string[] = []
  heard = ''
  got = ''
  /** Of the back-end: it has left, or said what nobody had asked for. */
  hasFault = false
  isCut = false
  /** Of the message under way. */
  #message = ''
  readonly #session = new CheckedSession(options)
  #isOver = false
  #unread = 0

  turn(text: string, cut: (text: string) => readonly string[]): void {
    const said = text.slice(1)
    if (text.startsWith(befalls)) this.#befall(said[0])
    else if (text.startsWith(asks)) for (const piece of cut(said)) this.#push(piece)
    else for (const piece of cut(said)) this.#perform(this.#session.fromBackend(octets(piece)))
    const { isIdle, isReceiving, awaitsVerdict } = this.#session
    this.seen.push(`${isIdle} ${isReceiving} ${awaitsVerdict}`)
  }

  #push(piece: string): void {
    // Who is to wait, waits; what is kept is bounded by that.
    if (!this.#session.wantsInput) {
      this.#unread += piece.length
      return
    }
    this.#perform(this.#session.fromClient(octets(piece)))
  }

  #befall(what = ''): void {
    const session = this.#session
    if (what === 's') this.#perform(session.shutDown())
    else this.#perform(what === 'l' ? session.backendLost() : session.timedOut())
  }

  #perform(actions: readonly CheckedAction[]): void {
    for (const action of actions) {
      assert.ok(!this.#isOver, `${action.do} after the end`)
      switch (action.do) {
        case 'say':
          this.heard += action.text
          this.seen.push(`C ${action.text[0]}`)
          break
        case 'pass':
          this.#pass(action.octets)
          break
        case 'cut':
          this.isCut = true
          this.seen.push('cut')
          break
        case 'close':
          this.#isOver = true
          if (action.end === 'backend_closed') this.hasFault = true
          this.seen.push(`close ${action.end}`)
          break
        default:
          if (action.do === 'fault') this.hasFault = true
          this.seen.push(`${action.do} ${action.reason}`)
      }
    }
  }

  /** Commands are strings; octets of a message are not. */
  #pass(given: string | Buffer): void {
    assert.ok(!this.isCut, 'a back-end that was cut off gets nothing more')
    const text = given.toString('latin1')
    this.got += text
    if (typeof given !== 'string') {
      this.#message += text
      return
    }
    assert.match(text, /^[^\0\r\n]+\r\n$/)
    if (/^mail/i.test(text)) assert.match(text, ownSender)
    if (text === '.\r\n') {
      // The only end that it has, for whoever ends messages like this.
      assert.match(this.#message, /^$|\r\n$/)
      assert.doesNotMatch(this.#message, /^\.\r?$/m)
    } else assert.equal(this.#message, '')
    this.#message = ''
    this.seen.push(`B ${/^[A-Z.]+/.exec(text)?.[0]}`)
  }

  /** What was kept, and never read. */
  get hasUnread(): boolean {
    return this.#unread > 0
  }
}

function octets(text: string): Buffer {
  return Buffer.from(text, 'latin1')
}

const heardLines = /^(?:[2-5]\d\d[ -][^\0\r\n]*\r\n)*$/
const ownSender =
  /^MAIL FROM:<(?:ann|"(?:\\?a)(?:\\?n){2}")@example\.com>(?: [!-~\x80-\xff \t]*)?\r\n$/
/** Octets that no two servers read alike. */
const unlike = /\0|\r(?!\n|$)|(?<!\r)\n/

function converse(turns: readonly string[], cut: (text: string) => readonly string[]): Played {
  const played = new Played()
  for (const turn of turns) played.turn(turn, cut)
  assert.match(played.heard, heardLines)
  assert.doesNotMatch(played.got, unlike)
  return played
}

function byLength(one: string, other: string): number {
  return one.length - other.length
}

function play(input: string): readonly string[] {
  const said = `${asks}${input}`.match(/[\xfc-\xfe][^\xfc-\xfe]*/g) ?? []
  const turns = said.slice(0, mostTurns)
  const whole = converse(turns, (text) => [text])
  for (const cut of [
    (text: string) => text.match(/[^]{1,61}/g) ?? [],
    (text: string) => (text.length < longest ? Array.from(text) : [text]),
  ]) {
    const parts = converse(turns, cut)
    // What comes along with the reply that was asked for is seen with it, and else when it comes.
    if (whole.hasUnread || parts.hasUnread || whole.hasFault) continue
    if (whole.isCut) {
      // Of a message that is cut off more or less goes on, and its end is waited for by whole pieces.
      const [shorter = '', longer = ''] = [whole.heard, parts.heard].sort(byLength)
      assert.ok(longer.startsWith(shorter))
    } else {
      assert.equal(parts.heard, whole.heard)
      assert.equal(parts.got, whole.got)
    }
  }
  return whole.seen
}

const dialogue = [
  'EHLO x\r\n',
  `${answers}250 Ok\r\n`,
  `${asks}MAIL FROM:<ann@example.com> SIZE=20\r\n`,
  `${answers}250-2.1.0 Ok\r\n250 2.1.0 more\r\n`,
  `${asks}RCPT TO:<bob@example.net>\r\nDATA\r\n`,
  `${answers}250 Ok\r\n`,
  `${answers}354 go\r\n`,
  `${asks}Subject: x\r\n\r\n..\r\n.\r\n`,
  `${answers}250 queued\r\n`,
  `${asks}QUIT\r\n`,
  `${answers}221 bye\r\n`,
]

const words: readonly string[] = [
  ...dialogue,
  asks,
  answers,
  befalls,
  `${befalls}s`,
  `${befalls}l`,
  'MAIL FROM:<eve@example.net>\r\n',
  'MAIL FROM:<lost@example.com>\r\n',
  'MAIL FROM:<@example.net:"ann"@example.com> AUTH=<>\r\n',
  'AUTH PLAIN AAAA\r\n',
  'STARTTLS\r\n',
  'BDAT 9 LAST\r\n',
  'RSET\r\n',
  'HELO x\r\n',
  'NOOP ',
  `${answers}421 4.3.2 no\r\n`,
  `${answers}550 5.1.1 no\r\n`,
  `${answers}250-x\r\n`,
  'Received: x\r\n',
  '\r\n.\r\n',
  '\n.\n',
  '\r.\r',
  '\r',
  '\n',
  '\0',
  '.',
  ' ',
  'x',
  '\xe9',
  '\xc3\xa9',
]

export const checkedSession: Target = {
  name: 'checked-session',
  words,
  seeds: [
    dialogue.join(''),
    dialogue.slice(0, 7).join('') + befalls,
    dialogue.slice(0, 8).join('') + `${befalls}l`,
    `${dialogue[2]}NOOP\r\n${answers}250 a\r\n250 b\r\n`,
    `NOOP ${'x'.repeat(limits.smtpCommandBytes)}\r\n`,
  ],
  play,
}
