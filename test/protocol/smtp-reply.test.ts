import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { cleanReply } from '../../src/protocol/smtp/clean-reply.ts'
import { type ReplyEvent, ReplyReader } from '../../src/protocol/smtp/reply-reader.ts'
import { formatDate, formatTrace, transmissionOf } from '../../src/protocol/smtp/trace.ts'

function read(...chunks: readonly string[]): ReplyEvent[] {
  const reader = new ReplyReader()
  return chunks.flatMap((chunk) => reader.push(Buffer.from(chunk, 'latin1')))
}

function fault(kind: string): ReplyEvent[] {
  return [{ kind: 'fault', fault: kind } as ReplyEvent]
}

const valid: readonly [text: string, code: number, lines: readonly string[]][] = [
  ['250 ok\r\n', 250, ['ok']],
  ['250-a\r\n250-b\r\n250 c\r\n', 250, ['a', 'b', 'c']],
  ['354\r\n', 354, ['']],
  ['220 \r\n', 220, ['']],
  ['571 5.7.1 no\r\n', 571, ['5.7.1 no']],
  ['250 ok\n', 250, ['ok']],
  ['250 \xfc\t\r\n', 250, ['\xfc\t']],
]

for (const [text, code, lines] of valid) {
  test(`${JSON.stringify(text)} is a reply`, () => {
    assert.deepEqual(read(text), [{ kind: 'reply', reply: { code, lines } }])
  })
}

const invalid: readonly [text: string, fault: string][] = [
  ['99x ok\r\n', 'bad_syntax'],
  ['199 ok\r\n', 'bad_syntax'],
  ['600 ok\r\n', 'bad_syntax'],
  ['25 ok\r\n', 'bad_syntax'],
  ['2500 ok\r\n', 'bad_syntax'],
  ['* OK IMAP4rev1\r\n', 'bad_syntax'],
  ['\r\n', 'bad_syntax'],
  ['250 a\0b\r\n', 'bad_syntax'],
  ['250 a\rb\r\n', 'bad_syntax'],
  ['250-a\r\n251 b\r\n', 'mixed_codes'],
  [`250 ${'x'.repeat(5000)}\r\n`, 'line_too_long'],
  [`250 ${'x'.repeat(5000)}`, 'line_too_long'],
  ['250-x\r\n'.repeat(200), 'too_many_lines'],
  [`250-${'x'.repeat(1000)}\r\n`.repeat(100), 'too_long'],
]

for (const [text, kind] of invalid) {
  test(`${JSON.stringify(text.slice(0, 20))} is a fault: ${kind}`, () => {
    assert.deepEqual(read(text), fault(kind))
    assert.deepEqual(read(...text.split('')), fault(kind))
    assert.deepEqual(read(text, '250 ok\r\n'), fault(kind), 'nothing is read after it')
  })
}

test('any chunking gives the same replies', () => {
  const text = '220 mx\r\n250-a\r\n250 b\r\n354\r\n250 2.0.0 ok\r\n451-4.3.0 x\r\n451 4.3.0 y\r\n'
  const expected = read(text)
  assert.equal(expected.length, 5)
  fc.assert(
    fc.property(fc.array(fc.nat(text.length)), (cuts) => {
      const at = [0, ...cuts.sort((a, b) => a - b), text.length]
      assert.deepEqual(
        read(...at.slice(1).map((end, index) => text.slice(at[index], end))),
        expected,
      )
    }),
  )
})

test('a banner of ten million octets costs no more than its limit', () => {
  const reader = new ReplyReader()
  const chunk = Buffer.alloc(65_536, 'x')
  const before = process.cpuUsage()
  for (let count = 0; count < 160; count++) reader.push(chunk)
  assert.ok(process.cpuUsage(before).user < 500_000)
})

const disguise = { names: ['fritz.example.com', '10.0.0.11', 'mx'], hostname: 'mx1.example.com' }

