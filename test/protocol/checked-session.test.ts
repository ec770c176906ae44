/** Submission with an eye on senders: what client and back-end get to hear of each other. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  type CheckedAction,
  type CheckedOptions,
  CheckedSession,
} from '../../src/protocol/smtp/checked-session.ts'
import { runs } from '../support/runs.ts'

const options: CheckedOptions = {
  hostname: 'mx1.example.com',
  extensions: ['PIPELINING', 'SIZE 1000'],
  limitBytes: 1000,
  judge: ({ local, domain }) => {
    if (domain !== 'example.com') return 'foreign'
    return local === 'ann' ? 'own' : local === 'lost' ? 'unknown' : 'foreign'
  },
}

/**
 * `c` the client says, `b` the back-end says; `C` the client hears, `B` the back-end gets; `=` what
 * else happens; `!` another thing befalls the session.
 */
interface Dialogue {
  readonly name: string
  readonly lines: readonly string[]
}

const mail = ['c MAIL FROM:<ann@example.com>\r\n', 'B MAIL FROM:<ann@example.com>\r\n'] as const
const ok = ['b 250 2.1.0 Ok\r\n', 'C 250 2.1.0 Ok\r\n'] as const
const notYours = 'C 553 5.7.1 you may not send as this address\r\n'
const denied = ['= refuse sender_denied', notYours] as const
const data = ['c DATA\r\n', 'B DATA\r\n', 'b 354 go on\r\n', 'C 354 go on\r\n'] as const
const stopped = [
  '= cut',
  'C 421 4.3.2 shutting down, try again later\r\n',
  '= close shutdown',
] as const

