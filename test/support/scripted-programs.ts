/** Rounds of programs that say what they are told to: curl, openssl s_client, Python's clients. */
import { spawn } from 'node:child_process'
import { globSync, readFileSync } from 'node:fs'
import { basename } from 'node:path'
import { fileURLToPath } from 'node:url'
import { base64 } from './sasl-login.ts'
import { brief, password, sinceLogin, type Twin } from './twin.ts'

/** What curl does one after the other in one session: lines of its config, but for the server. */
type Transfer = { readonly path: string; readonly lines?: readonly string[] }

/** As a transfer of which the answer is shown, and no more. */
function request(words: string, path = '/INBOX'): Transfer {
  return { path, lines: [`request = ${JSON.stringify(words)}`] }
}

const imapTransfers: readonly Transfer[] = [
  { path: '/' },
  { path: '/INBOX?ALL' },
  { path: '/INBOX?HEADER%20Subject%20dots' },
  ...['1', '2', '3', '4', '5'].map((uid) => ({ path: `/INBOX/;UID=${uid}` })),
  { path: '/INBOX/;MAILINDEX=1;SECTION=HEADER.FIELDS%20(SUBJECT)' },
  { path: '/with%20blank/;UID=1;SECTION=TEXT' },
  request('STORE 1 +FLAGS (\\Flagged by-curl)'),
  request('FETCH 1:* (UID FLAGS RFC822.SIZE)'),
  { path: '/INBOX', lines: ['upload-file = "letter"'] },
  request('FETCH * (UID FLAGS BODY.PEEK[HEADER])'),
  request('CREATE made', '/'),
  request('COPY 2 made'),
  request('STORE 2 +FLAGS (\\Deleted)'),
  request('EXPUNGE'),
  request('STATUS made (MESSAGES UIDNEXT UNSEEN)', '/'),
  request('CLOSE'),
  // Refused, which ends the session.
  request('FETCH 99 (FLAGS)'),
]

const pop3Transfers: readonly Transfer[] = [
  { path: '/' },
  request('UIDL', '/'),
  ...['1', '2', '3', '4', '5'].map((number) => ({ path: `/${number}` })),
  request('TOP 2 1', '/'),
  { path: '/', lines: ['request = "STAT"', 'head'] },
  { path: '/1', lines: ['request = "DELE"', 'head'] },
  { path: '/', lines: ['request = "NOOP"', 'head'] },
  { path: '/', lines: ['list-only'] },
  // Refused, which ends the session.
  { path: '/1', lines: ['request = "DELE"', 'head'] },
]

/** The proxies put them into every answer to a login, Dovecot not always: some it tells untagged. */
function withoutCapabilities(answer: string): string {
  return answer.replace(/\[CAPABILITY [^\]]*\] /, '')
}

export function curlRound(protocol: 'imap' | 'pop3') {
  const transfers = protocol === 'imap' ? imapTransfers : pop3Transfers
  return async (twin: Twin): Promise<unknown> => {
    twin.write('letter', 'Subject: by curl\r\n\r\n.hello\r\n')
    const parts = transfers.map(({ path, lines = [] }, index) =>
      [
        `url = "${protocol}://localhost:${twin.ports[protocol]}${path}"`,
        `user = "${twin.login}:${password}"`,
        'login-options = "AUTH=PLAIN"',
        'ssl-reqd',
        `cacert = "${twin.caFile}"`,
        `output = "got-${String(index).padStart(2, '0')}"`,
        ...lines,
        '',
      ].join('\n'),
    )
    const file = twin.write('curlrc', parts.join('next\n'))
    // Some of what is asked for is refused, so that it ends with an error.
    const options = ['-q', '--verbose', '--no-progress-meter', '-K', file]
    const { stderr } = await twin.attempt('curl', ...options)
    const [answer = '', ...said] = sinceLogin(twin.neutral(stderr)).filter((line) =>
      /^[<>] /.test(line),
    )
    const got = globSync(twin.join('got-*'))
      .sort()
      .map((name) => [basename(name), brief(twin.neutral(readFileSync(name, 'latin1')))])
    // The proxies log in to Cyrus by LOGIN, or USER and PASS, which it answers otherwise than PLAIN.
    return { answer: twin.backend === 'klaus' ? '' : withoutCapabilities(answer), said, got }
  }
}

const appended = 'Subject: by openssl\r\n\r\n.hello\r\n'

/** The one message of SASL's PLAIN. */
function plainMessage(twin: Twin): string {
  return base64(`\0${twin.login}\0${password}`)
}

/** What is said at once, and what is heard before more is said. */
type Part = readonly [string, RegExp]

/** A command of IMAP, of a tag of one letter. */
function tagged(command: string): Part {
  return [command, new RegExp(`^${command.charAt(0)} (?:OK|NO|BAD) .*\r\n`, 'm')]
}

const logsIn = /^.*(?:OK|235) .*(?:logged in|locked and ready).*\r\n/im

