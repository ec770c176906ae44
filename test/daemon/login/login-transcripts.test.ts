/** The machines' dialogues once more: over real sockets, with a back-end that plays along. */
import assert from 'node:assert/strict'
import { globSync } from 'node:fs'
import { basename } from 'node:path'
import { before, test } from 'node:test'
import type { LoginService } from '../../../src/config/config.ts'
import { AdminLogins } from '../../../src/daemon/admin-logins.ts'
import type { LoginSession } from '../../../src/daemon/login/login-session.ts'
import { createServerTls, type ServerTls } from '../../../src/net/tls.ts'
import {
  type Authority,
  type IssuedCertificate,
  makeAuthority,
} from '../../support/certificates.ts'
import { FrontEnd } from '../../support/front-end.ts'
import { type Peer, ScriptedBackend } from '../../support/peer.ts'
import {
  fromBase64,
  hear as hearAnswer,
  hearStart,
  said,
  saslWords,
} from '../../support/sasl-login.ts'
import { routeTo } from '../../support/test-runtime.ts'
import { readTranscript, type Transcript, type Turn } from '../../support/transcript.ts'

let authority: Authority
let serverTls: ServerTls
/** Of ann. */
let certificate: IssuedCertificate

before(() => {
  authority = makeAuthority()
  certificate = authority.issueClient({ alternatives: 'email:ann@example.com' })
  serverTls = createServerTls([authority.issue(['mx1.example.com'])], 'TLSv1.2', {
    ca: authority.ca,
    crl: undefined,
  })
})

function strings(json: string): string[] {
  return JSON.parse(`[${json}]`) as string[]
}

/** Octets of a login as a back-end hears them, as latin1 text. */
function octets(login: string): string {
  return Buffer.from(login, 'utf8').toString('latin1')
}

async function imapArgument(peer: Peer): Promise<string> {
  const [, quoted, size] = await peer.expect(/^ (?:"((?:[^"\\]|\\.)*)"|\{(\d+)\+\}\r\n)/)
  if (size === undefined) return (quoted ?? '').replace(/\\(.)/g, '$1')
  return (await peer.expect(new RegExp(`^[^]{${size}}`)))[0]
}

/** Answers that a back-end has for each word of a dialogue. */
const answers = {
  imap: {
    refuse: () => 'L NO [AUTHENTICATIONFAILED] no\r\n',
    unavailable: () => 'L NO [UNAVAILABLE] later\r\n',
    deny: (code: string, text: string) => `L NO [${code}] ${text}\r\n`,
    accept: (text: string, capabilities: string) =>
      capabilities === '' ? `L OK ${text}\r\n` : `L OK [CAPABILITY ${capabilities}] ${text}\r\n`,
  },
  pop3: {
    refuse: () => '-ERR [AUTH] no\r\n',
    unavailable: () => '-ERR [SYS/TEMP] later\r\n',
    deny: (code: string, text: string) => `-ERR [${code}] ${text}\r\n`,
    accept: (text: string) => `+OK ${text}\r\n`,
  },
  sieve: {
    refuse: () => 'NO "no"\r\n',
    unavailable: () => 'NO (TRYLATER) "later"\r\n',
    deny: (code: string, text: string) => `NO (${code}) "${text}"\r\n`,
    accept: (text: string) => `OK {${text.length}}\r\n${text}\r\n`,
  },
  submission: {
    refuse: () => '535 5.7.8 no\r\n',
    unavailable: () => '454 4.7.0 later\r\n',
    deny: () => '535 5.7.8 no\r\n',
    accept: (text: string) => `235 2.7.0 ${text}\r\n`,
  },
} as const