const dialogues: readonly Dialogue[] = [
  {
    name: 'a whole message goes through as it is',
    lines: [
      'c mail FROM: <ann@example.com> SIZE=20 BODY=8BITMIME\r\n',
      'B MAIL FROM:<ann@example.com> SIZE=20 BODY=8BITMIME\r\n',
      'b 250-2.1.0 Ok\r\n250 2.1.0 and more\r\n',
      'C 250-2.1.0 Ok\r\n250 2.1.0 and more\r\n',
      'c RCPT TO:<bob@example.net> NOTIFY=NEVER\r\n',
      'B RCPT TO:<bob@example.net> NOTIFY=NEVER\r\n',
      ...ok,
      ...data,
      'c Subject: x\r\n\r\n..\r\nMAIL FROM:<eve@example.net>\r\n.\r\n',
      'B Subject: x\r\n\r\n..\r\nMAIL FROM:<eve@example.net>\r\n.\r\n',
      'b 250 2.0.0 queued\r\n',
      'C 250 2.0.0 queued\r\n',
      'c QUIT\r\n',
      'B QUIT\r\n',
      'b 221 bye\r\n',
      'C 221 bye\r\n',
      '= close logout',
    ],
  },
  {
    name: 'other senders are refused, and nobody but us hears of them',
    lines: [
      'c MAIL FROM:<bob@example.com>\r\n',
      ...denied,
      'c MAIL FROM:<ann@example.net>\r\n',
      ...denied,
      'c MAIL FROM:<>\r\n',
      ...denied,
      'c MAIL FROM:<ann>\r\n',
      ...denied,
      'c MAIL FROM:<@example.net:"ann"@example.com> AUTH=<>\r\n',
      'B MAIL FROM:<"ann"@example.com> AUTH=<>\r\n',
      ...ok,
    ],
  },
  {
    name: 'a sender that cannot be looked up may come again',
    lines: [
      'c MAIL FROM:<lost@example.com>\r\n',
      'C 451 4.3.0 the sender cannot be looked up now, try again later\r\n',
      ...mail,
      ...ok,
    ],
  },
  {
    name: 'pipelined commands go on one by one, and are answered in order',
    lines: [
      'c MAIL FROM:<eve@example.com>\r\nRCPT TO:<a@b>\r\nNOOP\r\nDATA\r\n',
      ...denied,
      'B RCPT TO:<a@b>\r\n',
      'b 503 5.5.1 MAIL first\r\n',
      'C 503 5.5.1 MAIL first\r\n',
      'B NOOP\r\n',
      ...ok,
      'B DATA\r\n',
      'b 503 5.5.1 RCPT first\r\n',
      'C 503 5.5.1 RCPT first\r\n',
    ],
  },
  {
    name: 'EHLO is answered by what holds here, and forgets a message there',
    lines: [
      'c EHLO x\r\n',
      'B RSET\r\n',
      'b 250 2.0.0 Ok\r\n',
      'C 250-mx1.example.com\r\n250-PIPELINING\r\n250 SIZE 1000\r\n',
      'c HELO x\r\n',
      'B RSET\r\n',
      'b 250 2.0.0 Ok\r\n',
      'C 250 mx1.example.com\r\n',
      'c EHLO x\r\n',
      'B RSET\r\n',
      'b 451 4.3.0 later\r\n',
      'C 451 4.3.0 later\r\n',
    ],
  },
  {
    name: 'what is over, not offered or not known goes to no back-end',
    lines: [
      'c AUTH PLAIN AGFubgBzZWNyZXQ=\r\n',
      'C 503 5.5.1 you have logged in already\r\n',
      'c STARTTLS\r\n',
      'C 503 5.5.1 TLS is active already\r\n',
      'c BURL imap://x LAST\r\n',
      'C 500 5.5.2 command not recognized\r\n',
      'c XCLIENT LOGIN=bob\r\n',
      'C 500 5.5.2 command not recognized\r\n',
      'c  MAIL FROM:<ann@example.com>\r\n',
      'C 500 5.5.2 command not recognized\r\n',
      'c DATA x\r\n',
      'C 501 5.5.4 no argument is allowed here\r\n',
      'c NOOP \xff\r\n',
      '= refuse ctl_in_command',
      'C 501 5.5.2 control or 8-bit characters in a command\r\n',
    ],
  },
  {
    name: 'a sender that is not well written is none',
    lines: [
      'c MAIL FROM:ann@example.com\r\n',
      'C 501 5.5.4 syntax: MAIL FROM:<address>\r\n',
      'c MAIL FROM:<ann@example.com\r\n',
      'C 501 5.1.7 bad sender address syntax\r\n',
      'c MAIL FROM:<ann@example.com> <eve@example.net>\r\n',
      'C 501 5.5.4 bad parameter syntax\r\n',
      'c MAIL FROM:<ann\xff@example.com>\r\n',
      '= refuse ctl_in_command',
      'C 501 5.5.2 control or 8-bit characters in a command\r\n',
      'c MAIL FROM:<ann\r@example.com>\r\n',
      '= refuse ctl_in_command',
      'C 501 5.5.2 control or 8-bit characters in a command\r\n',
      'c RCPT TO:<\xc3\xa0> ORCPT=utf-8;\xc3\xa0\r\n',
      'B RCPT TO:<\xc3\xa0> ORCPT=utf-8;\xc3\xa0\r\n',
    ],
  },
  {
    name: 'lines that end otherwise end the session',
    lines: [
      'c NOOP\n',
      '= refuse bare_lf',
      'C 501 5.5.2 lines end with CR LF\r\n',
      '= close refused',
    ],
  },
  {
    name: 'long lines end the session',
    lines: [
      `c NOOP ${'x'.repeat(2050)}\r\n`,
      '= refuse line_too_long',
      'C 500 5.5.2 line too long\r\n',
      '= close refused',
    ],
  },
  {
    name: 'BDAT ends the session, since a message follows it',
    lines: [
      'c BDAT 5 LAST\r\n',
      '= refuse bdat_unadvertised',
      'C 502 5.5.1 command not implemented\r\n',
      '= close refused',
    ],
  },
  {
    name: 'who tries ten senders in vain is sent away',
    lines: [
      ...Array.from({ length: 9 }, () => ['c MAIL FROM:<>\r\n', ...denied]).flat(),
      'c MAIL FROM:<>\r\n',
      '= refuse sender_denied',
      '= refuse bad_commands',
      'C 421 4.7.0 too many bad commands\r\n',
      '= close refused',
    ],
  },
  {
    name: 'a bare LF in a message is mended, and is no end of it',
    lines: [
      ...data,
      'c a\n.\nMAIL FROM:<eve@example.net>\r\n.\nb\r\n.\r\n',
      'B a\r\n..\r\nMAIL FROM:<eve@example.net>\r\n..\r\nb\r\n.\r\n',
      ...ok,
    ],
  },
  {
    name: 'an empty message is one',
    lines: [...data, 'c .\r\n', 'B .\r\n', ...ok],
  },
  {
    name: 'of a message with a bare CR the back-end has no end',
    lines: [
      ...data,
      'c a\r\n',
      'B a\r\n',
      'c \r.\r\nMAIL FROM:<eve@example.net>\r\n',
      '= refuse bare_cr',
      '= cut',
      'c more\r\n.\r\nNOOP\r\n',
      'C 550 5.5.2 bare LF or CR in message\r\n',
      '= close refused',
    ],
  },
  {
    name: 'a message that is too big has no end, and its client is told so at its own',
    lines: [
      ...data,
      `c ${`${'x'.repeat(98)}\r\n`.repeat(10)}`,
      `B ${`${'x'.repeat(98)}\r\n`.repeat(10)}`,
      `c x\r\n`,
      '= refuse message_too_big',
      '= cut',
      'c .\r\n',
      'C 552 5.3.4 message too big\r\n',
      '= close refused',
    ],
  },
  {
    name: 'DATA that is refused leaves commands to be commands',
    lines: [
      'c DATA\r\n',
      'B DATA\r\n',
      'b 554 5.5.1 no valid recipients\r\n',
      'C 554 5.5.1 no valid recipients\r\n',
      'c MAIL FROM:<>\r\n',
      ...denied,
    ],
  },
  {
    name: 'a back-end that says goodbye is heard, also unasked',
    lines: ['b 421 4.3.2 bye\r\n', 'C 421 4.3.2 bye\r\n', '= close backend_closed'],
  },
  ...(
    [
      ['speaks unasked', [], '250 Ok'],
      ['answers twice', ['c NOOP\r\n', 'B NOOP\r\n', ...ok], '250 Ok'],
      ['asks for a message that nobody has', ['c NOOP\r\n', 'B NOOP\r\n'], '354 go on'],
      ['asks for another thing', ['c DATA\r\n', 'B DATA\r\n'], '334 go on'],
      ['judges a message before its end', [...data, 'c a\r\n', 'B a\r\n'], '250 Ok'],
      ['gives up within a message', [...data, 'c a\r\n', 'B a\r\n'], '421 bye'],
    ] as const
  ).map(([what, before, said]) => ({
    name: `a back-end that ${what} is left`,
    lines: [
      ...before,
      `b ${said}\r\n`,
      '= fault desync',
      '= cut',
      'C 421 4.3.0 lost the back-end, try again later\r\n',
      '= close backend_error',
    ],
  })),
  {
    name: 'a back-end that talks nonsense is left',
    lines: [
      'c NOOP\r\n',
      'B NOOP\r\n',
      'b what\r\n',
      '= fault bad_reply',
      '= cut',
      'C 421 4.3.0 lost the back-end, try again later\r\n',
      '= close backend_error',
    ],
  },
  {
    name: 'a back-end that leaves is told of',
    lines: [
      ...mail,
      '! lost',
      '= cut',
      'C 421 4.3.0 lost the back-end, try again later\r\n',
      '= close backend_closed',
    ],
  },
  { name: 'a shutdown ends it between commands', lines: [...mail, ...ok, '! stop', ...stopped] },
  {
    name: 'a shutdown ends it in a message',
    lines: [...data, 'c a\r\n', 'B a\r\n', '! stop', ...stopped],
  },
  {
    name: 'a message whose end was passed on is not taken back',
    lines: [...data, 'c .\r\n', 'B .\r\n', '! stop', ...stopped.slice(1)],
  },
  {
    name: 'silence ends it',
    lines: [
      '! silence',
      '= refuse idle_timeout',
      '= cut',
      'C 421 4.4.2 waited too long, closing\r\n',
      '= close refused',
    ],
  },
]

