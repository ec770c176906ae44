import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { SmtpBackEnd } from '../../src/protocol/smtp/back-end.ts'
import type { BackEndAction, BackEndOptions } from '../../src/protocol/smtp/back-end-action.ts'
import type { Sender } from '../../src/protocol/smtp/capabilities.ts'
import { runs } from '../support/runs.ts'

const bob: Sender = {
  path: 'bob@example.net',
  sizeBytes: 100,
  body: '8BITMIME',
  smtpUtf8: false,
  ret: undefined,
  envelopeId: undefined,
}
const greeting = '220 fritz.example.com ESMTP\r\n'
const hello = '250-fritz.example.com\r\n250-PIPELINING\r\n250-SIZE 1000\r\n250 8BITMIME\r\n'

/** What a machine asked for, in short: what it sent, and what it told. */
function brief(actions: readonly BackEndAction[]): string[] {
  return actions.map((action) => {
    switch (action.do) {
      case 'send':
        return action.text
      case 'recipient':
      case 'data':
        return `${action.do} ${action.reply.code} ${action.reply.lines.join('|')}`
      case 'message':
        return `message ${action.replies.map(({ code }) => code).join(',')}`
      case 'fail':
        return `fail ${action.step} ${action.reason}${action.isShutdown ? ' shutdown' : ''}`
      default:
        return action.do
    }
  })
}

class Talk {
  readonly machine: SmtpBackEnd

  constructor(options: Partial<BackEndOptions> = {}) {
    this.machine = new SmtpBackEnd({
      protocol: 'smtp',
      hostname: 'mx.example.com',
      startTls: false,
      client: undefined,
      ...options,
    })
  }

  hear(text: string): string[] {
    return brief(this.machine.push(Buffer.from(text, 'latin1')))
  }

  open(capabilities = hello): this {
    this.hear(greeting)
    this.hear(capabilities)
    return this
  }

  ask(...recipients: readonly string[]): string[] {
    const actions = this.machine.begin(bob)
    return brief([...actions, ...recipients.flatMap((address) => this.machine.recipient(address))])
  }
}

test('a back-end is greeted, and requests made before that go out as one piece', () => {
  const talk = new Talk()
  assert.deepEqual(talk.ask('ann@example.com'), [])
  assert.deepEqual(brief(talk.machine.data()), [])
  assert.deepEqual(talk.hear(greeting), ['EHLO mx.example.com\r\n'])
  assert.deepEqual(talk.hear(hello), [
    'ready',
    'MAIL FROM:<bob@example.net> SIZE=100 BODY=8BITMIME\r\nRCPT TO:<ann@example.com>\r\nDATA\r\n',
  ])
  assert.deepEqual(talk.hear('250 2.1.0 ok\r\n250 2.1.5 ok\r\n354 go\r\n'), [
    'recipient 250 2.1.5 ok',
    'data 354 go',
  ])
  assert.deepEqual(brief(talk.machine.endOfData()), ['.\r\n'])
  assert.deepEqual(talk.hear('250 2.0.0 queued\r\n'), ['message 250'])
  assert.equal(talk.machine.isIdle, true)
})

test('a second transaction begins with RSET, in the same piece', () => {
  const talk = new Talk().open()
  talk.ask('ann@example.com')
  talk.hear('250 ok\r\n550 no\r\n')
  assert.deepEqual(talk.ask('eve@example.com'), [
    'RSET\r\nMAIL FROM:<bob@example.net> SIZE=100 BODY=8BITMIME\r\nRCPT TO:<eve@example.com>\r\n',
  ])
  assert.deepEqual(talk.hear('250 ok\r\n250 ok\r\n250 ok\r\n'), ['recipient 250 ok'])
})

test('a RSET that fails ends the connection', () => {
  const talk = new Talk().open()
  talk.ask('ann@example.com')
  talk.hear('250 ok\r\n550 no\r\n')
  talk.ask('eve@example.com')
  assert.deepEqual(talk.hear('502 no\r\n'), ['fail envelope bad_reply'])
})

test('without 8BITMIME a message that needs it is refused before MAIL', () => {
  const talk = new Talk().open('250-fritz\r\n250 PIPELINING\r\n')
  assert.match(talk.ask('ann@example.com').join(), /^recipient 554 5\.6\.3 /)
  assert.match(brief(talk.machine.data()).join(), /^data 554 5\.5\.1 /)
  assert.equal(talk.machine.isIdle, true)
})

