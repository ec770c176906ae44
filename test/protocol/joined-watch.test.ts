import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import * as fc from 'fast-check'
import { ImapWatch } from '../../src/protocol/imap/joined-watch.ts'
import type { JoinedWatch } from '../../src/protocol/joined-watch.ts'
import { Pop3Watch } from '../../src/protocol/pop3/joined-watch.ts'
import { SieveWatch } from '../../src/protocol/sieve/joined-watch.ts'
import { SubmissionWatch } from '../../src/protocol/smtp/joined-watch.ts'
import { runs } from '../support/runs.ts'

/** Passes text on from a larger buffer, as a pump does, whose rest is not to be looked at. */
function pass(watch: JoinedWatch, text: string): void {
  const bytes = Buffer.from(`${text}}\r\n{7}\r\n`, 'latin1')
  watch.fromBackEnd(bytes, text.length)
}

function cutAt(text: string, sizes: readonly number[]): string[] {
  const chunks: string[] = []
  let at = 0
  for (const size of [...sizes, text.length]) {
    if (at < text.length && size > 0) chunks.push(text.slice(at, at + size))
    at += size
  }
  return chunks
}

/** A response as parts: text of its lines, and literals. */
const words = fc.string({
  unit: fc.constantFrom('a', ' ', '{', '}', '3', '+', ')', '"'),
  maxLength: 40,
})
const literal = fc.string({ unit: fc.constantFrom('\r', '\n', '}', '{', '9', 'x'), maxLength: 60 })
const response = fc.record({
  parts: fc.array(fc.record({ before: words, octets: literal }), { maxLength: 3 }),
  // What ends a line must not look like an announcement.
  last: words.map((text) => `${text}.`),
})

test('IMAP: a boundary is where a response has ended, wherever its bytes are cut', () => {
  const sizes = fc.array(fc.integer({ min: 1, max: 50 }), { maxLength: 60 })
  fc.assert(
    fc.property(fc.array(response, { maxLength: 6 }), sizes, (responses, cuts) => {
      const ends = new Set([0])
      let text = ''
      for (const { parts, last } of responses) {
        for (const { before, octets } of parts) text += `${before}{${octets.length}}\r\n${octets}`
        text += `${last}\r\n`
        ends.add(text.length)
      }
      const watch = new ImapWatch()
      let at = 0
      for (const chunk of cutAt(text, cuts)) {
        pass(watch, chunk)
        at += chunk.length
        assert.equal(watch.isAtBoundary, ends.has(at), JSON.stringify(text.slice(0, at)))
      }
    }),
    runs(3000),
  )
})

test('IMAP: byte by byte, and at every two cuts, it is the same', () => {
  const text = '* 1 FETCH (BODY[] {12}\r\n}\r\n{3}\r\nab\r\n FLAGS ())\r\n* OK {x}\r\na OK done\r\n'
  const ends = new Set([0, text.indexOf('* OK'), text.indexOf('a OK'), text.length])
  for (let first = 0; first <= text.length; first++) {
    for (let second = first; second <= text.length; second++) {
      const watch = new ImapWatch()
      for (const chunk of [text.slice(0, first), text.slice(first, second)]) {
        if (chunk !== '') pass(watch, chunk)
      }
      assert.equal(watch.isAtBoundary, ends.has(second), `${first} ${second}`)
    }
  }
})

test('IMAP: a literal of four gigabytes is waited for, whatever it looks like', () => {
  const watch = new ImapWatch()
  pass(watch, '* 1 FETCH (BODY[] {4294967295}\r\n')
  for (let n = 0; n < 50; n++) pass(watch, 'a OK done\r\n')
  assert.equal(watch.isAtBoundary, false)
})