/** What came of actions, neighbours of one kind put together. */
function describe(actions: readonly CheckedAction[]): string[] {
  const told: string[] = []
  const add = (to: 'C' | 'B', text: string): void => {
    if (told.at(-1)?.startsWith(`${to} `) === true) told.push(`${told.pop()}${text}`)
    else told.push(`${to} ${text}`)
  }
  for (const action of actions) {
    if (action.do === 'say') add('C', action.text)
    else if (action.do === 'pass')
      add('B', Buffer.from(action.octets as string, 'latin1').toString('latin1'))
    else if (action.do === 'close') told.push(`= close ${action.end}`)
    else told.push(`= ${action.do}${'reason' in action ? ` ${action.reason}` : ''}`)
  }
  return told
}

function play(lines: readonly string[], cut: (bytes: Buffer) => readonly Buffer[]): void {
  const session = new CheckedSession(options)
  let index = 0
  while (index < lines.length) {
    const line = lines[index++] ?? ''
    const text = line.slice(2)
    const pieces = cut(Buffer.from(text, 'latin1'))
    const actions = {
      c: () => pieces.flatMap((piece) => session.fromClient(piece)),
      b: () => pieces.flatMap((piece) => session.fromBackend(piece)),
      '!': () => {
        if (text === 'stop') return session.shutDown()
        return text === 'lost' ? session.backendLost() : session.timedOut()
      },
    }[line[0] as 'c' | 'b' | '!']()
    const expected: string[] = []
    while (/^[CB=] /.test(lines[index] ?? '')) expected.push(lines[index++] ?? '')
    assert.deepEqual(describe(actions), expected, line)
  }
  if (lines.at(-1)?.startsWith('= close') !== true) return
  assert.deepEqual([...session.fromClient(Buffer.from('NOOP\r\n')), ...session.shutDown()], [])
}