const dialogues: Readonly<Record<string, (twin: Twin) => readonly Part[]>> = {
  // Not all at once: Dovecot takes up what comes while it still works.
  imap: (twin) => [
    [`a LOGIN "${twin.login}" "${password}"\nb LIST "" *`, /^b OK .*\r\n/m],
    tagged('c SELECT INBOX'),
    tagged('d FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[])'),
    tagged('e STORE 1 +FLAGS (\\Flagged by-openssl)'),
    tagged(
      `f APPEND INBOX (\\Draft) " 3-Nov-2020 12:00:00 +0000" {${appended.length}+}\n` +
        appended.replaceAll('\r\n', '\n'),
    ),
    tagged('g UID SEARCH SUBJECT openssl'),
    ['h IDLE', /^\+ .*\r\n/m],
    ['DONE', /^h OK .*\r\n/m],
    tagged('i COPY 1,6 "with blank"'),
    tagged('j STORE 2,6 +FLAGS.SILENT (\\Deleted)'),
    tagged('k EXPUNGE'),
    tagged('l STATUS "with blank" (MESSAGES UIDNEXT UNSEEN)'),
    tagged('m NONSENSE'),
    tagged('n LOGOUT'),
  ],
  pop3: (twin) => [
    [
      `USER ${twin.login}\nPASS ${password}\nSTAT\nLIST\nUIDL\nRETR 2\nRETR 4\nTOP 3 1\n` +
        'DELE 2\nRSET\nDELE 1\nLIST 1\nNONSENSE\nQUIT',
      logsIn,
    ],
  ],
  smtp: (twin) => [
    [
      `EHLO client.example.net\nAUTH PLAIN ${plainMessage(twin)}\nEHLO client.example.net\n` +
        `MAIL FROM:<${twin.login}> SIZE=100\nRCPT TO:<nobody@example.net>\n` +
        `RCPT TO:<${twin.login}>\nDATA\nSubject: by openssl\nMessage-Id: <openssl@example.net>\n` +
        '\n..dot\n.\nNOOP\nVRFY x\nNONSENSE\nQUIT',
      logsIn,
    ],
  ],
  sieve: (twin) => [
    // Dovecot 2.3.19 closes where a script comes along with the login.
    [`AUTHENTICATE "PLAIN" "${plainMessage(twin)}"`, logsIn],
    [
      'CAPABILITY\nHAVESPACE "kept" 100\nPUTSCRIPT "kept" "keep;"\nPUTSCRIPT "bad" "no script;"\n' +
        'SETACTIVE "kept"\nLISTSCRIPTS\nGETSCRIPT "kept"\nDELETESCRIPT "kept"\n' +
        'RENAMESCRIPT "kept" "renamed"\nSETACTIVE ""\nDELETESCRIPT "renamed"\nNONSENSE\nLOGOUT',
      /^OK "Logout completed\."\r\n/m,
    ],
  ],
}

/** The protocols, as openssl calls them, or with an s for implicit TLS, and the ports. */
const portOf = {
  imap: 'imap',
  imaps: 'imaps',
  pop3: 'pop3',
  pop3s: 'pop3s',
  sieve: 'sieve',
  smtp: 'submission',
} as const

export function opensslRound(service: keyof typeof portOf) {
  return async (twin: Twin): Promise<unknown> => {
    const protocol = service.replace(/s$/, '')
    const way = ['-connect', `localhost:${twin.ports[portOf[service]]}`]
    const trust = ['-CAfile', twin.caFile, '-verify_return_error']
    const begin = service === protocol ? ['-starttls', protocol] : []
    const options = ['s_client', '-quiet', '-crlf', ...way, ...trust, ...begin]
    const heard = await converse(options, dialogues[protocol]?.(twin) ?? [])
    const [answer = '', ...others] = sinceLogin(twin.neutral(heard))
    return [withoutCapabilities(answer), ...others.map(brief)]
  }
}

/** What openssl hears until the server closes, as latin1. */
async function converse(options: readonly string[], parts: readonly Part[]): Promise<string> {
  const stdio: ['pipe', 'pipe', 'ignore'] = ['pipe', 'pipe', 'ignore']
  const child = spawn('openssl', options, { stdio, timeout: 30_000 })
  const input = child.stdin.on('error', () => undefined)
  const rest = [...parts]
  input.write(`${rest[0]?.[0]}\n`)
  let heard = ''
  let fresh = ''
  for await (const chunk of child.stdout.setEncoding('latin1')) {
    heard += chunk as string
    fresh += chunk as string
    if (rest[0]?.[1].test(fresh) !== true) continue
    fresh = ''
    rest.shift()
    if (rest[0] !== undefined) input.write(`${rest[0][0]}\n`)
  }
  input.end()
  return heard
}

const rounds = fileURLToPath(new URL('../servers/programs/round.py', import.meta.url))

/** Python's own clients. */
export function pythonRound(protocol: 'imap' | 'pop3') {
  return async (twin: Twin): Promise<unknown> => {
    const login = [String(twin.ports[protocol]), twin.login, password]
    const words = [rounds, protocol, ...login, String(twin.imapOfBackend)]
    return (await twin.octets('python3', ...words)).split('\n')
  }
}
