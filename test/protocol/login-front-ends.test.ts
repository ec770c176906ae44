import assert from 'node:assert/strict'
import { globSync } from 'node:fs'
import { basename } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import type { LoginService } from '../../src/config/config.ts'
import { createImapFrontEnd } from '../../src/protocol/imap/front-end.ts'
import type { LoginFrontEnd } from '../../src/protocol/login.ts'
import type { FrontEndOptions } from '../../src/protocol/login-machine.ts'
import { createPop3FrontEnd } from '../../src/protocol/pop3/front-end.ts'
import { createSieveFrontEnd } from '../../src/protocol/sieve/front-end.ts'
import { createSubmissionFrontEnd } from '../../src/protocol/smtp/submission-front-end.ts'
import { playTranscript, readTranscript } from '../support/transcript.ts'
import { cutAt } from '../support/cut-at.ts'
import { runs } from '../support/runs.ts'

type Create = (options: FrontEndOptions) => LoginFrontEnd
const protocols: readonly (readonly [LoginService, Create])[] = [
  ['imap', createImapFrontEnd],
  ['pop3', createPop3FrontEnd],
  ['sieve', createSieveFrontEnd],
  ['submission', createSubmissionFrontEnd],
]

function everyByte(bytes: Buffer): Buffer[] {
  return Array.from(bytes, (byte) => Buffer.of(byte))
}

for (const [protocol, create] of protocols) {
  const files = globSync(`test/transcripts/${protocol}/*.txt`)
  test(`there are dialogues in ${protocol}`, () => assert.ok(files.length >= 8))
  for (const file of files) {
    const title = basename(file, '.txt').replaceAll('-', ' ')
    const transcript = readTranscript(file)
    test(`${protocol}: ${title}`, () => {
      playTranscript(transcript, create(transcript.options), (bytes) => [bytes])
      if (transcript.isOneSegment) return
      playTranscript(transcript, create(transcript.options), everyByte)
      fc.assert(
        fc.property(fc.array(fc.nat(200), { maxLength: 6 }), (places) =>
          playTranscript(transcript, create(transcript.options), cutAt(places)),
        ),
        runs(40, files.length),
      )
    })
  }
}

const anywhere = {
  hostname: 'mx1.example.com',
  secure: true,
  offersTls: false,
  allowsCleartext: true,
  mechanisms: ['PLAIN', 'LOGIN', 'SCRAM-SHA-256', 'OAUTHBEARER', 'EXTERNAL'],
} as const satisfies FrontEndOptions

/** What a machine asks for, with every wait answered by a failure; the text that was sent. */
function exhaust(machine: LoginFrontEnd, chunks: readonly Uint8Array[]): string {
  let text = ''
  for (const chunk of chunks) {
    const actions = machine.push(Buffer.from(chunk))
    for (let action = actions.shift(); action !== undefined; action = actions.shift()) {
      if (action.do === 'send') text += action.text
      else if (action.do === 'brake') actions.push(...machine.resume())
      else if (action.do === 'exchange') actions.push(...machine.challenged('say more'))
      else if (['log-in', 'claim', 'respond'].includes(action.do)) {
        actions.push(...machine.loginAnswered({ kind: 'refused' }))
      } else assert.notEqual(action.do, 'join')
    }
  }
  return text
}

const pieces = fc.oneof(
  fc.uint8Array({ maxLength: 80 }),
  fc.stringMatching(
    /^(?:a (?:LOGIN|ID|AUTHENTICATE PLAIN|NOOP)|USER|PASS|AUTH PLAIN|AUTHENTICATE|NOOP|EHLO x|MAIL FROM:)$/,
  ),
  fc.constantFrom(
    ' ',
    '\r\n',
    '{3}\r\n',
    '{3+}\r\nabc',
    '"u"',
    '"PLAIN"',
    '"AGEAYg=="',
    '(',
    ')',
    'AGEAYg==',
    'a AUTHENTICATE LOGIN\r\n',
    'AUTH LOGIN\r\n',
    'EHLO x\r\n',
    'a AUTHENTICATE SCRAM-SHA-256 biwsbj1hLHI9Yg==\r\n',
    'AUTH SCRAM-SHA-256 biwsbj1hLHI9Yg==\r\n',
    'AUTHENTICATE "SCRAM-SHA-256" "biwsbj1hLHI9Yg=="\r\n',
    'a AUTHENTICATE EXTERNAL =\r\n',
    'AUTH EXTERNAL =\r\n',
    'AUTHENTICATE "EXTERNAL" ""\r\n',
    '"*"\r\n',
    '*\r\n',
    'ann',
    'QUIT\r\n',
  ),
)
const garbage = fc.array(
  pieces.map((piece) => (typeof piece === 'string' ? Buffer.from(piece, 'latin1') : piece)),
  { maxLength: 40 },
)