const hear = {
  async imap(peer: Peer): Promise<[string, string]> {
    peer.send('* OK [CAPABILITY IMAP4rev1 LITERAL+] fritz ready\r\n')
    await peer.expect(/^L LOGIN/)
    const heard: [string, string] = [await imapArgument(peer), await imapArgument(peer)]
    await peer.expect(/^\r\n/)
    return heard
  },
  async pop3(peer: Peer): Promise<[string, string]> {
    peer.send('+OK fritz ready\r\n')
    const [, user = ''] = await peer.expect(/^USER (.*)\r\n/)
    peer.send('+OK\r\n')
    const [, password = ''] = await peer.expect(/^PASS (.*)\r\n/)
    return [user, password]
  },
  async sieve(peer: Peer): Promise<[string, string]> {
    peer.send('"SASL" "PLAIN"\r\nOK "fritz ready"\r\n')
    const [, message = ''] = await peer.expect(/^AUTHENTICATE "PLAIN" "(\S+)"\r\n/)
    const [, user = '', password = ''] = fromBase64(message).split('\0')
    return [user, password]
  },
  async submission(peer: Peer): Promise<[string, string]> {
    await saslWords.submission.greet(peer, 'PLAIN')
    const [, message = ''] = await peer.expect(/^AUTH PLAIN (\S+)\r\n/)
    const [, user = '', password = ''] = fromBase64(message).split('\0')
    return [user, password]
  },
} as const

/** A dialogue under way: the client, the front end, and the back-end that was asked last. */
class Stage {
  readonly service: LoginService
  readonly front: FrontEnd
  readonly backend: ScriptedBackend
  readonly client: Peer
  readonly reasons: string[] = []
  #logins = 0
  #peer: Peer | undefined

  constructor(service: LoginService, front: FrontEnd, backend: ScriptedBackend, client: Peer) {
    this.service = service
    this.front = front
    this.backend = backend
    this.client = client
  }

  async say(text: string, isWhole: boolean): Promise<void> {
    const bytes = Buffer.from(text, 'latin1')
    // Byte by byte, but a long turn in pieces that do not take all day.
    const size = isWhole ? bytes.length : Math.ceil(bytes.length / 500)
    for (let start = 0; start < bytes.length; start += size) {
      this.client.send(bytes.subarray(start, start + size))
      if (!isWhole) await new Promise((resolve) => setImmediate(resolve))
    }
  }

  async hears({ text }: Turn): Promise<void> {
    // A daemon tells each in how many seconds.
    const parts = text.split('try again later').map((part) => RegExp.escape(part))
    const pattern = parts.join(String.raw`try again (?:later|in \d+ seconds)`)
    await this.client.expect(new RegExp(`^${pattern}`))
  }

