import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Credentials } from '../../src/protocol/login.ts'
import { createImapBackEnd } from '../../src/protocol/imap/back-end.ts'
import { createPop3BackEnd } from '../../src/protocol/pop3/back-end.ts'
import { createSieveBackEnd } from '../../src/protocol/sieve/back-end.ts'
import { base64, type Dialogue, playDialogue, scram, token } from '../support/back-end-dialogue.ts'

const greeting = '< * OK [CAPABILITY IMAP4rev1 SASL-IR LITERAL- AUTH=PLAIN] hi\r\n'
const login = '> L LOGIN "ann@example.com" "secret"\r\n'

const scramGreeting =
  '< * OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=SCRAM-SHA-256 AUTH=OAUTHBEARER] hi\r\n'
const scramAsked = `> L AUTHENTICATE SCRAM-SHA-256 ${base64(scram.first)}\r\n`
const renamed = base64(token.first.replace('ann@example.com', 'ann.b'))

const manyCapabilities = Array.from({ length: 100 }, (_, index) => `X-NUMBER-${index}`).join(' ')

const client = {
  address: '2001:db8::7',
  port: 40_123,
  destinationAddress: '192.0.2.1',
  destinationPort: 993,
}
const told =
  '> I ID ("x-originating-ip" "2001:db8::7" "x-originating-port" "40123" ' +
  '"x-connected-ip" "192.0.2.1" "x-connected-port" "993" "x-proxy-ttl" "7")\r\n'