/** What clients of each may hear; the tag of a ManageSieve NOOP is any text. */
const isSaid = {
  imap: /^(?:[\x20-\x7e]*\r\n)*$/,
  pop3: /^(?:[\x20-\x7e]*\r\n)*$/,
  sieve: /^(?:(?:OK|NO|BYE|")[\x20-\x7e\x80-\xff]*\r\n)*$/,
  submission: /^(?:[2-5]\d\d[ -][\x20-\x7e]*\r\n)*$/,
} as const
const upgrades = {
  imap: 'a STARTTLS\r\n',
  pop3: 'STLS\r\n',
  sieve: 'STARTTLS\r\n',
  submission: 'STARTTLS\r\n',
} as const
/** What leaves something behind in a session, and is a bad command at most, of which some may be. */
const harmless = {
  imap: [
    'a CAPABILITY\r\n',
    'a ID ("x-proxy-ttl" "2")\r\n',
    'a ID NIL\r\n',
    'a AUTHENTICATE LOGIN\r\nYW5u\r\n*\r\n',
    'a ID ({1+}\r\nk {1+}\r\nv)\r\n',
    'a LOGIN {3}\r\nann {600000}\r\n',
    'a X\r\n',
  ],
  pop3: ['CAPA\r\n', 'AUTH LOGIN\r\nYW5u\r\n*\r\n', 'USER\r\n', 'AUTH\r\n', 'PASS x\r\n'],
  sieve: [
    'CAPABILITY\r\n',
    'NOOP "x"\r\n',
    'NOOP {1+}\r\nx\r\n',
    'AUTHENTICATE "LOGIN"\r\n"*"\r\n',
  ],
  submission: [
    'EHLO one.example.net\r\n',
    'HELO two\r\n',
    'EHLO x\r\nAUTH LOGIN\r\nYW5u\r\n*\r\n',
    'RSET\r\n',
    'MAIL FROM:<a@b>\r\n',
  ],
} as const
const greetsAgain = {
  imap: '',
  pop3: '',
  sieve: createSieveFrontEnd(anywhere).greeting,
  submission: '',
} as const

for (const [protocol, create] of protocols) {
  test(`${protocol}: whatever bytes come in whatever pieces, the answers are lines and the same`, () => {
    fc.assert(
      fc.property(garbage, (chunks) => {
        const text = exhaust(create(anywhere), chunks)
        assert.match(text, isSaid[protocol])
        assert.equal(exhaust(create(anywhere), everyByte(Buffer.concat(chunks))), text)
      }),
      runs(400),
    )
  })

  test(`${protocol}: what comes between the go-ahead and TLS is forgotten`, () => {
    const machine = create({ ...anywhere, secure: false, offersTls: true })
    assert.equal(machine.push(Buffer.from(upgrades[protocol])).at(-1)?.do, 'start-tls')
    assert.deepEqual(machine.push(Buffer.from('b LOGIN u p\r\nUSER u\r\nPASS')), [])
    const told = machine.tlsStarted().map((action) => (action.do === 'send' ? action.text : ''))
    assert.equal(told.join('').replace(/OK .*/, ''), greetsAgain[protocol].replace(/OK .*/, ''))
    const [answer, ...more] = machine.push(Buffer.from(' p\r\n'))
    assert.match(answer?.do === 'send' ? answer.text : '', /^(?:\* BAD|-ERR|NO|500) /)
    assert.deepEqual(more, [])
    assert.equal(machine.takePending().length, 0)
  })

  test(`${protocol}: whatever was said before TLS, what follows is answered as in a new session`, () => {
    const few = fc.array(fc.constantFrom(...harmless[protocol]), { maxLength: 4 })
    fc.assert(
      fc.property(few, few, (before, after) => {
        const [used, fresh] = [before, []].map((said) => {
          const machine = create({ ...anywhere, secure: false, offersTls: true })
          for (const text of said) machine.push(Buffer.from(text))
          machine.push(Buffer.from(upgrades[protocol]))
          machine.tlsStarted()
          const text = exhaust(
            machine,
            after.map((command) => Buffer.from(command)),
          )
          return { text, introduction: machine.introduction }
        })
        assert.deepEqual(used, fresh)
      }),
      runs(300),
    )
  })

  test(`${protocol}: after its end a machine does nothing more`, () => {
    const machine = create(anywhere)
    machine.shutDown()
    const line = Buffer.from('a NOOP\r\n')
    const more = [machine.push(line), machine.resume(), machine.tlsStarted(), machine.timedOut()]
    assert.deepEqual(more, [[], [], [], []])
    assert.deepEqual(machine.loginAnswered({ kind: 'refused' }), [])
  })
}

/** A text of so many octets with its line end. */
function lineOf(start: string, octets: number): string {
  return `${start.padEnd(octets - 2, 'x')}\r\n`
}

/** What is read, at its limit and one octet beyond: what is said before, and then that text. */
const bounds: readonly [LoginService, string, number, string, (octets: number) => string][] = [
  ['imap', 'a line', 8192, '', (octets) => lineOf('a NOOP ', octets)],
  [
    'imap',
    'a line of an exchange',
    12_288,
    'a AUTHENTICATE PLAIN\r\n',
    (octets) => lineOf('', octets),
  ],
  ['imap', 'a literal unasked', 4096, '', (octets) => `a ID {${octets}+}\r\n`],
  ['pop3', 'a line', 1024, '', (octets) => lineOf('USER ', octets)],
  ['pop3', 'a line of an exchange', 12_288, 'AUTH PLAIN\r\n', (octets) => lineOf('', octets)],
  ['sieve', 'a command', 8192, '', (octets) => lineOf('NOOP ', octets)],
  ['sieve', 'a literal', 8192, '', (octets) => `NOOP {${octets - 'NOOP {8180+}'.length}+}\r\n`],
  ['sieve', 'an answer', 12_288, 'AUTHENTICATE "PLAIN"\r\n', (octets) => lineOf('', octets)],
  ['submission', 'a command', 2048, '', (octets) => lineOf('NOOP ', octets)],
  ['submission', 'AUTH', 12_288, 'EHLO x\r\n', (octets) => lineOf('AUTH PLAIN ', octets)],
  [
    'submission',
    'a line of an exchange',
    12_288,
    'EHLO x\r\nAUTH PLAIN\r\n',
    (octets) => lineOf('', octets),
  ],
]

for (const [protocol, what, limit, before, text] of bounds) {
  test(`${protocol}: ${what} of ${limit} octets is read, and one more ends the session`, () => {
    const create = new Map(protocols).get(protocol)
    assert.ok(create !== undefined)
    for (const beyond of [0, 1]) {
      const machine = create(anywhere)
      machine.push(Buffer.from(before))
      const actions = machine.push(Buffer.from(text(limit + beyond)))
      const end = actions.find((action) => action.do === 'close')
      assert.equal(end?.end, beyond === 0 ? undefined : 'refused', `${beyond} beyond`)
    }
  })
}

test('imap: what ID tells of the way here is bounded, and forgotten where it was told without TLS', () => {
  const machine = createImapFrontEnd({ ...anywhere, secure: false, offersTls: true })
  machine.push(Buffer.from('a ID ("x-proxy-ttl" "1")\r\n'))
  assert.deepEqual(machine.introduction, { id: [], ttl: 0 })
  machine.push(Buffer.from('b STARTTLS\r\n'))
  machine.tlsStarted()
  assert.deepEqual(machine.introduction, { id: [] })
  machine.push(Buffer.from('c ID ("x-proxy-ttl" "999")\r\n'))
  assert.deepEqual(machine.introduction, { id: [], ttl: 6 })
})

test('imap: any octets of a name are a login as they are meant, or a failure like any other', () => {
  const options = { ...anywhere }
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1, maxLength: 12 }), (octets) => {
      const name = Buffer.from(octets)
      const head = Buffer.from(`a LOGIN {${name.length}+}\r\n`)
      const actions = createImapFrontEnd(options).push(
        Buffer.concat([head, name, Buffer.from(' secret\r\n')]),
      )
      const last = actions.at(-1)
      const isText = Buffer.from(name.toString('utf8'), 'utf8').equals(name)
      const isUsable = isText && !octets.some((octet) => octet < 32 || octet === 127)
      assert.deepEqual(
        last,
        isUsable
          ? { do: 'log-in', credentials: { login: name.toString('utf8'), password: 'secret' } }
          : { do: 'brake', attempt: 1 },
      )
    }),
    runs(500),
  )
})

