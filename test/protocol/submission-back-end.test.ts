import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { TlsMode } from '../../src/config/config.ts'
import type { LoginProof } from '../../src/protocol/login.ts'
import { createSubmissionBackEnd } from '../../src/protocol/smtp/submission-back-end.ts'
import { base64, type Dialogue, playDialogue, scram, token } from '../support/back-end-dialogue.ts'

const hostname = 'mx1.example.com'
const client = { address: '192.0.2.7', port: 4242, hello: 'mail.example.net' }

const greeting = '< 220 fritz.example.com ESMTP\r\n'
const ehlo = '> EHLO mx1.example.com\r\n'
const offers = '< 250-fritz.example.com\r\n250-SIZE\r\n250 AUTH PLAIN LOGIN SCRAM-SHA-256\r\n'
const annPlain = base64('\0ann@example.com\0secret')
const plain = `> AUTH PLAIN ${annPlain}\r\n`
const asked = [greeting, ehlo, offers, plain]
const scramGreeting = [greeting, ehlo, offers, `> AUTH SCRAM-SHA-256 ${base64(scram.first)}\r\n`]

const dialogues: readonly Dialogue[] = [
  {
    name: 'one command is enough, and its text is told without what is internal',
    lines: [
      ...asked,
      '< 235 2.7.0 Hello from fritz.example.com\r\n',
      `= accepted Hello from ${hostname}||`,
    ],
  },
  {
    name: 'a text of several lines is told by its first',
    lines: [...asked, '< 235-2.7.0 In\r\n235 2.7.0 and\x07 more\r\n', '= accepted In||'],
  },
  {
    name: 'what comes along with the answer would answer what the client has not asked',
    isOneSegment: true,
    lines: [...asked, '< 235 2.7.0 In\r\n250 2.1.0 Ok\r\n', '= failed login/desync'],
  },
  {
    name: 'STARTTLS is asked for, and what is offered after it counts',
    tls: 'starttls',
    lines: [
      greeting,
      ehlo,
      '< 250-fritz\r\n250-AUTH PLAIN\r\n250 STARTTLS\r\n',
      '> STARTTLS\r\n',
      '< 220 go\r\n',
      '= start-tls',
      ehlo,
      '< 250-fritz\r\n250 AUTH LOGIN\r\n',
      '> AUTH LOGIN\r\n',
      '< 334 VXNlcm5hbWU6\r\n',
      `> ${base64('ann@example.com')}\r\n`,
      '< 334 UGFzc3dvcmQ6\r\n',
      `> ${base64('secret')}\r\n`,
      '< 535 5.7.8 no\r\n',
      '= refused',
    ],
  },
  {
    name: 'bytes ahead of the handshake end it, with no credentials sent',
    isOneSegment: true,
    tls: 'starttls',
    lines: [
      greeting,
      ehlo,
      '< 250-fritz\r\n250 STARTTLS\r\n',
      '> STARTTLS\r\n',
      '< 220 go\r\n250 AUTH PLAIN\r\n',
      '= failed tls/starttls_surplus',
    ],
  },
  {
    name: 'a back-end without STARTTLS gets no credentials',
    tls: 'starttls',
    lines: [greeting, ehlo, offers, '= failed hello/tls_unavailable'],
  },
  {
    name: 'a back-end that refuses STARTTLS gets no credentials',
    tls: 'starttls',
    lines: [
      greeting,
      ehlo,
      '< 250-fritz\r\n250 STARTTLS\r\n',
      '> STARTTLS\r\n',
      '< 454 4.7.0 later\r\n',
      '= failed tls/tls_unavailable',
    ],
  },
  {
    name: 'a back-end that knows HELO alone takes no logins',
    lines: [
      greeting,
      ehlo,
      '< 500 what\r\n',
      '> HELO mx1.example.com\r\n',
      '< 250 hi\r\n',
      '= failed login/no_mechanism',
    ],
  },
  {
    name: 'a back-end that offers no password mechanism gets no credentials',
    lines: [
      greeting,
      ehlo,
      '< 250-fritz\r\n250 AUTH CRAM-MD5 XPLAIN\r\n',
      '= failed login/no_mechanism',
    ],
  },
  {
    name: 'old servers write AUTH= , too',
    lines: [
      greeting,
      ehlo,
      '< 250-fritz\r\n250 AUTH=PLAIN\r\n',
      plain,
      '< 235 In\r\n',
      '= accepted In||',
    ],
  },
  {
    name: 'a message too long for a command waits until it is asked for',
    credentials: { login: 'ann', password: 'x'.repeat(400) },
    lines: [
      greeting,
      ehlo,
      offers,
      '> AUTH PLAIN\r\n',
      '< 334 \r\n',
      `> ${base64(`\0ann\0${'x'.repeat(400)}`)}\r\n`,
      '< 235 2.7.0 In\r\n',
      '= accepted In||',
    ],
  },
  {
    name: 'a login that was not sent yet is not taken',
    credentials: { login: 'ann', password: 'x'.repeat(400) },
    lines: [
      greeting,
      ehlo,
      offers,
      '> AUTH PLAIN\r\n',
      '< 235 2.7.0 In\r\n',
      '= failed login/desync',
    ],
  },
  {
    name: 'a name that would end early is not sent',
    credentials: { login: 'ann\0x', password: 'secret' },
    lines: [greeting, ehlo, offers, '= failed login/no_mechanism'],
  },
  ...(
    [
      ['a wrong password is one', '535 5.7.8 no', '= refused'],
      ['an account that is closed is one', '525 5.7.13 closed', '= refused'],
      ['a line that is too long for it is one', '500 5.5.6 too long', '= refused'],
      ['a temporary failure is none', '454 4.7.0 later', '= failed login/login_unavailable'],
      ['neither is one that ends it', '421 4.3.2 bye', '= failed login/login_unavailable'],
      ['nor a mechanism that is too weak', '534 5.7.9 weak', '= failed login/no_mechanism'],
      ['nor one that needs TLS', '538 5.7.11 TLS', '= failed login/no_mechanism'],
      ['nor a server that wants STARTTLS', '530 5.7.0 TLS', '= failed login/no_mechanism'],
      ['nor one that knows no AUTH', '502 5.5.1 what', '= failed login/no_mechanism'],
      ['nor a session that has lost its step', '503 5.5.1 again', '= failed login/bad_reply'],
      ['another success is none', '250 2.0.0 ok', '= failed login/bad_reply'],
      ['a question with nothing to answer is none', '334 QQ==', '= failed login/desync'],
      ['another language is none', '+OK', '= failed login/bad_reply'],
      ['two codes in one reply are none', '235-In\r\n535 no', '= failed login/bad_reply'],
    ] as const
  ).map(([name, answer, end]) => ({
    name: `as a refusal of a login, ${name}`,
    lines: [...asked, `< ${answer}\r\n`, end],
  })),
  ...['554 no', '421 full', '* OK hi', '+OK hi', '99 x', '', '220\0'].map((greets) => ({
    name: `${JSON.stringify(greets)} is no greeting`,
    lines: [`< ${greets}\r\n`, '= failed greeting/bad_banner'],
  })),
  {
    name: 'an endless greeting is cut off',
    lines: [`< 220 ${'x'.repeat(9000)}`, '= failed greeting/bad_banner'],
  },
  {
    name: 'a greeting of endless lines is cut off',
    lines: [`< ${'220-x\r\n'.repeat(200)}`, '= failed greeting/bad_banner'],
  },
  {
    name: 'a greeting that comes a second time is a loss of step',
    isOneSegment: true,
    lines: [`${greeting}220 again\r\n`, ehlo, '= failed hello/desync'],
  },
  {
    name: 'an exchange is carried, with a line for each message',
    credentials: scram,
    lines: [
      ...scramGreeting,
      `< 334 ${base64('server-first')}\r\n`,
      '= challenge server-first',
      '~ client-final',
      `> ${base64('client-final')}\r\n`,
      `< 334 ${base64('v=x')}\r\n`,
      '= challenge v=x',
      '~ ',
      '> \r\n',
      '< 235 2.7.0 In\r\n',
      '= accepted In||',
    ],
  },
  {
    name: 'a token goes with the name that the user has there',
    credentials: token,
    lines: [
      greeting,
      ehlo,
      '< 250-fritz\r\n250 AUTH OAUTHBEARER\r\n',
      `> AUTH OAUTHBEARER ${base64(token.first.replace('ann@example.com', 'ann.b'))}\r\n`,
      '< 535 5.7.8 no\r\n',
      '= refused',
    ],
  },
  {
    name: 'a long token is not put into the line of the command',
    credentials: { ...token, first: token.first.replace('ttt', 't'.repeat(3000)) },
    lines: [
      greeting,
      ehlo,
      '< 250-fritz\r\n250 AUTH OAUTHBEARER\r\n',
      '> AUTH OAUTHBEARER\r\n',
      '< 334 \r\n',
      `> ${base64(token.first.replace('ann@example.com', 'ann.b').replace('ttt', 't'.repeat(3000)))}\r\n`,
      '< 454 4.7.0 later\r\n',
      '= failed login/login_unavailable',
    ],
  },
  {
    name: 'a back-end that does not offer the mechanism is not sent a message of it',
    credentials: { ...scram, mechanism: 'SCRAM-SHA-1' },
    lines: [greeting, ehlo, offers, '= failed login/no_mechanism'],
  },
  ...(
    [
      ['goes on', '334 QUFB'],
      ['accepts', '235 2.7.0 In'],
      ['refuses', '535 5.7.8 no'],
      ['says something else', 'x'],
    ] as const
  ).map(([what, said]) => ({
    name: `a back-end that ${what} before it is answered has failed`,
    credentials: scram,
    lines: [
      ...scramGreeting,
      `< 334 ${base64('server-first')}\r\n`,
      '= challenge server-first',
      `< ${said}\r\n`,
      '= failed login/desync',
    ],
  })),
  {
    name: 'a challenge is base64',
    credentials: scram,
    lines: [...scramGreeting, '< 334 say more\r\n', '= failed login/bad_reply'],
  },
]