test('IMAP: from the moment in which a client asks for compression, no place is known', () => {
  const asked = 'a COMPRESS DEFLATE\r\n'
  for (let cut = 0; cut < asked.length; cut++) {
    for (const text of [asked, asked.toLowerCase()]) {
      const watch = new ImapWatch()
      watch.fromClient(Buffer.from(`${'x'.repeat(500)}\r\n${text.slice(0, cut)}`))
      assert.equal(watch.isAtBoundary, true)
      watch.fromClient(Buffer.from(text.slice(cut)))
      pass(watch, 'a OK active\r\n')
      assert.equal(watch.isAtBoundary, false, `cut at ${cut}`)
    }
  }
  const other = new ImapWatch()
  for (const text of ['a NOOP\r\n', 'b APPEND x {20}\r\n']) other.fromClient(Buffer.from(text))
  other.fromClient(Buffer.from(`compress${' '.repeat(60)}\r\n`))
  assert.equal(other.isAtBoundary, true)
})

test('ManageSieve: a script is a literal, and a quoted string is none', () => {
  const watch = new SieveWatch()
  pass(watch, '{18}\r\nkeep;\r\nOK\r\n')
  assert.equal(watch.isAtBoundary, false)
  pass(watch, 'stop;\r\n\r\n')
  assert.equal(watch.isAtBoundary, true)
  pass(watch, '"a {4}"\r\nOK "done"\r\n')
  assert.equal(watch.isAtBoundary, true)
})

/** What a POP3 client says, and the whole answer. */
const turns = [
  ['STAT', '+OK 2 320\r\n'],
  ['RETR 1', '+OK\r\nSubject: x\r\n\r\n..a dot\r\n.\r\n'],
  ['RETR 9', '-ERR no such message\r\n'],
  ['LIST', '+OK\r\n.\r\n'],
  ['LIST 1', '+OK 1 120\r\n'],
  ['UIDL', '+OK\r\n1 a\r\n2 b\r\n.\r\n'],
  ['uidl 1', '+OK 1 a\r\n'],
  ['TOP 1 0', '+OK\r\nSubject: x\r\n\r\n.\r\n'],
  ['CAPA', '+OK\r\nTOP\r\n.\r\n'],
  ['DELE 1', '+OK\r\n'],
  ['NOOP', '+OK\r\n'],
  ['XTND SCAN', '-ERR what is that\r\n'],
] as const

test('POP3: a boundary is where an answer has ended, pipelined and however it is cut', () => {
  const talk = fc.array(fc.constantFrom(...turns), { minLength: 1, maxLength: 8 })
  const sizes = fc.array(fc.integer({ min: 1, max: 20 }), { maxLength: 60 })
  fc.assert(
    fc.property(talk, sizes, sizes, (dialogue, asked, cuts) => {
      const watch = new Pop3Watch()
      const commands = dialogue.map(([command]) => `${command}\r\n`).join('')
      for (const chunk of cutAt(commands, asked)) watch.fromClient(Buffer.from(chunk))
      const ends = new Set([0])
      let text = ''
      for (const [, answer] of dialogue) ends.add((text += answer).length)
      let at = 0
      for (const chunk of cutAt(text, cuts)) {
        pass(watch, chunk)
        at += chunk.length
        assert.equal(watch.isAtBoundary, ends.has(at), JSON.stringify(text.slice(0, at)))
      }
    }),
    runs(2000),
  )
})

test('POP3: after what it does not know, it knows no place any more', () => {
  for (const command of ['XTND XMIT', 'AUTH PLAIN', '', 'x'.repeat(5000)]) {
    const watch = new Pop3Watch()
    watch.fromClient(Buffer.from(`${command}\r\n`))
    pass(watch, '+OK\r\n')
    watch.fromClient(Buffer.from('NOOP\r\n'))
    pass(watch, '+OK\r\n')
    assert.equal(watch.isAtBoundary, false, command)
  }
  const surprised = new Pop3Watch()
  pass(surprised, '+OK nobody asked\r\n')
  assert.equal(surprised.isAtBoundary, false)
})