const imap: readonly Dialogue[] = [
  {
    name: 'the client is told by ID, whatever is said to that',
    client,
    lines: [
      '< * OK [CAPABILITY IMAP4rev1 ID] hi\r\n',
      told,
      '< * ID NIL\r\nI NO not now\r\n',
      login,
      '< L OK [CAPABILITY IMAP4rev1] In\r\n',
      '= accepted In|IMAP4rev1|',
    ],
  },
  {
    name: 'what the client says of itself comes after what we say of it, NIL and all',
    client: {
      ...client,
      id: [
        ['name', 'Say "hi"\\'],
        ['version', undefined],
        ['vendor', 'M\u00f6bius'],
        ['os', ''],
      ],
    },
    lines: [
      '< * OK [CAPABILITY IMAP4rev1 ID] hi\r\n',
      told.replace('"7")', '"7" "name" "Say \\"hi\\"\\\\" "version" NIL "os" "")'),
      '< I OK\r\n',
      login,
      '< L NO no\r\n',
      '= refused',
    ],
  },
  {
    name: 'thirty pairs are sent in all',
    client: { ...client, id: Array.from({ length: 30 }, (_, n) => [`k${n}`, 'v'] as const) },
    lines: [
      '< * OK [CAPABILITY IMAP4rev1 ID] hi\r\n',
      told.replace('"7")', `"7" ${Array.from({ length: 25 }, (_, n) => `"k${n}" "v"`).join(' ')})`),
      '< I OK\r\n',
      login,
      '< L NO no\r\n',
      '= refused',
    ],
  },
  {
    name: 'no more is sent in one line than a back-end may read before a login',
    client: {
      ...client,
      id: Array.from({ length: 5 }, (_, n) => [`k${n}`, `${n}`.repeat(1024)] as const),
    },
    lines: [
      '< * OK [CAPABILITY IMAP4rev1 ID] hi\r\n',
      told.replace(
        '"7")',
        `"7" ${[0, 1, 2].map((n) => `"k${n}" "${`${n}`.repeat(1024)}"`).join(' ')})`,
      ),
      '< I OK\r\n',
      login,
      '< L NO no\r\n',
      '= refused',
    ],
  },
  {
    name: 'the client is told over TLS only, where TLS is wanted',
    client: { ...client, ttl: 2 },
    tls: 'starttls',
    isOneSegment: true,
    lines: [
      '< * OK [CAPABILITY IMAP4rev1 ID STARTTLS] hi\r\n',
      '> S STARTTLS\r\n',
      '< S OK go\r\n',
      '= start-tls',
      '> C CAPABILITY\r\n',
      '< * CAPABILITY IMAP4rev1 ID\r\nC OK done\r\n',
      told.replace('"7")', '"2")'),
      '< I OK\r\n',
      login,
      '< L NO [AUTHENTICATIONFAILED] no\r\n',
      '= refused',
    ],
  },
  {
    name: 'who does not offer ID is told nothing',
    client,
    lines: [greeting, login, '< L NO no\r\n', '= refused'],
  },
  {
    name: 'with capabilities in greeting and answer, one round trip is enough',
    lines: [
      greeting,
      login,
      '< L OK [CAPABILITY IMAP4rev1 IDLE] In\r\n',
      '= accepted In|IMAP4rev1 IDLE|',
    ],
  },
  {
    name: 'what comes after the answer belongs to the client',
    isOneSegment: true,
    lines: [
      greeting,
      login,
      '< L OK [CAPABILITY IMAP4rev1] In\r\n* 3 EXISTS\r\nx',
      '= accepted In|IMAP4rev1|* 3 EXISTS\r\nx',
    ],
  },
  {
    name: 'untagged data during the login are swallowed, capabilities kept',
    lines: [
      greeting,
      login,
      '< * CAPABILITY IMAP4rev1 MOVE\r\n* OK [ALERT] pay here\r\n* STATUS INBOX (MESSAGES 1)\r\n',
      '< L OK In\r\n',
      '= accepted In|IMAP4rev1 MOVE|',
    ],
  },
  {
    name: 'without capabilities anywhere they are asked for once',
    isOneSegment: true,
    lines: [
      '< * OK hi\r\n',
      '> C CAPABILITY\r\n',
      '< * CAPABILITY IMAP4rev1\r\nC OK done\r\n',
      login,
      '< L OK In\r\n',
      '> P CAPABILITY\r\n',
      '< * CAPABILITY IMAP4rev1 IDLE\r\nP OK done\r\nrest',
      '= accepted In|IMAP4rev1 IDLE|rest',
    ],
  },
  {
    name: 'STARTTLS is asked for, and capabilities anew after it',
    tls: 'starttls',
    lines: [
      '< * OK [CAPABILITY IMAP4rev1 STARTTLS LOGINDISABLED] hi\r\n',
      '> S STARTTLS\r\n',
      '< S OK go\r\n',
      '= start-tls',
      '> C CAPABILITY\r\n',
      '< * CAPABILITY IMAP4rev1 AUTH=PLAIN\r\nC OK done\r\n',
      login,
      '< L NO [AUTHENTICATIONFAILED] no\r\n',
      '= refused',
    ],
  },
  {
    name: 'bytes ahead of the handshake end it, with no credentials sent',
    isOneSegment: true,
    tls: 'starttls',
    lines: [
      '< * OK [CAPABILITY IMAP4rev1 STARTTLS] hi\r\n',
      '> S STARTTLS\r\n',
      '< S OK go\r\nL OK LOGIN done\r\n',
      '= failed hello/starttls_surplus',
    ],
  },
  {
    name: 'a back-end without STARTTLS gets no credentials',
    tls: 'starttls',
    lines: ['< * OK [CAPABILITY IMAP4rev1] hi\r\n', '= failed hello/tls_unavailable'],
  },
  {
    name: 'a back-end that refuses STARTTLS gets no credentials',
    tls: 'starttls',
    lines: [
      '< * OK [CAPABILITY IMAP4rev1 STARTTLS] hi\r\n',
      '> S STARTTLS\r\n',
      '< S NO later\r\n',
      '= failed hello/tls_unavailable',
    ],
  },
  { name: 'PREAUTH is never a login', lines: ['< * PREAUTH hi\r\n', '= failed greeting/preauth'] },
  {
    name: 'BYE is a back-end that has no room',
    lines: ['< * BYE full\r\n', '= failed greeting/login_unavailable'],
  },
  {
    name: 'another protocol is no greeting',
    lines: ['< 220 smtp\r\n', '= failed greeting/bad_banner'],
  },
  {
    name: 'NUL in a greeting is no greeting',
    lines: ['< * \0OK\r\n', '= failed greeting/bad_banner'],
  },
  {
    name: 'an endless greeting is cut off',
    lines: [`< * OK ${'x'.repeat(9000)}`, '= failed greeting/bad_banner'],
  },
  {
    name: 'endless untagged lines are cut off',
    lines: [greeting, login, `< ${'* 1 FETCH x\r\n'.repeat(6000)}`, '= failed login/bad_reply'],
  },
  {
    name: 'a server that is not IMAP4rev1 is not logged in to',
    lines: ['< * OK [CAPABILITY IMAP4 AUTH=PLAIN] hi\r\n', '= failed hello/bad_banner'],
  },
  {
    name: 'LOGINDISABLED with AUTH=PLAIN means AUTHENTICATE',
    lines: [
      '< * OK [CAPABILITY IMAP4rev1 LOGINDISABLED AUTH=PLAIN] hi\r\n',
      '> L AUTHENTICATE PLAIN\r\n',
      '< +\r\n',
      '> AGFubkBleGFtcGxlLmNvbQBzZWNyZXQ=\r\n',
      '< L OK [CAPABILITY IMAP4rev1] In\r\n',
      '= accepted In|IMAP4rev1|',
    ],
  },
  {
    name: 'LOGINDISABLED alone means no way in',
    lines: ['< * OK [CAPABILITY IMAP4rev1 LOGINDISABLED] hi\r\n', '= failed login/no_mechanism'],
  },
  {
    name: 'quotes and backslashes of a password are escaped',
    credentials: { login: 'ann', password: 'a"b\\c {3}' },
    lines: [greeting, '> L LOGIN "ann" "a\\"b\\\\c {3}"\r\n', '< L NO x\r\n', '= refused'],
  },
  {
    name: 'an 8-bit password goes as a literal, its octets as they are',
    credentials: { login: 'jörg', password: '\xe4\xff' },
    lines: [
      greeting,
      '> L LOGIN {5+}\r\nj\xc3\xb6rg {2+}\r\n\xe4\xff\r\n',
      '< L OK [CAPABILITY IMAP4rev1] In\r\n',
      '= accepted In|IMAP4rev1|',
    ],
  },
  {
    name: 'without LITERAL- each literal is asked for',
    credentials: { login: 'ann', password: '\xe4' },
    lines: [
      '< * OK [CAPABILITY IMAP4rev1] hi\r\n',
      '> L LOGIN {3}\r\n',
      '< + go\r\n',
      '> ann {1}\r\n',
      '< + go\r\n',
      '> \xe4\r\n',
      '< L OK [CAPABILITY IMAP4rev1] In\r\n',
      '= accepted In|IMAP4rev1|',
    ],
  },
  {
    name: 'an unasked continuation is a loss of step',
    lines: [greeting, login, '< + go\r\n', '= failed login/desync'],
  },
  {
    name: 'an OK for another tag is a loss of step',
    lines: [greeting, login, '< X OK In\r\n', '= failed login/desync'],
  },
  {
    name: 'a literal in the answer is not waited for',
    lines: [greeting, login, '< * X {4294967295}\r\n', '= failed login/bad_reply'],
  },
  {
    name: 'NO without a code is a wrong password',
    lines: [greeting, login, '< L NO no\r\n', '= refused'],
  },
  {
    name: 'UNAVAILABLE is not a wrong password',
    lines: [greeting, login, '< L NO [UNAVAILABLE] x\r\n', '= failed login/login_unavailable'],
  },
  {
    name: 'BYE during the login is not a wrong password',
    lines: [greeting, login, '< * BYE x\r\n', '= failed login/login_unavailable'],
  },
  {
    name: 'BAD without a code refuses what was sent',
    lines: [greeting, login, '< L BAD x\r\n', '= refused'],
  },
  {
    name: 'BAD with a code of a fault is no wrong password',
    lines: [greeting, login, '< L BAD [CLIENTBUG] x\r\n', '= failed login/bad_reply'],
  },
  {
    name: 'an answer that came before the question is a loss of step',
    isOneSegment: true,
    lines: [`${greeting}L OK In\r\n`, login, '= failed login/desync'],
  },
  {
    name: 'an OK before the password was sent is a loss of step',
    credentials: { login: 'ann', password: '\xe4' },
    lines: [
      '< * OK [CAPABILITY IMAP4rev1] hi\r\n',
      '> L LOGIN {3}\r\n',
      '< + go\r\n',
      '> ann {1}\r\n',
      '< L OK In\r\n',
      '= failed login/desync',
    ],
  },
  {
    name: 'a NO before the password was sent is a refusal',
    credentials: { login: 'ann', password: '\xe4' },
    lines: [
      '< * OK [CAPABILITY IMAP4rev1] hi\r\n',
      '> L LOGIN {3}\r\n',
      '< L NO no\r\n',
      '= refused',
    ],
  },
  {
    name: 'a long list of capabilities is passed on whole',
    lines: [
      greeting,
      login,
      `< L OK [CAPABILITY IMAP4rev1 ${manyCapabilities}] In\r\n`,
      `= accepted In|IMAP4rev1 ${manyCapabilities}|`,
    ],
  },
  {
    name: 'capabilities are passed on as atoms, whatever else is in them',
    lines: [
      greeting,
      login,
      '< * CAPABILITY IMAP4rev1\t\x07IDLE  ] \xe4MOVE \r\n',
      '< L OK In\r\n',
      '= accepted In|IMAP4rev1 IDLE MOVE|',
    ],
  },
  {
    name: 'a back-end that will not tell its capabilities has logged in all the same',
    lines: [
      greeting,
      login,
      '< L OK In\r\n',
      '> P CAPABILITY\r\n',
      '< P BAD x\r\n',
      '= accepted In||',
    ],
  },
  {
    name: 'LIMIT is passed on',
    lines: [greeting, login, '< L NO [LIMIT] too \x07many\r\n', '= denied LIMIT too many'],
  },
  {
    name: 'a login that is throttled is judged by nobody',
    lines: [
      greeting,
      login,
      '< L NO [THROTTLED] slow down\r\n',
      '= failed login/login_unavailable',
    ],
  },
  {
    name: 'so is one that is throttled in words',
    lines: [
      greeting,
      login,
      '< L NO [ALERT] Too many simultaneous connections. (Failure)\r\n',
      '= failed login/login_unavailable',
    ],
  },
  {
    name: 'INUSE is passed on',
    lines: [greeting, login, '< L NO [INUSE] x\r\n', '= denied INUSE x'],
  },
  {
    name: 'EXPIRED is passed on',
    lines: [greeting, login, '< L NO [EXPIRED] x\r\n', '= denied EXPIRED x'],
  },
  {
    name: 'CONTACTADMIN is passed on',
    lines: [greeting, login, '< L NO [CONTACTADMIN] x\r\n', '= denied CONTACTADMIN x'],
  },
  {
    name: 'a referral is not followed',
    lines: [greeting, login, '< L NO [REFERRAL imap://evil/] x\r\n', '= refused'],
  },
]