for (const dialogue of dialogues) {
  test(dialogue.name, () =>
    playDialogue(dialogue, (tls, proof) =>
      createSubmissionBackEnd(tls, proof, { hostname, client: undefined }),
    ),
  )
}

const xclient: Dialogue = {
  name: 'who takes XCLIENT hears of the client before the login, and offers anew',
  lines: [
    greeting,
    ehlo,
    '< 250-fritz\r\n250-AUTH LOGIN\r\n250 XCLIENT ADDR PORT HELO LOGIN\r\n',
    '> XCLIENT ADDR=192.0.2.7 PORT=4242 HELO=mail.example.net\r\n',
    '< 220 fritz.example.com ESMTP\r\n',
    '> EHLO mail.example.net\r\n',
    '< 250-fritz\r\n250 AUTH PLAIN\r\n',
    plain,
    '< 235 2.7.0 In\r\n',
    '= accepted In||',
  ],
}

function forClient(tls: TlsMode, proof: LoginProof) {
  return createSubmissionBackEnd(tls, proof, { hostname, client })
}

test(xclient.name, () => playDialogue(xclient, forClient))

test('who refuses XCLIENT, or does not take it, gets no credentials, or those alone', () => {
  const offered = '< 250-fritz\r\n250-AUTH PLAIN\r\n250 XCLIENT ADDR\r\n'
  const lines = [greeting, ehlo, offered, '> XCLIENT ADDR=192.0.2.7\r\n', '< 550 5.7.0 no\r\n']
  playDialogue({ name: '', lines: [...lines, '= failed hello/bad_reply'] }, forClient)
  playDialogue({ name: '', lines: [...asked, '< 535 5.7.8 no\r\n', '= refused'] }, forClient)
})