test('without PIPELINING commands go out one by one', () => {
  const talk = new Talk().open('250-fritz\r\n250 8BITMIME\r\n')
  assert.deepEqual(talk.ask('ann@example.com', 'eve@example.com'), [
    'MAIL FROM:<bob@example.net> BODY=8BITMIME\r\n',
  ])
  brief(talk.machine.data())
  assert.deepEqual(talk.hear('250 ok\r\n'), ['RCPT TO:<ann@example.com>\r\n'])
  assert.deepEqual(talk.hear('250 a\r\n'), ['recipient 250 a', 'RCPT TO:<eve@example.com>\r\n'])
  assert.deepEqual(talk.hear('550 b\r\n'), ['recipient 550 b', 'DATA\r\n'])
  assert.deepEqual(talk.hear('354\r\n'), ['data 354 '])
})

test('an old back-end is greeted with HELO', () => {
  const talk = new Talk()
  talk.hear(greeting)
  assert.deepEqual(talk.hear('502 what\r\n'), ['HELO mx.example.com\r\n'])
  assert.deepEqual(talk.hear('250 fritz\r\n'), ['ready'])
})

test('a refusal of MAIL is the answer to every recipient', () => {
  const talk = new Talk().open()
  talk.ask('ann@example.com', 'eve@example.com')
  brief(talk.machine.data())
  assert.deepEqual(talk.hear('451 4.7.1 later\r\n503 no\r\n503 no\r\n503 no\r\n'), [
    'recipient 451 4.7.1 later',
    'recipient 451 4.7.1 later',
    'data 503 no',
  ])
  assert.equal(talk.machine.isIdle, true)
})

test('LMTP answers once for each accepted recipient', () => {
  const talk = new Talk({ protocol: 'lmtp' })
  assert.deepEqual(talk.hear(greeting), ['LHLO mx.example.com\r\n'])
  talk.hear(hello)
  talk.ask('a@example.com', 'b@example.com', 'c@example.com')
  brief(talk.machine.data())
  talk.hear('250 ok\r\n250 ok\r\n550 no\r\n250 ok\r\n354 go\r\n')
  talk.machine.endOfData()
  assert.deepEqual(talk.hear('250 a\r\n'), [])
  assert.deepEqual(talk.hear('452 c\r\n'), ['message 250,452'])
})

test('STARTTLS comes before anything else, and what was offered before it is forgotten', () => {
  const talk = new Talk({ startTls: true })
  talk.ask('ann@example.com')
  talk.hear(greeting)
  assert.deepEqual(talk.hear('250-fritz\r\n250-PIPELINING\r\n250 STARTTLS\r\n'), ['STARTTLS\r\n'])
  assert.deepEqual(talk.hear('220 go\r\n'), ['start-tls'])
  assert.deepEqual(brief(talk.machine.tlsStarted()), ['EHLO mx.example.com\r\n'])
  assert.deepEqual(talk.hear('250-fritz\r\n250 8BITMIME\r\n'), [
    'ready',
    'MAIL FROM:<bob@example.net> BODY=8BITMIME\r\n',
  ])
})

const untrusted: readonly [what: string, says: readonly string[], told: string][] = [
  ['STARTTLS is not offered', ['250 fritz\r\n'], 'fail hello tls_unavailable'],
  ['EHLO is not known', ['502 what\r\n'], 'fail hello tls_unavailable'],
  ['STARTTLS is refused', ['250-f\r\n250 STARTTLS\r\n', '454 no\r\n'], 'fail tls tls_unavailable'],
  [
    'a reply follows the one to STARTTLS',
    ['250-f\r\n250 STARTTLS\r\n', '220 go\r\n250 evil\r\n'],
    'fail tls starttls_surplus',
  ],
  [
    'octets follow the reply to STARTTLS',
    ['250-f\r\n250 STARTTLS\r\n', '220 go\r\n2'],
    'fail tls starttls_surplus',
  ],
]

for (const [what, says, told] of untrusted) {
  test(`where ${what}, nothing is said in plain text`, () => {
    const talk = new Talk({ startTls: true })
    talk.ask('ann@example.com')
    const heard = [greeting, ...says].flatMap((text) => talk.hear(text))
    assert.equal(heard.at(-1), told)
    assert.doesNotMatch(heard.join(), /MAIL|RCPT|start-tls,fail/)
  })
}

const hostile: readonly [what: string, says: string, told: string][] = [
  ['a greeting of 554', '554 no\r\n', 'fail greeting bad_banner'],
  ['a greeting of 421', '421 busy\r\n', 'fail greeting bad_banner'],
  ['a greeting of IMAP', '* OK hi\r\n', 'fail greeting bad_banner'],
  ['an endless greeting', '220-x\r\n'.repeat(1000), 'fail greeting bad_banner'],
  ['an answer to EHLO along with the greeting', `${greeting}${hello}`, 'fail hello desync'],
]