const cleaned: readonly [code: number, line: string, status: string, text: string][] = [
  [550, '5.1.1 no such user', '5.1.1', 'no such user'],
  [550, 'no such user', '5.0.0', 'no such user'],
  [550, '2.1.1 no such user', '5.0.0', 'no such user'],
  [250, '5.1.1 taken', '2.0.0', 'taken'],
  [452, '4.2.2 quota', '4.2.2', 'quota'],
  [550, '5.1', '5.0.0', '5.1'],
  [550, '5.1.1', '5.1.1', 'refused by the back-end'],
  [250, '', '2.0.0', 'ok'],
  [550, '5.1.1 a\x07b\xffc', '5.1.1', 'a b c'],
  [
    550,
    '5.7.1 FRITZ.example.com[10.0.0.11] says no',
    '5.7.1',
    'mx1.example.com[mx1.example.com] says no',
  ],
  [550, '5.7.1 <ann@notfritz.example.com>', '5.7.1', '<ann@notfritz.example.com>'],
  [550, '5.7.1 fritz.example.com.', '5.7.1', 'mx1.example.com.'],
]

for (const [code, line, status, text] of cleaned) {
  test(`${code} ${JSON.stringify(line)} is passed on as ${status} ${text}`, () => {
    assert.deepEqual(cleanReply({ code, lines: [line] }, disguise), { code, status, lines: [text] })
  })
}

test('a line that is passed on has at most 512 octets, a reply ten lines', () => {
  const { lines, code, status } = cleanReply(
    { code: 550, lines: Array(50).fill('x'.repeat(2000)) },
    disguise,
  )
  assert.equal(lines.length, 10)
  assert.equal(`${code} ${status} ${lines[0]}\r\n`.length, 512)
})

test('the status code of the first line that has one counts for all', () => {
  const { status, lines } = cleanReply({ code: 550, lines: ['5.2.2 a', '5.2.2 b', 'c'] }, disguise)
  assert.deepEqual([status, lines], ['5.2.2', ['a', 'b', 'c']])
})

test('the trace line says who, by whom, how and when', () => {
  const trace = {
    hello: 'client.example.net',
    clientAddress: '192.0.2.7',
    clientName: undefined,
    tls: undefined,
    recipient: undefined,
    hostname: 'mx.example.com',
    transmission: 'ESMTPS',
    id: '1-7',
    date: new Date(Date.UTC(2026, 10, 3, 4, 5, 6)),
  } as const
  assert.equal(
    formatTrace(trace),
    'Received: from client.example.net ([192.0.2.7])\r\n' +
      '\tby mx.example.com (mailmux) with ESMTPS id 1-7;\r\n' +
      '\tTue, 3 Nov 2026 04:05:06 +0000\r\n',
  )
  const tls = { version: 'TLSv1.3', cipher: 'TLS_AES_128_GCM_SHA256' }
  const full = { ...trace, clientName: 'client.example.net', tls, recipient: 'ann@example.com' }
  assert.equal(
    formatTrace(full),
    'Received: from client.example.net (client.example.net [192.0.2.7])\r\n' +
      '\tby mx.example.com (mailmux) with ESMTPS id 1-7\r\n' +
      '\t(using TLSv1.3 with cipher TLS_AES_128_GCM_SHA256)\r\n' +
      '\tfor <ann@example.com>;\r\n' +
      '\tTue, 3 Nov 2026 04:05:06 +0000\r\n',
  )
  // The line is ASCII, whatever a message may hold.
  assert.doesNotMatch(formatTrace({ ...full, recipient: 'b\u00fccher@example.com' }), /for/)
  assert.match(formatTrace({ ...trace, clientAddress: undefined }), / \(unknown\)\r\n/)
  assert.match(formatTrace({ ...trace, hello: 'x) evil (' }), /^Received: from unknown \(/)
  assert.match(formatTrace({ ...trace, clientAddress: '2001:db8::7' }), /\(\[IPv6:2001:db8::7\]\)/)
})

test('how a message came is said in the registered words', () => {
  const words = (['smtp', 'lmtp'] as const).flatMap((protocol) =>
    [false, true].flatMap((isSmtpUtf8) =>
      [false, true].map((secure) =>
        transmissionOf({ protocol, isExtended: true, isSmtpUtf8, secure }),
      ),
    ),
  )
  assert.deepEqual(words, [
    'ESMTP',
    'ESMTPS',
    'UTF8SMTP',
    'UTF8SMTPS',
    'LMTP',
    'LMTPS',
    'UTF8LMTP',
    'UTF8LMTPS',
  ])
  const plain = { protocol: 'smtp', isExtended: false, isSmtpUtf8: false, secure: false } as const
  assert.equal(transmissionOf(plain), 'SMTP')
})

test('dates are those of RFC 5322', () => {
  assert.equal(formatDate(new Date(0)), 'Thu, 1 Jan 1970 00:00:00 +0000')
})
