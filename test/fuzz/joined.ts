/**
 * What passes after a login as targets: the watches, which say where a word of ours may stand, and the
 * one that gives messages other names.
 */
import assert from 'node:assert/strict'
import type { LoginService } from '../../src/config/config.ts'
import { ImapWatch } from '../../src/protocol/imap/joined-watch.ts'
import type { JoinedWatch } from '../../src/protocol/joined-watch.ts'
import { Pop3Watch } from '../../src/protocol/pop3/joined-watch.ts'
import { UidlRewriter } from '../../src/protocol/pop3/uidl-rewriter.ts'
import { SieveWatch } from '../../src/protocol/sieve/joined-watch.ts'
import { SubmissionWatch } from '../../src/protocol/smtp/joined-watch.ts'
import type { Target } from './explore.ts'

/** Begins what the client says; the back-end speaks first. */
const asks = '\xfe'
/** Begins what the back-end says. */
const answers = '\xfd'
/** Of what is cut into single octets. */
const longest = 2000
/** All that was heard is read anew after each. */
const mostTurns = 100
/** A command or a line that is longer is not followed by everybody. */
const longestLine = /[^\n]{1000}/

interface Turn {
  readonly isClient: boolean
  readonly text: string
}

function turnsOf(input: string): Turn[] {
  const said = `${answers}${input}`.match(/[\xfd\xfe][^\xfd\xfe]*/g) ?? []
  return said
    .slice(0, mostTurns)
    .map((text) => ({ isClient: text.startsWith(asks), text: text.slice(1) }))
}

/** Whole, in pieces that fit nothing, and octet by octet. */
const cuts: readonly ((text: string) => readonly string[])[] = [
  (text) => [text],
  (text) => text.match(/[^]{1,61}/g) ?? [],
  (text) => (text.length < longest ? Array.from(text) : [text]),
]

/** Of a larger buffer, as a pump has it, whose rest is not to be looked at. */
function toWatch(watch: JoinedWatch, text: string): void {
  watch.fromBackEnd(Buffer.from(`${text}}\r\n{7}\r\n.\r\n250 `, 'latin1'), text.length)
}

/**
 * Whether the client has whole responses, by reading all of them from the beginning; undefined where
 * nobody can tell: an announcement that is longer than any.
 */
function endsWithLiterals(text: string): boolean | undefined {
  if (/\d{20}/.test(text)) return undefined
  let at = 0
  for (let hasLiteral = false; at < text.length; ) {
    const end = text.indexOf('\n', at)
    if (end === -1) return false
    const [, size] = /\{(\d+)\+?\}\r$/.exec(text.slice(at, end)) ?? []
    hasLiteral = size !== undefined
    at = end + 1 + Number(size ?? 0)
    if (hasLiteral && at >= text.length) return false
  }
  return true
}

const creators: Readonly<Record<LoginService, () => JoinedWatch>> = {
  imap: () => new ImapWatch(),
  pop3: () => new Pop3Watch(),
  sieve: () => new SieveWatch(),
  submission: () => new SubmissionWatch(),
}

/** Where a word may stand after each turn, with the back-end's octets in such pieces. */
function watched(service: LoginService, turns: readonly Turn[], cut: (typeof cuts)[0]) {
  const watch = creators[service]()
  return turns.map(({ isClient, text }) => {
    // The last command alone tells of a client that leaves: it is in one piece.
    if (isClient) watch.fromClient(Buffer.from(text, 'latin1'))
    else for (const piece of cut(text)) toWatch(watch, piece)
    return { isAtBoundary: watch.isAtBoundary, isLeaving: watch.isLeaving }
  })
}

function playWatch(service: LoginService, input: string): readonly string[] {
  const turns = turnsOf(input)
  const [whole = [], ...parts] = cuts.map((cut) => watched(service, turns, cut))
  const hasLiterals = service === 'imap' || service === 'sieve'
  const asked = turns.map(({ isClient, text }) => (isClient ? text : '')).join('')
  // Once octets may be compressed, nobody knows.
  const isOpaque = service === 'imap' && /compress/i.test(asked)
  let heard = ''
  return turns.map(({ isClient, text }, index) => {
    const seen = whole[index] ?? { isAtBoundary: false, isLeaving: false }
    if (!isClient) heard += text
    else if (seen.isLeaving) assert.match(text, /(?:quit|logout)\r\n$/i)
    const isWhole = hasLiterals ? endsWithLiterals(heard) : undefined
    if (isWhole === false) assert.ok(!seen.isAtBoundary, 'a word within a response')
    if (isWhole === true && !isOpaque) assert.ok(seen.isAtBoundary, 'a response has ended')
    if (!hasLiterals || isWhole !== undefined) {
      for (const part of parts) assert.deepEqual(part[index], seen, 'in whatever pieces')
    }
    const { isAtBoundary, isLeaving } = seen
    return `${isClient ? 'c' : 'b'} ${isAtBoundary} ${isLeaving} ${text.endsWith('\n')}`
  })
}

/** Another name of the same length, so that what is held can be told. */
function renamed(uidl: string): string {
  return Array.from(uidl).toReversed().join('')
}

function sorted(text: string): string {
  return Array.from(text).toSorted().join('')
}