for (const [what, says, told] of hostile) {
  test(`${what} ends the connection`, () => {
    const talk = new Talk()
    assert.equal(talk.hear(says).at(-1), told)
    assert.deepEqual(talk.hear('250 ok\r\n'), [], 'nothing follows a failure')
  })
}

test('a reply nobody asked for ends the connection', () => {
  assert.deepEqual(new Talk().open().hear('250 what\r\n'), ['fail envelope desync'])
  assert.deepEqual(new Talk().open().hear('421 bye\r\n'), ['fail envelope closed shutdown'])
})

test('a reply that comes along with another is not taken for that to the next command', () => {
  const plain = '250-fritz\r\n250 8BITMIME\r\n'
  for (const [before, surplus] of [
    [[], '250 one\r\n250 two\r\n'],
    [['250 ok\r\n'], '250 one\r\n250 two\r\n'],
    [['250 ok\r\n', '250 ok\r\n'], '250 one\r\n354 go\r\n'],
  ] as const) {
    const talk = new Talk().open(plain)
    talk.ask('ann@example.com', 'eve@example.com')
    talk.machine.data()
    for (const text of before) talk.hear(text)
    assert.match(talk.hear(surplus).at(-1) ?? '', /^fail \w+ desync$/, surplus)
  }
  // A farewell is none: it may come at any time.
  const leaving = new Talk().open(plain)
  leaving.ask('ann@example.com')
  assert.equal(leaving.hear('250 one\r\n421 bye\r\n').at(-1), 'fail envelope closed shutdown')
})

function inMessage(): Talk {
  const talk = new Talk().open()
  talk.ask('ann@example.com')
  talk.machine.data()
  talk.hear('250 ok\r\n250 ok\r\n354 go\r\n')
  return talk
}

test('a reply before the end of data is never taken for the verdict', () => {
  assert.deepEqual(inMessage().hear('250 ok\r\n'), ['fail data desync'])
  assert.deepEqual(inMessage().hear('354 again\r\n'), ['fail data desync'])
  assert.deepEqual(inMessage().hear('421 bye\r\n'), ['fail data closed shutdown'])
})

test('a verdict counts, whatever follows it', () => {
  const talk = inMessage()
  talk.machine.endOfData()
  assert.deepEqual(talk.hear('250 ok\r\n250 surplus\r\n'), ['message 250', 'fail envelope desync'])
})

test('DATA is taken with 354 and nothing else, and only with a recipient', () => {
  const talk = new Talk().open()
  talk.ask('ann@example.com')
  talk.machine.data()
  assert.equal(talk.hear('250 ok\r\n250 ok\r\n250 ok\r\n').at(-1), 'fail data desync')
  const other = new Talk().open()
  other.ask('ann@example.com')
  other.machine.data()
  assert.match(other.hear('250 ok\r\n550 no\r\n354 go\r\n').at(-1) ?? '', /^fail \w+ desync$/)
})

test('the end of data is sent after a 354 only', () => {
  const talk = new Talk().open()
  talk.ask('ann@example.com')
  assert.deepEqual(talk.machine.endOfData(), [])
})

test('421 in reply to a command is told as a shutdown', () => {
  const talk = new Talk().open()
  talk.ask('ann@example.com')
  assert.deepEqual(talk.hear('250 ok\r\n421 going\r\n'), ['fail envelope closed shutdown'])
})

test('no octets of a back-end can make it throw or send an end of data', () => {
  const words = [
    greeting,
    hello,
    '250 ok\r\n',
    '354 go\r\n',
    '550 no\r\n',
    '421 x\r\n',
    '220 x\r\n',
    '2',
    '\r\n',
    '\0',
  ]
  fc.assert(
    fc.property(
      fc.array(fc.oneof(fc.constantFrom(...words), fc.string({ unit: 'binary', maxLength: 5 }))),
      fc.constantFrom('smtp' as const, 'lmtp' as const),
      (parts, protocol) => {
        const talk = new Talk({ protocol })
        talk.ask('ann@example.com')
        talk.machine.data()
        const heard = parts.flatMap((part) => talk.hear(part))
        assert.doesNotMatch(heard.join(''), /^\.\r\n/m)
        const failed = heard.findIndex((text) => text.startsWith('fail'))
        assert.ok(failed === -1 || failed === heard.length - 1)
      },
    ),
    runs(2000),
  )
})
