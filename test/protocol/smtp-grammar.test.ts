import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { parseCommand } from '../../src/protocol/smtp/grammar.ts'

const x64 = 'x'.repeat(64)

const paths: readonly [written: string, local: string, domain: string, wire: string][] = [
  ['<ann@example.com>', 'ann', 'example.com', 'ann@example.com'],
  ['<Ann+Lists@EXAMPLE.com.>', 'Ann+Lists', 'EXAMPLE.com.', 'Ann+Lists@EXAMPLE.com.'],
  ['<postmaster>', 'postmaster', '', 'postmaster'],
  ['<@a.example,@b.example:ann@c.example>', 'ann', 'c.example', 'ann@c.example'],
  ['<"john doe"@example.com>', 'john doe', 'example.com', '"john doe"@example.com'],
  [
    String.raw`<"a\"b\\c"@example.com>`,
    String.raw`a"b\c`,
    'example.com',
    String.raw`"a\"b\\c"@example.com`,
  ],
  ['<"a>b"@example.com>', 'a>b', 'example.com', '"a>b"@example.com'],
  ['<x%y.example@example.com>', 'x%y.example', 'example.com', 'x%y.example@example.com'],
  ['<y.example!x@example.com>', 'y.example!x', 'example.com', 'y.example!x@example.com'],
  ['<ann@[127.0.0.1]>', 'ann', '[127.0.0.1]', 'ann@[127.0.0.1]'],
  ['<ann@[IPv6:::1]>', 'ann', '[IPv6:::1]', 'ann@[IPv6:::1]'],
  [`<${x64}@example.com>`, x64, 'example.com', `${x64}@example.com`],
]

for (const [written, local, domain, wire] of paths) {
  test(`the recipient ${written.slice(0, 50)} is read`, () => {
    for (const line of [`RCPT TO:${written}`, `rcpt  to: ${written} `]) {
      assert.deepEqual(parseCommand(line), { verb: 'RCPT', path: { local, domain, wire } })
    }
  })
}

const badRecipients: readonly [written: string, code: number, status: string][] = [
  ['<>', 501, '5.1.3'],
  ['<@>', 501, '5.1.3'],
  ['<@example.com>', 501, '5.1.3'],
  ['<""@example.com>', 501, '5.1.3'],
  ['<" "@example.com>', 501, '5.1.3'],
  ['<.@example.com>', 501, '5.1.3'],
  ['<..@example.com>', 501, '5.1.3'],
  ['<a..b@example.com>', 501, '5.1.3'],
  ['<a.@example.com>', 501, '5.1.3'],
  ['<.a@example.com>', 501, '5.1.3'],
  ['<ann>', 501, '5.1.3'],
  ['<y.example!x>', 501, '5.1.3'],
  ['<x@y.example@example.com>', 501, '5.1.3'],
  ['<x@example.com@y.example>', 501, '5.1.3'],
  ['<x@example.com,y@y.example>', 501, '5.1.3'],
  ['<x@example.com>;y', 501, '5.1.3'],
  ['<x>y@example.com>', 501, '5.1.3'],
  ['<x@example.com >', 501, '5.1.3'],
  ['< x@example.com>', 501, '5.1.3'],
  ['<x@example.com', 501, '5.1.3'],
  ['<x@example..com>', 501, '5.1.3'],
  ['<x@-example.com>', 501, '5.1.3'],
  ['<x@[127.0.0.1>', 501, '5.1.3'],
  ['<x@[evil]>', 501, '5.1.3'],
  [`<x@${x64}.com>`, 501, '5.1.3'],
  [`<x@${'y.'.repeat(127)}com>`, 501, '5.1.3'],
  [`<${x64}x@example.com>`, 501, '5.1.3'],
  ['<"x@y.example"@example.com>', 553, '5.1.3'],
  ['<"x@y.example">', 553, '5.1.3'],
  ['<"x%y.example"@example.com>', 553, '5.1.3'],
  ['<@example.com:"x@y.example"@example.com>', 553, '5.1.3'],
  ['x@example.com', 501, '5.5.4'],
  ['<x@example.com> SIZE=1', 555, '5.5.4'],
]