const trusted = [
  greeting,
  ehlo,
  '< 250-fritz\r\n250-AUTH LOGIN\r\n250 XCLIENT ADDR LOGIN\r\n',
  '> XCLIENT ADDR=192.0.2.7 LOGIN=ann+2Bx@example.com\r\n',
  '< 220 fritz.example.com ESMTP\r\n',
  '> EHLO mail.example.net\r\n',
]

const byXclient: readonly Dialogue[] = [
  {
    name: 'who is told by XCLIENT whose session it is gets no credentials',
    lines: [
      ...trusted,
      '< 250-fritz\r\n250-AUTH PLAIN\r\n250 XCLIENT ADDR LOGIN\r\n',
      '= accepted Authentication successful||',
    ],
  },
  {
    name: 'what comes along with its last answer would answer what the client has not asked',
    isOneSegment: true,
    lines: [...trusted, '< 250 fritz\r\n250 2.1.0 Ok\r\n', '= failed login/desync'],
  },
  {
    name: 'who does not take LOGIN by XCLIENT does not know whose session it would be',
    lines: [
      ...trusted.slice(0, 2),
      '< 250-fritz\r\n250-AUTH PLAIN\r\n250 XCLIENT ADDR\r\n',
      '> XCLIENT ADDR=192.0.2.7\r\n',
      '< 220 fritz.example.com ESMTP\r\n',
      '> EHLO mail.example.net\r\n',
      '< 250-fritz\r\n250 AUTH PLAIN\r\n',
      '= failed login/no_mechanism',
    ],
  },
  {
    name: 'who does not take XCLIENT at all does not either',
    lines: [...asked.slice(0, 3), '= failed login/no_mechanism'],
  },
]