const xclient = '> XCLIENT ADDR=2001:db8::7 PORT=40123 DESTADDR=192.0.2.1 DESTPORT=993 TTL=7\r\n'

const pop3: readonly Dialogue[] = [
  {
    name: 'the client is told by XCLIENT to who asks for it',
    client,
    lines: [
      '< +OK [XCLIENT] hi\r\n',
      xclient,
      '< +OK Updated\r\n',
      '> USER ann@example.com\r\n',
      '< +OK\r\n',
      '> PASS secret\r\n',
      '< +OK In\r\n',
      '= accepted In||',
    ],
  },
  {
    name: 'a login does not depend on XCLIENT',
    client,
    lines: [
      '< +OK [XCLIENT] hi\r\n',
      xclient,
      '< -ERR [SYS/TEMP] not now\r\n',
      '> USER ann@example.com\r\n',
      '< -ERR\r\n',
      '= refused',
    ],
  },
  {
    name: 'who does not ask for XCLIENT is told nothing',
    client,
    lines: ['< +OK hi\r\n', '> USER ann@example.com\r\n', '< -ERR\r\n', '= refused'],
  },
  {
    name: 'name and password go together to who takes commands in a row',
    isPipelining: true,
    lines: [
      '< +OK hi\r\n',
      '> USER ann@example.com\r\nPASS secret\r\n',
      '< +OK\r\n+OK In\r\n',
      '= accepted In||',
    ],
  },
  {
    name: 'of two replies to them the first refusal counts',
    isPipelining: true,
    lines: [
      '< +OK hi\r\n',
      '> USER ann@example.com\r\nPASS secret\r\n',
      '< -ERR [SYS/TEMP] not now\r\n+OK In\r\n',
      '= failed login/login_unavailable',
    ],
  },
  {
    name: 'or the second',
    isPipelining: true,
    lines: [
      '< +OK hi\r\n',
      '> USER ann@example.com\r\nPASS secret\r\n',
      '< +OK\r\n-ERR [AUTH] no\r\n',
      '= refused',
    ],
  },
  {
    name: 'an answer before the question is none, in a row or not',
    isPipelining: true,
    isOneSegment: true,
    lines: [
      '< +OK hi\r\n+OK\r\n+OK In\r\n',
      '> USER ann@example.com\r\nPASS secret\r\n',
      '= failed login/desync',
    ],
  },
  {
    name: 'USER and PASS, and what follows belongs to the client',
    isOneSegment: true,
    lines: [
      '< +OK hi\r\n',
      '> USER ann@example.com\r\n',
      '< +OK\r\n',
      '> PASS secret\r\n',
      '< +OK In\r\nmore',
      '= accepted In||more',
    ],
  },
  {
    name: 'STLS comes first where it is asked for',
    tls: 'starttls',
    lines: [
      '< +OK hi\r\n',
      '> STLS\r\n',
      '< +OK\r\n',
      '= start-tls',
      '> USER ann@example.com\r\n',
      '< -ERR no\r\n',
      '= refused',
    ],
  },
  {
    name: 'a back-end without STLS gets no credentials',
    tls: 'starttls',
    lines: ['< +OK hi\r\n', '> STLS\r\n', '< -ERR what\r\n', '= failed hello/tls_unavailable'],
  },
  {
    name: 'bytes ahead of the handshake end it',
    isOneSegment: true,
    tls: 'starttls',
    lines: ['< +OK hi\r\n', '> STLS\r\n', '< +OK\r\n+OK\r\n', '= failed hello/starttls_surplus'],
  },
  ...(
    [
      ['[AUTH] is a wrong password', '-ERR [AUTH] x', '= refused'],
      ['no code is a wrong password', '-ERR x', '= refused'],
      [
        '[SYS/TEMP] is not a wrong password',
        '-ERR [SYS/TEMP] x',
        '= failed login/login_unavailable',
      ],
      ['[IN-USE] is passed on', '-ERR [IN-USE] x', '= denied IN-USE x'],
      ['[LOGIN-DELAY] is passed on', '-ERR [login-delay] x', '= denied LOGIN-DELAY x'],
      ['a refusal in small letters is one too', '-err no', '= refused'],
      ['OK as the start of another word is no answer', '+OKAY', '= failed login/bad_reply'],
      ['another language is no answer', '250 ok', '= failed login/bad_reply'],
    ] as const
  ).map(([name, answer, end]) => ({
    name,
    lines: [
      '< +OK hi\r\n',
      '> USER ann@example.com\r\n',
      '< +OK\r\n',
      '> PASS secret\r\n',
      `< ${answer}\r\n`,
      end,
    ],
  })),
  {
    name: 'a refused USER is a wrong password',
    lines: ['< +OK hi\r\n', '> USER ann@example.com\r\n', '< -ERR [AUTH] who\r\n', '= refused'],
  },
  {
    name: 'answers that came before the questions are a loss of step',
    isOneSegment: true,
    lines: ['< +OK hi\r\n+OK\r\n+OK\r\n', '> USER ann@example.com\r\n', '= failed login/desync'],
  },
  {
    name: 'a banner for APOP is a banner',
    lines: ['< +OK <1896.697170952@fritz>\r\n', '> USER ann@example.com\r\n'],
  },
  {
    name: 'what is too long for a line goes by AUTH PLAIN',
    credentials: { login: 'ann', password: 'x'.repeat(250) },
    lines: [
      '< +OK hi\r\n',
      '> AUTH PLAIN\r\n',
      '< +\r\n',
      `> ${Buffer.from(`\0ann\0${'x'.repeat(250)}`).toString('base64')}\r\n`,
      '< +OK In\r\n',
      '= accepted In||',
    ],
  },
  {
    name: 'without AUTH PLAIN it goes in a long line',
    credentials: { login: 'ann', password: 'x'.repeat(250) },
    lines: [
      '< +OK hi\r\n',
      '> AUTH PLAIN\r\n',
      '< -ERR what\r\n',
      '> USER ann\r\n',
      '< +OK\r\n',
      `> PASS ${'x'.repeat(250)}\r\n`,
      '< +OK In\r\n',
      '= accepted In||',
    ],
  },
  {
    name: 'an OK to AUTH alone is a loss of step',
    credentials: { login: 'ann', password: 'x'.repeat(250) },
    lines: ['< +OK hi\r\n', '> AUTH PLAIN\r\n', '< +OK In\r\n', '= failed login/desync'],
  },
  {
    name: 'a name that would end its line is not sent',
    credentials: { login: 'ann\r\nPASS x', password: 'secret' },
    lines: ['< +OK hi\r\n', '= failed login/no_mechanism'],
  },
  {
    name: 'a refusal to greet is no room',
    lines: ['< -ERR full\r\n', '= failed greeting/login_unavailable'],
  },
  {
    name: 'an endless greeting is cut off',
    lines: [`< +OK ${'x'.repeat(9000)}`, '= failed greeting/bad_banner'],
  },
]