test('submission: a boundary is where the last command has its whole reply, however it is cut', () => {
  const reply = fc.constantFrom(
    '250 ok\r\n',
    '250-a\r\n250-b\r\n250 c\r\n',
    '354\r\n',
    '421-x\r\n421 y\r\n',
  )
  const sizes = fc.array(fc.integer({ min: 1, max: 9 }), { maxLength: 20 })
  fc.assert(
    fc.property(fc.array(reply, { minLength: 1, maxLength: 4 }), sizes, (replies, cuts) => {
      const watch = new SubmissionWatch()
      assert.equal(watch.isAtBoundary, true)
      for (const answer of replies) {
        watch.fromClient(Buffer.from('NOOP\r\n'))
        let left = answer.length
        for (const chunk of cutAt(answer, cuts)) {
          assert.equal(watch.isAtBoundary, false)
          pass(watch, chunk)
          left -= chunk.length
          assert.equal(watch.isAtBoundary, left === 0, answer)
        }
      }
    }),
  )
})

test('a client leaves by its last command, until it says something else', () => {
  const leaving = [
    [new ImapWatch(), 'a1 LOGOUT\r\n'],
    [new ImapWatch(), 'a1 FETCH 1 FLAGS\r\na2 logout\r\n'],
    [new SieveWatch(), 'Logout\r\n'],
    [new Pop3Watch(), 'DELE 1\r\nQUIT\r\n'],
    [new SubmissionWatch(), 'quit\r\n'],
  ] as const
  for (const [watch, text] of leaving) {
    assert.equal(watch.isLeaving, false)
    watch.fromClient(Buffer.from(text))
    assert.equal(watch.isLeaving, true, text)
    watch.fromClient(Buffer.from('NOOP\r\n'))
    assert.equal(watch.isLeaving, false)
  }
  for (const text of ['', '\r\n', 'a1 LOGOUT', 'a1 LOGOUT\n', 'a1 LOGOUT \r\n', 'OGOUT\r\n']) {
    const watch = new ImapWatch()
    watch.fromClient(Buffer.from(text))
    assert.equal(watch.isLeaving, false, JSON.stringify(text))
  }
})

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

test('of lines without an end, of either side, nothing is kept that grows', () => {
  const block = Buffer.alloc(65_536, 'a{1 ')
  const watches = [new ImapWatch(), new Pop3Watch(), new SieveWatch(), new SubmissionWatch()]
  for (const watch of watches) {
    watch.fromClient(Buffer.from('RETR 1\r\n'))
    watch.fromBackEnd(Buffer.from('+OK '), 4)
    collect()
    const before = process.memoryUsage().heapUsed
    // A hundred MiB from the back-end, and as much from the client.
    for (let count = 0; count < 1_600; count++) {
      watch.fromBackEnd(block, block.length)
      watch.fromClient(block)
    }
    assert.equal(watch.isAtBoundary, false)
    collect()
    const grown = process.memoryUsage().heapUsed - before
    assert.ok(grown < 1024 * 1024, `${watch.constructor.name}: ${grown} bytes`)
  }
})

test('a farewell is one line that names what is to be done', () => {
  const watches = [new ImapWatch(), new Pop3Watch(), new SieveWatch(), new SubmissionWatch()]
  const kicked = watches.map((watch) => watch.farewell('kicked'))
  assert.match(kicked[0] ?? '', /^\* BYE \[UNAVAILABLE\] [ -~]+\r\n$/)
  assert.match(kicked[1] ?? '', /^-ERR \[SYS\/TEMP\] [ -~]+\r\n$/)
  assert.match(kicked[2] ?? '', /^BYE \(TRYLATER\) "[ -~]+"\r\n$/)
  assert.match(kicked[3] ?? '', /^421 4\.3\.2 [ -~]+\r\n$/)
  for (const watch of watches) assert.notEqual(watch.farewell('shutdown'), watch.farewell('kicked'))
})

test('IMAP: announcements that no server should write are taken alike wherever they are cut', () => {
  const texts = [
    '* X {5}\n{9}\r\nab\r\n',
    ...[17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 40].map(
      (zeros) => `* X {${'0'.repeat(zeros)}3}\r\n`,
    ),
  ]
  for (const text of texts) {
    for (let at = 0; at < text.length; at++) {
      for (let then = at; then < text.length; then++) {
        const watch = new ImapWatch()
        for (const part of [text.slice(0, at), text.slice(at, then), text.slice(then)]) {
          pass(watch, part)
        }
        assert.equal(watch.isAtBoundary, false, JSON.stringify([text, at, then]))
      }
    }
  }
})
