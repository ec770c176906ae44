import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import {
  type Command,
  type Dialect,
  parseCommand as parse,
} from '../../src/protocol/smtp/grammar.ts'
import { runs } from '../support/runs.ts'

const all: Dialect = {
  protocol: 'smtp',
  offers: { limitBytes: 1000, eightBitMime: true, smtpUtf8: true, dsn: true },
}
const least: Dialect = {
  protocol: 'smtp',
  offers: { limitBytes: 1000, eightBitMime: false, smtpUtf8: false, dsn: false },
}

/** `line` as a client sends it, in UTF-8. */
function parseCommand(line: string, dialect = all): Command {
  return parse(Buffer.from(line).toString('latin1'), dialect)
}

const x64 = 'x'.repeat(64)

const nothingAsked = { notify: undefined, originalRecipient: undefined }

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
      assert.deepEqual(parseCommand(line), {
        verb: 'RCPT',
        path: { local, domain, wire },
        ...nothingAsked,
      })
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

const plain = { smtpUtf8: false, ret: undefined, envelopeId: undefined }

test('the null sender and its parameters are read', () => {
  const path = { local: '', domain: '', wire: '' }
  assert.deepEqual(parseCommand('MAIL FROM:<>'), {
    verb: 'MAIL',
    path,
    sizeBytes: undefined,
    body: undefined,
    ...plain,
  })
  assert.deepEqual(parseCommand('MAIL FROM:<> BODY=8bitmime size=12345'), {
    verb: 'MAIL',
    path,
    sizeBytes: 12345,
    body: '8BITMIME',
    ...plain,
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

for (const [what, dialect, wire] of [
  ['a control, a bracket or 8-bit', least, /^[ -~]+$/],
  ['a control or a bracket, where SMTPUTF8 is offered', all, /^[ -~\u{a0}-\u{10ffff}]+$/u],
] as const) {
  test(`what is read as a path can be sent on: no octet of it is ${what}`, () => {
    const unit = fc.oneof(
      fc.constantFrom('a', '@', '"', '.', '<', '>', '\\', ' '),
      fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }),
    )
    fc.assert(
      fc.property(fc.string({ unit, maxLength: 40 }), (text) => {
        const command = parseCommand(`RCPT TO:<${text}>`, dialect)
        if (command.verb !== 'RCPT') return
        assert.match(command.path.wire, wire)
        if (!command.path.wire.startsWith('"')) assert.doesNotMatch(command.path.wire, /[<> ]/)
      }),
      runs(5000),
    )
  })
}

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

const wide: readonly [written: string, local: string, domain: string][] = [
  ['<中@例.example>', '中', '例.example'],
  ['<"中 x"@example.com>', '中 x', 'example.com'],
  ['<Ünï@BÜCHER.example>', 'Ünï', 'BÜCHER.example'],
  // E11: other characters than they look like, and nothing else.
  ['<ann＠x@example.com>', 'ann＠x', 'example.com'],
  ['<ﬁn@example.com>', 'ﬁn', 'example.com'],
  ['<a\u200db@example.com>', 'a\u200db', 'example.com'],
]

for (const [written, local, domain] of wide) {
  test(`the recipient ${written} is read where SMTPUTF8 is offered`, () => {
    const wire = written.slice(1, -1)
    const expected = { verb: 'RCPT', path: { local, domain, wire }, ...nothingAsked }
    assert.deepEqual(parseCommand(`RCPT TO:${written}`), expected)
    const refused = parseCommand(`RCPT TO:${written}`, least)
    assert.ok(refused.verb === 'BAD' && refused.reason === 'ctl_in_command')
  })
}

test('what is no UTF-8, or a control beyond ASCII, is no address', () => {
  const octets = [
    '\xff\xfe@example.com',
    '\xc0\x80@example.com',
    '\xed\xa0\x80@example.com',
    'a\xe4@b',
  ]
  for (const text of octets) {
    const command = parse(`RCPT TO:<${text}>`, all)
    assert.ok(command.verb === 'BAD' && command.refusal.code === 501, text)
    assert.equal(command.reason, 'ctl_in_command')
  }
  for (const text of ['a\u0085b', 'a\u2028b', 'a\u009b']) {
    const command = parseCommand(`RCPT TO:<${text}@example.com>`)
    assert.ok(command.verb === 'BAD' && command.reason === 'ctl_in_command', JSON.stringify(text))
  }
  const long = parseCommand(`RCPT TO:<${'中'.repeat(22)}@example.com>`)
  assert.ok(long.verb === 'BAD', 'a local part is bounded in octets')
})

test('no command but MAIL and RCPT takes octets beyond ASCII', () => {
  for (const line of ['NOOP ü', 'EHLO ü', 'VRFY ü', 'XCLIENT NAME=ü', 'MAILü'])
    assert.ok(parseCommand(line).verb === 'BAD', line)
})

const asked: readonly [line: string, parameters: object][] = [
  ['MAIL FROM:<> SMTPUTF8 BODY=8BITMIME', { smtpUtf8: true, body: '8BITMIME' }],
  ['MAIL FROM:<> ret=hdrs ENVID=QQ+2B1', { ret: 'HDRS', envelopeId: 'QQ+2B1' }],
  [`MAIL FROM:<> ENVID=${'x'.repeat(100)}`, { envelopeId: 'x'.repeat(100) }],
  ['RCPT TO:<a@b> NOTIFY=never', { notify: ['NEVER'] }],
  ['RCPT TO:<a@b> NOTIFY=DELAY,Success', { notify: ['DELAY', 'SUCCESS'] }],
  ['RCPT TO:<a@b> ORCPT=rfc822;a+2Bb@x', { originalRecipient: 'rfc822;a+2Bb@x' }],
  ['RCPT TO:<a@b> ORCPT=UTF-8;a\\x{4E2D}@x', { originalRecipient: 'UTF-8;a\\x{4E2D}@x' }],
  ['RCPT TO:<a@b> ORCPT=utf-8;中@x', { originalRecipient: 'utf-8;中@x' }],
]

for (const [line, parameters] of asked) {
  test(`${line.slice(0, 60)} is read`, () => {
    const command = parseCommand(line)
    assert.ok(command.verb === 'MAIL' || command.verb === 'RCPT', JSON.stringify(command))
    for (const [name, value] of Object.entries(parameters)) {
      assert.deepEqual(Reflect.get(command, name), value)
    }
  })
}

const notAsked: readonly [line: string, code: number][] = [
  ['MAIL FROM:<> ENVID=', 501],
  ['MAIL FROM:<> ENVID', 501],
  ['MAIL FROM:<> ENVID=a=b', 501],
  ['MAIL FROM:<> ENVID=q+00', 501],
  ['MAIL FROM:<> ENVID=q+7F', 501],
  ['MAIL FROM:<> ENVID=q+2b', 501],
  ['MAIL FROM:<> ENVID=q+2', 501],
  [`MAIL FROM:<> ENVID=${'x'.repeat(101)}`, 501],
  ['MAIL FROM:<> RET=', 501],
  ['MAIL FROM:<> RET=HEADERS', 501],
  ['MAIL FROM:<> SMTPUTF8=1', 501],
  ['MAIL FROM:<> SMTPUTF8 SMTPUTF8', 501],
  ['MAIL FROM:<> SIZE=-1', 501],
  ['MAIL FROM:<> SIZE=1e9', 501],
  ['MAIL FROM:<> SIZE=', 501],
  ['MAIL FROM:<> NOTIFY=NEVER', 555],
  ['MAIL FROM:<> __proto__=1', 555],
  ['RCPT TO:<a@b> NOTIFY=', 501],
  ['RCPT TO:<a@b> NOTIFY=NEVER,DELAY', 501],
  ['RCPT TO:<a@b> NOTIFY=DELAY,DELAY', 501],
  ['RCPT TO:<a@b> NOTIFY=DELAY,', 501],
  ['RCPT TO:<a@b> ORCPT=rfc822', 501],
  ['RCPT TO:<a@b> ORCPT=rfc822;', 501],
  ['RCPT TO:<a@b> ORCPT=;a', 501],
  ['RCPT TO:<a@b> ORCPT=rfc822;中', 501],
  ['RCPT TO:<a@b> ORCPT=utf-8;a\\b', 501],
  ['RCPT TO:<a@b> ORCPT=utf-8;a+2Bb', 501],
  [`RCPT TO:<a@b> ORCPT=rfc822;${'x'.repeat(494)}`, 501],
  ['RCPT TO:<a@b> RET=FULL', 555],
]

for (const [line, code] of notAsked) {
  test(`${line.slice(0, 60)} is answered ${code} 5.5.4`, () => {
    const command = parseCommand(line)
    assert.ok(command.verb === 'BAD', JSON.stringify(command))
    assert.deepEqual([command.refusal.code, command.refusal.status], [code, '5.5.4'])
  })
}