for (const [written, code, status] of badRecipients) {
  test(`the recipient ${written.slice(0, 50)} is answered ${code} ${status}`, () => {
    const command = parseCommand(`RCPT TO:${written}`)
    assert.ok(command.verb === 'BAD')
    assert.deepEqual([command.refusal.code, command.refusal.status], [code, status])
  })
}

test('the null sender and its parameters are read', () => {
  const path = { local: '', domain: '', wire: '' }
  assert.deepEqual(parseCommand('MAIL FROM:<>'), {
    verb: 'MAIL',
    path,
    sizeBytes: undefined,
    body: undefined,
  })
  assert.deepEqual(parseCommand('MAIL FROM:<> BODY=8bitmime size=12345'), {
    verb: 'MAIL',
    path,
    sizeBytes: 12345,
    body: '8BITMIME',
  })
})

const badLines: readonly [line: string, code: number, status: string][] = [
  ['MAIL FROM:<ann>', 501, '5.1.7'],
  ['MAIL FROM:ann@example.com', 501, '5.5.4'],
  ['MAIL TO:<ann@example.com>', 501, '5.5.4'],
  ['MAIL', 501, '5.5.4'],
  ['MAIL FROM:<a@b> BODY=9BIT', 501, '5.5.4'],
  ['MAIL FROM:<a@b> BODY=BINARYMIME', 555, '5.5.4'],
  ['MAIL FROM:<a@b> BODY=7BIT BODY=7BIT', 501, '5.5.4'],
  ['MAIL FROM:<a@b> AUTH=<>', 555, '5.5.4'],
  ['MAIL FROM:<a@b> SMTPUTF8', 555, '5.5.4'],
  ['MAIL FROM:<a@b> SIZE=123456789012345678901', 501, '5.5.4'],
  ['STARTTLS x', 501, '5.5.4'],
  ['DATA x', 501, '5.5.4'],
  ['', 500, '5.5.2'],
  ['MAILFROM:<a@b>', 500, '5.5.2'],
  ['__proto__', 500, '5.5.2'],
  ['AUTH PLAIN', 502, '5.5.1'],
  ['NOOP \u007f', 501, '5.5.2'],
]

for (const [line, code, status] of badLines) {
  test(`${JSON.stringify(line)} is answered ${code} ${status}`, () => {
    const command = parseCommand(line)
    assert.ok(command.verb === 'BAD')
    assert.deepEqual([command.refusal.code, command.refusal.status], [code, status])
  })
}

test('what is read as a path can be sent on: no octet of it is a control, a bracket or 8-bit', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 40 }), (text) => {
      const command = parseCommand(`RCPT TO:<${text}>`)
      if (command.verb !== 'RCPT') return
      assert.match(command.path.wire, /^[ -~]+$/)
      if (!command.path.wire.startsWith('"')) assert.doesNotMatch(command.path.wire, /[<> ]/)
    }),
    { numRuns: 5000 },
  )
})

test('a line of blanks, dots or labels is read in linear time', () => {
  for (const line of [
    `RCPT TO:<${'a.'.repeat(1000)}@x>`,
    `RCPT TO:<x@${'a.'.repeat(1000)}-`,
    `RCPT TO:<${'@a,'.repeat(600)}`,
    `RCPT TO:<"${'\\a'.repeat(1000)}`,
    `MAIL FROM:<>${' '.repeat(2000)}x`,
    `NOOP${'\t '.repeat(1000)}`,
  ]) {
    const before = process.cpuUsage()
    for (let count = 0; count < 100; count++) parseCommand(line)
    const { user } = process.cpuUsage(before)
    assert.ok(user < 200_000, `${line.slice(0, 20)} took ${user} µs for 100`)
  }
})