for (const dialogue of byXclient) {
  test(dialogue.name, () =>
    playDialogue(dialogue, (tls, proof) => {
      const told = { ...client, login: 'ann+x@example.com' }
      return createSubmissionBackEnd(tls, proof, { hostname, client: told })
    }),
  )
}

test('a name that XCLIENT cannot hold is not cut to that of somebody else', () => {
  const login = `${'a'.repeat(300)}@example.com`
  const machine = createSubmissionBackEnd(
    'none',
    { login: 'x', password: 'secret' },
    { hostname, client: { login } },
  )
  const said = ['220 hi', '250-fritz\r\n250 XCLIENT LOGIN', '220 hi', '250 fritz']
  const actions = said.flatMap((text) => machine.push(Buffer.from(`${text}\r\n`)))
  const last = actions.at(-1)
  assert.ok(last?.do === 'finish' && last.outcome.kind === 'failed', JSON.stringify(actions))
  assert.doesNotMatch(JSON.stringify(actions), /AUTH|secret/)
})

test('any password of any octets that a client may send arrives as it was, by PLAIN and by LOGIN', () => {
  const octets = fc.string({
    unit: fc.integer({ min: 1, max: 255 }).map((code) => String.fromCharCode(code)),
    minLength: 1,
    maxLength: 600,
  })
  fc.assert(
    fc.property(octets, fc.constantFrom('PLAIN', 'LOGIN'), (text, mechanism) => {
      const password = text.replace(/[\r\n]/g, 'x')
      const proof = { login: 'ann', password }
      const machine = createSubmissionBackEnd('none', proof, { hostname, client: undefined })
      machine.push(Buffer.from('220 hi\r\n'))
      let sent = ''
      let said = `250-fritz\r\n250 AUTH ${mechanism}\r\n`
      for (let turn = 0; turn < 4; turn++) {
        const actions = machine.push(Buffer.from(said))
        const line = actions.map((action) => (action.do === 'send' ? action.text : '')).join('')
        assert.match(line, /^(?:[ -~]*\r\n)?$/)
        sent += line
        if (mechanism === 'LOGIN' ? turn === 2 : !sent.endsWith('AUTH PLAIN\r\n')) break
        said = '334 \r\n'
      }
      const last = Buffer.from(/(\S+)\r\n$/.exec(sent)?.[1] ?? '', 'base64').toString('latin1')
      assert.equal(last, mechanism === 'LOGIN' ? password : `\0ann\0${password}`)
    }),
  )
})