const sieveHello = '< "IMPLEMENTATION" "x"\r\n"SASL" "LOGIN plain"\r\n"SIEVE" "a"\r\nOK "hi"\r\n'
const annPlain = 'AGFubkBleGFtcGxlLmNvbQBzZWNyZXQ='
const authenticate = `> AUTHENTICATE "PLAIN" "${annPlain}"\r\n`
const sieveStartTls = '< "SASL" ""\r\n"STARTTLS"\r\nOK (TAG {4}\r\nOK\r\n) {6}\r\nhi\r\nho\r\n'

const sieve: readonly Dialogue[] = [
  {
    name: 'one round trip is enough, and what follows belongs to the client',
    isOneSegment: true,
    lines: [sieveHello, authenticate, '< OK "In"\r\n"x"\r\nmore', '= accepted In||"x"\r\nmore'],
  },
  {
    name: 'a text may be a literal, and what follows it is not lost',
    isOneSegment: true,
    lines: [
      sieveHello,
      authenticate,
      '< OK (WARNINGS) {8}\r\nIn \r\nNO \r\nmore',
      '= accepted In NO||more',
    ],
  },
  {
    name: 'STARTTLS is asked for, and the capabilities after it count',
    tls: 'starttls',
    lines: [
      sieveStartTls,
      '> STARTTLS\r\n',
      '< OK\r\n',
      '= start-tls',
      '< {4}\r\nsasl {5}\r\nPLAIN\r\nok\r\n',
      authenticate,
      '< NO "no"\r\n',
      '= refused',
    ],
  },
  {
    name: 'bytes ahead of the handshake end it, with no credentials sent',
    isOneSegment: true,
    tls: 'starttls',
    lines: [
      sieveStartTls,
      '> STARTTLS\r\n',
      '< OK "go"\r\n"SASL" "PLAIN"\r\nOK\r\n',
      '= failed hello/starttls_surplus',
    ],
  },
  {
    name: 'what was offered before TLS does not count after it',
    tls: 'starttls',
    lines: [
      '< "SASL" "PLAIN"\r\n"STARTTLS"\r\nOK\r\n',
      '> STARTTLS\r\n',
      '< OK\r\n',
      '= start-tls',
      '< "SASL" ""\r\nOK\r\n',
      '= failed login/no_mechanism',
    ],
  },
  {
    name: 'a back-end without STARTTLS gets no credentials',
    tls: 'starttls',
    lines: [sieveHello, '= failed hello/tls_unavailable'],
  },
  {
    name: 'a back-end that refuses STARTTLS gets no credentials',
    tls: 'starttls',
    lines: [
      sieveStartTls,
      '> STARTTLS\r\n',
      '< NO (TRYLATER) "x"\r\n',
      '= failed hello/tls_unavailable',
    ],
  },
  {
    name: 'a back-end that answers STARTTLS with capabilities has lost its step',
    tls: 'starttls',
    lines: [sieveStartTls, '> STARTTLS\r\n', '< "SASL" "PLAIN"\r\n', '= failed hello/bad_reply'],
  },
  {
    name: 'a greeting that comes a second time is a loss of step',
    isOneSegment: true,
    lines: [`${sieveHello}OK "In"\r\n`, authenticate, '= failed login/desync'],
  },
  {
    name: 'a challenge with nothing to send is a loss of step',
    lines: [sieveHello, authenticate, '< ""\r\n', '= failed login/desync'],
  },
  {
    name: 'BYE instead of a greeting is a back-end that has no room',
    lines: ['< BYE "full"\r\n', '= failed greeting/login_unavailable'],
  },
  {
    name: 'BYE behind capabilities is one, too',
    lines: [
      '< "SASL" "PLAIN"\r\nBYE (REFERRAL "sieve://evil/") "x"\r\n',
      '= failed greeting/login_unavailable',
    ],
  },
  {
    name: 'NO instead of a greeting is one, too',
    lines: ['< NO\r\n', '= failed greeting/login_unavailable'],
  },
  {
    name: 'a greeting without mechanisms is another protocol',
    lines: ['< OK "hi"\r\n', '= failed hello/bad_banner'],
  },
  {
    name: 'a back-end that takes no PLAIN gets no credentials',
    lines: ['< "SASL" "XPLAIN PLAINX"\r\nOK\r\n', '= failed login/no_mechanism'],
  },
  ...['* OK hi', '+OK hi', '220 hi', '"a" "b" "c"', 'OKAY', 'OK hi', '', '"\0'].map((greets) => ({
    name: `${JSON.stringify(greets)} is no greeting`,
    lines: [`< ${greets}\r\n`, '= failed greeting/bad_banner'],
  })),
  {
    name: 'an endless greeting is cut off',
    lines: [`< "SIEVE" "${'x'.repeat(9000)}`, '= failed greeting/bad_banner'],
  },
  {
    name: 'a greeting of endless capabilities is cut off',
    lines: [`< ${'"X" "y"\r\n'.repeat(8000)}`, '= failed greeting/bad_banner'],
  },
  {
    name: 'an endless literal is not waited for',
    lines: [sieveHello, authenticate, '< NO {4294967295}\r\n', '= failed login/bad_reply'],
  },
  {
    name: 'countless small literals are cut off',
    lines: [sieveHello, authenticate, `< NO (${'{0}\r\n '.repeat(65)}`, '= failed login/bad_reply'],
  },
  {
    name: 'a long answer in many literals is cut off',
    lines: [
      sieveHello,
      authenticate,
      `< NO (${`X {8000}\r\n${'x'.repeat(8000)} `.repeat(9)}`,
      '= failed login/bad_reply',
    ],
  },
  ...(
    [
      ['no code is a wrong password', 'NO "x"', '= refused'],
      ['nothing but NO is one', 'no', '= refused'],
      ['a code that nobody knows is one', 'NO (X-FOO "a" 3) "x"', '= refused'],
      ['TRYLATER is not one', 'NO (TRYLATER) "x"', '= failed login/login_unavailable'],
      ['BYE is not one', 'BYE "x"', '= failed login/login_unavailable'],
      [
        'a referral is neither followed nor passed on',
        'NO (REFERRAL "sieve://evil/") "x"',
        '= failed login/login_unavailable',
      ],
      ['ENCRYPT-NEEDED is not one', 'NO (encrypt-needed)', '= failed login/no_mechanism'],
      ['AUTH-TOO-WEAK is not one', 'NO (AUTH-TOO-WEAK) "x"', '= failed login/no_mechanism'],
      ['another language is no answer', '+OK', '= failed login/bad_reply'],
      ['OK with two texts is no answer', 'OK "a" "b"', '= failed login/bad_reply'],
      ['a code without an end is no answer', 'OK (TAG "a" "b"', '= failed login/bad_reply'],
      ['OK without a text is a login', 'ok', '= accepted ||'],
      ['control octets of a text are dropped', 'OK "In\x07 \\"x\xc3\xa9"', '= accepted In "x||'],
    ] as const
  ).map(([name, answer, end]) => ({
    name,
    lines: [sieveHello, authenticate, `< ${answer}\r\n`, end],
  })),
  {
    name: 'a message too long for a quoted string goes as a literal',
    credentials: { login: 'ann', password: 'x'.repeat(800) },
    lines: [
      sieveHello,
      `> AUTHENTICATE "PLAIN" {1076+}\r\n${Buffer.from(`\0ann\0${'x'.repeat(800)}`).toString('base64')}\r\n`,
      '< OK\r\n',
      '= accepted ||',
    ],
  },
  {
    name: 'a name that would end early is not sent',
    credentials: { login: 'ann\0x', password: 'secret' },
    lines: [sieveHello, '= failed login/no_mechanism'],
  },
]