  async driver({ text, at }: Turn): Promise<void> {
    const [word = ''] = text.split(' ', 1)
    const rest = text.slice(word.length + 1)
    const { runtime } = this.front
    switch (word) {
      case 'log-in':
        await this.#logIn(strings(rest), at)
        break
      case 'claim':
        await this.#claim(strings(rest), at)
        break
      case 'exchange':
        await this.#begin(strings(rest), at)
        break
      case 'challenge':
        this.#peer?.send(said(this.service, strings(rest)[0] ?? ''))
        break
      case 'respond':
        assert(this.#peer !== undefined)
        assert.equal(await hearAnswer(this.#peer, this.service), strings(rest)[0], at)
        break
      case 'abandon':
        assert.equal(await this.#peer?.end(), '', at)
        break
      case 'accept':
      case 'refuse':
      case 'unavailable':
      case 'deny':
        await this.#answer(word, strings(rest))
        break
      case 'start-tls':
        await this.client.startTls({ ca: authority.ca, servername: 'mx1.example.com' })
        break
      case 'event':
        this.reasons.push(rest)
        assert.equal((await runtime.waitFor('refuse', this.reasons.length)).reason, rest, at)
        break
      case 'close':
        assert.equal(await this.client.end(), '', at)
        assert.equal((await runtime.waitFor('session.end')).end, rest, at)
        break
      case 'join':
        await this.#joined(strings(rest)[0] ?? '')
        break
      case 'time-out':
        for (const session of runtime.sessions) (session as LoginSession).outOfPatience()
        break
      case 'shut-down':
        for (const session of runtime.sessions) session.shutdown()
        break
      default:
        assert.equal(word, 'brake', at)
    }
  }

  async #logIn([login = '', password = '']: readonly string[], at: string): Promise<void> {
    const peer = await this.backend.peerNumber(this.#logins++)
    this.#peer = peer
    assert.deepEqual(await hear[this.service](peer), [octets(login), password], at)
  }

  /** By her certificate ann is logged in by an administrator; nobody else is asked for. */
  async #claim([login = '']: readonly string[], at: string): Promise<void> {
    this.#peer = undefined
    if (login !== '' && login.toLowerCase() !== 'ann@example.com') return
    this.#peer = await this.backend.peerNumber(this.#logins++)
    assert.deepEqual(await hear[this.service](this.#peer), ['ann*mailmux', 'admin secret'], at)
  }

  async #begin([mechanism = '', , first = '']: readonly string[], at: string): Promise<void> {
    const peer = await this.backend.peerNumber(this.#logins++)
    this.#peer = peer
    const heard = await hearStart(peer, this.service)
    assert.deepEqual(heard, { mechanism, first }, at)
  }

  async #answer(word: keyof typeof answers.imap, words: readonly string[]): Promise<void> {
    const [first = '', second = ''] = words
    const peer = this.#peer
    if (peer === undefined && word === 'refuse') return
    assert(peer !== undefined)
    // Too late: nobody listens any more.
    if (this.client.closed) return
    peer.send(answers[this.service][word](first, second))
    if (this.service !== 'imap' || word !== 'accept' || second !== '') return
    await peer.expect(/^P CAPABILITY\r\n/)
    peer.send('P BAD no\r\n')
  }

  /** What was pipelined has come to the back-end, once, and the two are joined. */
  async #joined(pipelined: string): Promise<void> {
    const peer = this.#peer
    assert(peer !== undefined)
    peer.send('over\r\n')
    await this.client.expect(/^over\r\n/)
    this.client.socket.end('and out\r\n')
    assert.equal(await peer.end(), `${pipelined}and out\r\n`)
  }
}

async function play(
  service: LoginService,
  transcript: Transcript,
  isWhole: boolean,
): Promise<void> {
  const { options, turns } = transcript
  const routes = turns.flatMap(({ text }) => {
    const [, word = '', rest = ''] = /^(log-in|exchange) (.*)$/.exec(text) ?? []
    if (word === '') return []
    const login = strings(rest)[word === 'log-in' ? 0 : 1] ?? ''
    const user = login.includes('@') ? login : `${login}@example.com`
    return [[user, routeTo('fritz', user, login)] as const]
  })
  await using backend = await ScriptedBackend.start(() => Promise.resolve())
  await using front = await FrontEnd.start({
    service,
    backendPort: backend.port,
    serverTls,
    tls: options.secure ? 'implicit' : options.offersTls ? 'starttls' : 'none',
    routes: Object.fromEntries(routes),
    limits: { auth_failure_delay: '1ms' },
    backendLines: ['admin: {user: mailmux, password_file: secret}'],
    certified: new AdminLogins(new Map([['fritz', 'admin secret']])),
    ...(options.mechanisms === undefined ? {} : { mechanisms: options.mechanisms }),
  })
  using client = await front.connect()
  const own = options.mechanisms?.includes('EXTERNAL') === true ? certificate : {}
  const tls = { ca: authority.ca, servername: 'mx1.example.com', ...own }
  if (options.secure) await client.startTls(tls)
  const stage = new Stage(service, front, backend, client)
  for (let index = 0; index < turns.length; index++) {
    const turn = turns[index]
    assert(turn !== undefined)
    if (turn.from === 'S') await stage.hears(turn)
    else if (turn.from === 'D') await stage.driver(turn)
    else {
      let { text } = turn
      while (turns[index + 1]?.from === 'C') text += turns[++index]?.text
      await stage.say(text, isWhole)
    }
  }
  assert.equal(client.unread, '')
  assert.deepEqual(
    front.runtime.eventsOf('refuse').map(({ reason }) => reason),
    stage.reasons,
  )
}

for (const service of ['imap', 'pop3', 'sieve', 'submission'] as const) {
  const transcripts = globSync(`test/transcripts/${service}/*.txt`).map(readTranscript)
  // The loopback address may always log in without TLS: who may not cannot be played from here.
  const playable = transcripts.filter(({ options }) => options.secure || options.allowsCleartext)
  test(`there are dialogues in ${service} to play`, () => assert(playable.length >= 8))
  for (const transcript of playable) {
    const title = basename(transcript.file, '.txt').replaceAll('-', ' ')
    test(`${service}, live: ${title}`, async () => {
      await play(service, transcript, true)
      if (!transcript.isOneSegment) await play(service, transcript, false)
    })
  }
}