test('sieve: a message means the same quoted, as a literal and in a second step', () => {
  const message = fc.oneof(
    fc.uint8Array({ maxLength: 12 }).map((octets) => Buffer.from(octets).toString('base64')),
    fc
      .tuple(fc.string({ maxLength: 6 }), fc.string({ maxLength: 6 }))
      .map(([name, password]) => Buffer.from(`\0${name}\0${password}`).toString('base64')),
    fc.stringMatching(/^[ -!#-[\]-~]{0,12}$/),
  )
  fc.assert(
    fc.property(message, (text) => {
      const [quoted, literal] = [`"${text}"`, `{${text.length}+}\r\n${text}`]
      const plain = 'AUTHENTICATE "PLAIN"'
      const meant = [
        `${plain} ${quoted}\r\n`,
        `${plain} ${literal}\r\n`,
        `${plain} ${literal.replace('+', '')}\r\n`,
        `${plain}\r\n${quoted}\r\n`,
        `${plain}\r\n${literal}\r\n`,
      ].map((bytes) => createSieveFrontEnd(anywhere).push(Buffer.from(bytes, 'latin1')))
      const [first, ...others] = meant.map((actions) =>
        actions.filter((action) => action.do !== 'send' || action.text !== '""\r\n'),
      )
      // A star alone is an answer, and no message to begin with.
      if (text !== '*') for (const other of others) assert.deepEqual(other, first)
    }),
    runs(500),
  )
})