const imapExchanges: readonly Dialogue[] = [
  {
    name: 'an exchange is carried, with a line for each message',
    credentials: scram,
    lines: [
      scramGreeting,
      scramAsked,
      `< + ${base64('server-first')}\r\n`,
      '= challenge server-first',
      '~ client-final',
      `> ${base64('client-final')}\r\n`,
      `< +${base64('v=x')}\r\n`,
      '= challenge v=x',
      '~ ',
      '> \r\n',
      '< L OK [CAPABILITY IMAP4rev1 IDLE] In\r\n',
      '= accepted In|IMAP4rev1 IDLE|',
    ],
  },
  {
    name: 'without SASL-IR the first message waits until it is asked for',
    credentials: scram,
    lines: [
      '< * OK [CAPABILITY IMAP4rev1 AUTH=SCRAM-SHA-256] hi\r\n',
      '> L AUTHENTICATE SCRAM-SHA-256\r\n',
      '< + \r\n',
      `> ${base64(scram.first)}\r\n`,
      `< + ${base64('server-first')}\r\n`,
      '= challenge server-first',
    ],
  },
  {
    name: 'a token goes with the name that the user has there',
    credentials: token,
    lines: [
      scramGreeting,
      `> L AUTHENTICATE OAUTHBEARER ${renamed}\r\n`,
      '< L NO [AUTHENTICATIONFAILED] no\r\n',
      '= refused',
    ],
  },
  {
    name: 'a long token is not put into the line of the command',
    credentials: { ...token, first: token.first.replace('ttt', 't'.repeat(3000)) },
    lines: [
      scramGreeting,
      '> L AUTHENTICATE OAUTHBEARER\r\n',
      '< + \r\n',
      `> ${base64(token.first.replace('ann@example.com', 'ann.b').replace('ttt', 't'.repeat(3000)))}\r\n`,
      '< L NO [UNAVAILABLE] later\r\n',
      '= failed login/login_unavailable',
    ],
  },
  {
    name: 'a back-end that does not offer the mechanism is not sent a message of it',
    credentials: { ...scram, mechanism: 'SCRAM-SHA-1' },
    lines: [scramGreeting, '= failed login/no_mechanism'],
  },
  ...(
    [
      ['goes on before it is answered', '+ QUFB\r\n', 'desync'],
      ['accepts before it is answered', 'L OK In\r\n', 'desync'],
      ['refuses before it is answered', 'L NO [AUTHENTICATIONFAILED] no\r\n', 'desync'],
      ['answers something else', 'P OK In\r\n', 'desync'],
      ['says something that is not IMAP', 'x\r\n', 'desync'],
      ['leaves', '* BYE\r\n', 'login_unavailable'],
    ] as const
  ).map(([what, said, reason]) => ({
    name: `a back-end that ${what} in an exchange has failed`,
    credentials: scram,
    lines: [
      scramGreeting,
      scramAsked,
      `< + ${base64('server-first')}\r\n`,
      '= challenge server-first',
      `< ${said}`,
      `= failed login/${reason}`,
    ],
  })),
  {
    name: 'a line that was begun before its time is no answer',
    credentials: scram,
    lines: [
      scramGreeting,
      scramAsked,
      `< + ${base64('server-first')}\r\n`,
      '= challenge server-first',
      '< L OK I',
      '~ client-final',
      '= failed login/desync',
    ],
  },
  {
    name: 'a challenge is base64',
    credentials: scram,
    lines: [scramGreeting, scramAsked, '< + say more\r\n', '= failed login/bad_reply'],
  },
  {
    name: 'an endless challenge is cut off',
    credentials: scram,
    lines: [scramGreeting, scramAsked, `< + ${'A'.repeat(9000)}`, '= failed login/bad_reply'],
  },
]