for (const { name, lines } of dialogues) {
  test(name, () => {
    play(lines, (bytes) => [bytes])
    play(lines, (bytes) => Array.from(bytes, (byte) => Buffer.of(byte)))
  })
}

/** As lax as servers were: any of CR and LF ends a line, and a dot between two of them a message. */
class LaxBackEnd {
  readonly senders: string[] = []
  messages = 0
  received = ''
  #line = ''
  #isMessage = false

  /** What it says to these octets. */
  take(octets: string): string {
    let said = ''
    for (const octet of octets) {
      if (octet !== '\r' && octet !== '\n') this.#line += octet
      // An empty line is nothing: the LF of a CR LF is one.
      else if (this.#line !== '') {
        said += this.#answer(this.#line)
        this.#line = ''
      }
    }
    this.received += octets
    return said
  }

  #answer(text: string): string {
    const line = text.trim()
    if (this.#isMessage) {
      if (text !== '.') return ''
      this.#isMessage = false
      this.messages++
      return '250 queued\r\n'
    }
    const [, sender] = /^MAIL\s+FROM:\s*<?([^\s>]*)/i.exec(line) ?? []
    if (sender !== undefined) this.senders.push(sender)
    if (/^DATA/i.test(line)) {
      this.#isMessage = true
      return '354 go\r\n'
    }
    return /^QUIT/i.test(line) ? '221 bye\r\n' : '250 ok\r\n'
  }
}

/** A session from its beginning to its end, with a back-end that answers at once. */
function converse(chunks: readonly Buffer[]) {
  const session = new CheckedSession(options)
  const backend = new LaxBackEnd()
  let heard = ''
  let isCut = false
  const perform = (actions: readonly CheckedAction[]): void => {
    for (const action of actions) {
      if (action.do === 'say') heard += action.text
      else if (action.do === 'cut') isCut = true
      else if (action.do === 'pass' && !isCut) {
        const octets = Buffer.from(action.octets as string, 'latin1').toString('latin1')
        const said = backend.take(octets)
        if (said !== '') perform(session.fromBackend(Buffer.from(said)))
      }
    }
  }
  for (const chunk of chunks) perform(session.fromClient(chunk))
  return { heard, backend, isCut }
}

const pieces = fc.constantFrom(
  'MAIL FROM:<ann@example.com>\r\n',
  'MAIL FROM:<eve@example.net>\r\n',
  'MAIL FROM:<eve@example.net>',
  'MAIL FROM:<ann@example.com> ',
  'RCPT TO:<bob@example.net>\r\n',
  'DATA\r\n',
  'Subject: x\r\n',
  '.\r\n',
  '..\r\n',
  '\r\n',
  '\r\n.\r\n',
  '\n.\n',
  '\r.\r',
  '\n.\r\n',
  '\r\n.\n',
  '.',
  '\r',
  '\n',
  '\0',
  ' ',
  'x',
  'RSET\r\n',
  'EHLO x\r\n',
  'BDAT 9\r\n',
  'NOOP ',
)
const streams = fc
  .array(pieces, { maxLength: 30 })
  .map((texts) => Buffer.from(texts.join(''), 'latin1'))

test('whatever comes in whatever pieces, both sides get the same', () => {
  fc.assert(
    fc.property(streams, fc.array(fc.nat(200), { maxLength: 8 }), (bytes, places) => {
      const whole = converse([bytes])
      const ends = [...new Set(places.map((place) => place % (bytes.length + 1)))].sort(
        (a, b) => a - b,
      )
      const cuts = [...ends, bytes.length].map((end, index) =>
        bytes.subarray(ends[index - 1] ?? 0, end),
      )
      for (const chunks of [cuts, Array.from(bytes, (byte) => Buffer.of(byte))]) {
        const parts = converse(chunks)
        assert.equal(parts.heard, whole.heard)
        // Of a message that is cut off, more or less may have gone on.
        if (!whole.isCut) assert.equal(parts.backend.received, whole.backend.received)
        assert.equal(parts.backend.messages, whole.backend.messages)
        assert.match(parts.heard, /^(?:[2-5]\d\d[ -][ -~]*\r\n)*$/)
      }
    }),
    runs(500),
  )
})

test('the laxest of back-ends hears of no sender but the own', () => {
  fc.assert(
    fc.property(streams, (bytes) => {
      const { backend, heard } = converse([bytes])
      for (const sender of backend.senders) assert.equal(sender, 'ann@example.com')
      const queued = heard.split('250 queued').length - 1
      assert.equal(queued, backend.messages, 'it has heard of every message that there is')
    }),
    runs(3000),
  )
})