/** RFC 2449 section 4 allows 512. */
const longestHeld = 2048

function rewritten(turns: readonly Turn[], cut: (typeof cuts)[0]) {
  const rewriter = new UidlRewriter(renamed)
  let [heard, given] = ['', 0]
  const seen = turns.map(({ isClient, text }) => {
    if (isClient) for (const piece of cut(text)) rewriter.fromClient(Buffer.from(piece, 'latin1'))
    else {
      for (const piece of cut(text)) {
        const bytes = Buffer.from(`${piece}9 behind\r\n.\r\n`, 'latin1')
        const got = rewriter.rewrite(bytes, piece.length) ?? bytes.subarray(0, piece.length)
        rewriter.fromBackEnd(got, got.length)
        heard += got.toString('latin1')
        given += piece.length
        assert.ok(given >= heard.length && given - heard.length <= longestHeld, 'no octet is new')
      }
    }
    return `${isClient ? 'c' : 'b'} ${rewriter.isAtBoundary} ${given - heard.length > 0}`
  })
  return { heard, seen, held: given - heard.length }
}

function playUidls(input: string): readonly string[] {
  const turns = turnsOf(input)
  const said = turns.map(({ isClient, text }) => (isClient ? '' : text)).join('')
  const all = cuts.map((cut) => rewritten(turns, cut))
  const [whole] = all
  assert.ok(whole !== undefined)
  for (const { heard, held } of all) {
    // Octets keep their places, line by line: a name can neither end a line nor go to another one.
    const lines = heard.split('\n')
    const before = said.slice(0, said.length - held).split('\n')
    assert.equal(lines.length, before.length)
    for (const [at, line] of lines.entries()) {
      const was = before[at] ?? ''
      if (line !== was) assert.match(was, /^(?:\+OK +)?\d+ +[!-~]+/i)
      assert.equal(sorted(line), sorted(was))
    }
  }
  if (!longestLine.test(input)) {
    for (const other of all) assert.deepEqual(other, whole, 'in whatever pieces')
  }
  return whole.seen
}

/** Words of each, and dialogues as they are. */
const dialogues: Readonly<Record<LoginService, readonly string[]>> = {
  imap: [
    '* OK hi\r\n\xfea FETCH 1 BODY[]\r\n\xfd* 1 FETCH (BODY[] {5}\r\nab\r\n)\r\n)\r\na OK\r\n',
    '\xfea COMPRESS DEFLATE\r\n\xfda OK\r\n',
    '* LIST () "/" {3}\r\nabc\r\n* X {2+}\r\nab {0}\r\n\r\n\xfea LOGOUT\r\n\xfd* BYE\r\n',
  ],
  pop3: [
    '\xfeSTAT\r\nRETR 1\r\n\xfd+OK 1 2\r\n+OK\r\na\r\n..\r\n.\r\n\xfeQUIT\r\n\xfd+OK\r\n',
    '\xfeUIDL\r\n\xfd+OK\r\n1 ab\r\n2 cd\r\n.\r\n\xfeUIDL 1\r\n\xfd+OK 1 ab\r\n',
    '\xfeLIST\r\nLIST 1\r\nTOP 1 0\r\n\xfd+OK\r\n.\r\n+OK 1 2\r\n-ERR no\r\n',
    '\xfeAUTH\r\n\xfd-ERR\r\n\xfeXTND\r\n\xfd+OK\r\n',
  ],
  sieve: [
    '\xfeGETSCRIPT "x"\r\n\xfd{6}\r\nkeep;\n\r\nOK\r\n',
    '\xfeLISTSCRIPTS\r\n\xfd"a {4}" ACTIVE\r\n{3+}\r\nabc\r\nOK "x"\r\n\xfelogout\r\n\xfdOK\r\n',
  ],
  submission: [
    '\xfeMAIL FROM:<a@b>\r\n\xfd250 ok\r\n\xfeDATA\r\n\xfd354 go\r\n\xfex\r\n.\r\n\xfd250-a\r\n250 b\r\n',
    '\xfeNOOP\r\nQUIT\r\n\xfd250\r\n221 bye\r\n',
  ],
}

const marks = [
  asks,
  answers,
  '\r\n',
  '\r',
  '\n',
  '\0',
  ' ',
  '.',
  '\r\n.\r\n',
  '{3}\r\n',
  '{0+}\r\n',
]
const more = [
  '{70000}\r\n',
  '{4294967295}\r\n',
  '}',
  '{',
  '"',
  '+OK ',
  '-ERR ',
  '250-',
  '1 a\r\n',
  'x',
]

function wordsOf(service: LoginService): readonly string[] {
  const lines = dialogues[service].flatMap((text) => text.split(/(?<=\n)/))
  return [...new Set([...lines, ...marks, ...more])]
}

const services = ['imap', 'pop3', 'sieve', 'submission'] as const

export const joinedTargets: readonly Target[] = [
  ...services.map((service) => ({
    name: `${service}-joined`,
    words: wordsOf(service),
    seeds: dialogues[service],
    play: (input: string) => playWatch(service, input),
  })),
  { name: 'pop3-uidls', words: wordsOf('pop3'), seeds: dialogues.pop3, play: playUidls },
]