const pop3Exchanges: readonly Dialogue[] = [
  {
    name: 'an exchange is carried, with a line for each message',
    credentials: scram,
    lines: [
      '< +OK hi\r\n',
      '> AUTH SCRAM-SHA-256\r\n',
      '< + \r\n',
      `> ${base64(scram.first)}\r\n`,
      `< + ${base64('server-first')}\r\n`,
      '= challenge server-first',
      '~ client-final',
      `> ${base64('client-final')}\r\n`,
      `< + ${base64('v=x')}\r\n`,
      '= challenge v=x',
      '~ ',
      '> \r\n',
      '< +OK In\r\n',
      '= accepted In||',
    ],
  },
  {
    name: 'a back-end that does not know the mechanism has refused',
    credentials: token,
    lines: ['< +OK hi\r\n', '> AUTH OAUTHBEARER\r\n', '< -ERR what\r\n', '= refused'],
  },
  ...(
    [
      ['goes on', '+ QUFB\r\n'],
      ['accepts', '+OK In\r\n'],
      ['refuses', '-ERR [AUTH] no\r\n'],
      ['says something else', 'x\r\n'],
    ] as const
  ).map(([what, said]) => ({
    name: `a back-end that ${what} before it is answered has failed`,
    credentials: token,
    lines: [
      '< +OK hi\r\n',
      '> AUTH OAUTHBEARER\r\n',
      '< + \r\n',
      `> ${renamed}\r\n`,
      `< + ${base64('{}')}\r\n`,
      '= challenge {}',
      `< ${said}`,
      '= failed login/desync',
    ],
  })),
  {
    name: 'a login that was not sent yet is not taken',
    credentials: scram,
    lines: ['< +OK hi\r\n', '> AUTH SCRAM-SHA-256\r\n', '< +OK In\r\n', '= failed login/desync'],
  },
  {
    name: 'a challenge is base64',
    credentials: scram,
    lines: [
      '< +OK hi\r\n',
      '> AUTH SCRAM-SHA-256\r\n',
      '< + \r\n',
      `> ${base64(scram.first)}\r\n`,
      '< + say more\r\n',
      '= failed login/bad_reply',
    ],
  },
]

const sieveScramHello = '< "SASL" "SCRAM-SHA-256 OAUTHBEARER"\r\nOK "hi"\r\n'
const sieveScram = [
  sieveScramHello,
  `> AUTHENTICATE "SCRAM-SHA-256" "${base64(scram.first)}"\r\n`,
  `< "${base64('server-first')}"\r\n`,
  '= challenge server-first',
] as const
const sieveFinal = ['~ client-final', `> "${base64('client-final')}"\r\n`] as const

const sieveExchanges: readonly Dialogue[] = [
  {
    name: 'an exchange is carried, with a string for each message',
    credentials: scram,
    lines: [
      ...sieveScram,
      ...sieveFinal,
      `< {4}\r\n${base64('v=x')}\r\n`,
      '= challenge v=x',
      '~ ',
      '> ""\r\n',
      '< OK "In"\r\n',
      '= accepted In||',
    ],
  },
  {
    name: 'what comes with the OK is asked of the client first',
    credentials: scram,
    lines: [
      ...sieveScram,
      ...sieveFinal,
      `< OK (SASL "${base64('v=x')}") "In"\r\n`,
      '= challenge v=x',
      '~ ',
      '= accepted In||',
    ],
  },
  {
    name: 'what comes after such an OK comes too early',
    isOneSegment: true,
    credentials: scram,
    lines: [
      ...sieveScram,
      ...sieveFinal,
      `< OK (SASL "${base64('v=x')}") "In"\r\nOK "and"\r\n`,
      '= challenge v=x',
      '= failed login/desync',
      '~ ',
    ],
  },
  {
    name: 'of a password nothing is left to say',
    lines: [sieveHello, authenticate, '< OK (SASL "QQ==") "In"\r\n', '= accepted In||'],
  },
  {
    name: 'a token goes with the name that the user has there',
    credentials: token,
    lines: [
      sieveScramHello,
      `> AUTHENTICATE "OAUTHBEARER" "${renamed}"\r\n`,
      '< NO "no"\r\n',
      '= refused',
    ],
  },
  {
    name: 'a long token goes as a literal',
    credentials: { ...token, first: token.first.replace('ttt', 't'.repeat(3000)) },
    lines: [
      sieveScramHello,
      `> AUTHENTICATE "OAUTHBEARER" {${base64(token.first.replace('ann@example.com', 'ann.b').replace('ttt', 't'.repeat(3000))).length}+}\r\n${base64(token.first.replace('ann@example.com', 'ann.b').replace('ttt', 't'.repeat(3000)))}\r\n`,
      '< NO (TRYLATER) "later"\r\n',
      '= failed login/login_unavailable',
    ],
  },
  {
    name: 'a back-end that does not offer the mechanism is not sent a message of it',
    credentials: { ...scram, mechanism: 'SCRAM-SHA-1' },
    lines: [sieveScramHello, '= failed login/no_mechanism'],
  },
  ...(
    [
      ['goes on', '"QUFB"'],
      ['accepts', 'OK "In"'],
      ['refuses', 'NO "no"'],
      ['says something else', 'x'],
    ] as const
  ).map(([what, answer]) => ({
    name: `a back-end that ${what} before it is answered has failed`,
    credentials: scram,
    lines: [...sieveScram, `< ${answer}\r\n`, '= failed login/desync'],
  })),
  {
    name: 'a challenge is base64',
    credentials: scram,
    lines: [...sieveScram, ...sieveFinal, '< "say more"\r\n', '= failed login/bad_reply'],
  },
  {
    name: 'what comes with the OK is base64',
    credentials: scram,
    lines: [...sieveScram, ...sieveFinal, '< OK (SASL "?") "In"\r\n', '= failed login/bad_reply'],
  },
]

/** An administrator that acts for ann. */
const admin: Credentials = { login: 'mailmux', password: 'pw', actsFor: 'ann@example.com' }
const plainFor = base64('ann@example.com\0mailmux\0pw')

const imapAdmin: readonly Dialogue[] = [
  {
    name: 'for whom an administrator acts, PLAIN alone can say',
    credentials: admin,
    lines: [
      greeting,
      `> L AUTHENTICATE PLAIN ${plainFor}\r\n`,
      '< L OK [CAPABILITY IMAP4rev1] In\r\n',
      '= accepted In|IMAP4rev1|',
    ],
  },
  {
    name: 'without PLAIN nobody can act for a user',
    credentials: admin,
    lines: ['< * OK [CAPABILITY IMAP4rev1] hi\r\n', '= failed login/no_mechanism'],
  },
]
const pop3Admin: Dialogue = {
  name: 'for whom an administrator acts, PLAIN alone can say',
  credentials: admin,
  lines: [
    '< +OK hi\r\n',
    '> AUTH PLAIN\r\n',
    '< + \r\n',
    `> ${plainFor}\r\n`,
    '< +OK In\r\n',
    '= accepted In||',
  ],
}
const sieveAdmin: Dialogue = {
  name: 'for whom an administrator acts is said in PLAIN',
  credentials: admin,
  lines: [
    '< "SIEVE" "fileinto"\r\n"SASL" "PLAIN"\r\nOK\r\n',
    `> AUTHENTICATE "PLAIN" "${plainFor}"\r\n`,
    '< OK "In"\r\n',
    '= accepted In||',
  ],
}

const suites = [
  ['imap', [...imap, ...imapExchanges, ...imapAdmin], createImapBackEnd],
  ['pop3', [...pop3, ...pop3Exchanges, pop3Admin], createPop3BackEnd],
  ['sieve', [...sieve, ...sieveExchanges, sieveAdmin], createSieveBackEnd],
] as const

for (const [protocol, dialogues, create] of suites) {
  for (const dialogue of dialogues) {
    test(`${protocol}: ${dialogue.name}`, () => playDialogue(dialogue, create))
  }
}

/** What a back-end with these capabilities is sent for a login with LOGIN, each literal asked for. */
function sentFor(capabilities: string, password: string): string {
  const machine = createImapBackEnd('none', { login: 'ann', password })
  let sent = ''
  let said = `* OK [CAPABILITY IMAP4rev1${capabilities}] hi\r\n`
  while (said !== '') {
    const actions = machine.push(Buffer.from(said))
    const text = actions.map((action) => (action.do === 'send' ? action.text : '')).join('')
    sent += text
    said = /\{\d+\}\r\n$/.test(text) ? '+ go\r\n' : ''
  }
  return sent
}

test('any password of any octets that a client may send arrives as it was', () => {
  const octets = fc.string({
    unit: fc.integer({ min: 1, max: 255 }).map((code) => String.fromCharCode(code)),
    minLength: 1,
  })
  const capabilities = fc.constantFrom('', ' LITERAL-', ' LITERAL+', ' SASL-IR')
  fc.assert(
    fc.property(octets, capabilities, (text, offered) => {
      const password = text.replace(/[\r\n]/g, 'x')
      const sent = sentFor(offered, password)
      const quoted = /^L LOGIN "ann" "([\s\S]*)"\r\n$/.exec(sent)
      const literal = /^L LOGIN \{3\+?\}\r\nann \{(\d+)\+?\}\r\n([\s\S]*)\r\n$/.exec(sent)
      const arrived = quoted?.[1]?.replace(/\\(["\\])/g, '$1') ?? literal?.[2]
      assert.equal(arrived, password)
      if (literal !== null) assert.equal(Number(literal[1]), password.length)
      assert.equal(sent.includes('+}'), literal !== null && offered.startsWith(' LITERAL'))
    }),
  )
})
