/** Logins that are judged by us, and taken to the back-end by its administrator. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { after, before, test } from 'node:test'
import { byHashes, LoginVerifier } from '../../../src/daemon/login/login-verifier.ts'
import { FrontEnd, type FrontEndOptions } from '../../support/front-end.ts'
import { type Peer, ScriptedBackend } from '../../support/peer.ts'
import { routeTo } from '../../support/test-runtime.ts'

const hash = execFileSync('openssl', ['passwd', '-6', '-salt', 'abcdefgh', 'right'])
  .toString()
  .trim()
const hashes = new Map([
  ['ann@example.com', hash],
  ['locked@example.com', ''],
])
const verifier = new LoginVerifier(byHashes(hashes), new Map([['fritz', 'admin secret']]))

/** What the back-end was told at logins, and what it answers. */
let said: string[] = []
let answer = 'OK [CAPABILITY IMAP4rev1] in'
let imap: ScriptedBackend

before(async () => {
  imap = await ScriptedBackend.start(async (peer) => {
    peer.send('* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN] fritz ready\r\n')
    const [tag = '', ...rest] = (await peer.line()).split(' ')
    said.push(rest.join(' '))
    peer.send(`${tag} ${answer}\r\n`)
    await peer.end()
  })
})
after(() => imap[Symbol.asyncDispose]())

function startFront(
  style: 'master' | 'authzid',
  options: Partial<FrontEndOptions> = {},
): Promise<FrontEnd> {
  said = []
  answer = 'OK [CAPABILITY IMAP4rev1] in'
  return FrontEnd.start({
    service: 'imap',
    backendPort: imap.port,
    verifier,
    backendLines: [`admin: {user: mailmux, password_file: s, style: ${style}}`],
    config: ['auth: {mode: verify, passwd_file: p}'],
    routes: { 'locked@example.com': routeTo('fritz', 'locked@example.com') },
    mechanisms: ['PLAIN', 'SCRAM-SHA-256', 'OAUTHBEARER'],
    ...options,
  })
}

async function logIn(front: FrontEnd, login: string, password: string): Promise<Peer> {
  const client = await front.connect()
  await client.expect(/^\* OK .*\r\n/)
  client.send(`a LOGIN ${login} ${password}\r\n`)
  return client
}

test('who knows the password is logged in by the administrator, who alone is seen by the back-end', async () => {
  for (const style of ['master', 'authzid'] as const) {
    await using front = await startFront(style)
    using client = await logIn(front, 'Ann@example.com', 'right')
    await client.expect(/^a OK .*\r\n/)
    const [login = ''] = said
    const plain = Buffer.from(/PLAIN (\S+)/.exec(login)?.[1] ?? '', 'base64').toString()
    if (style === 'authzid') assert.equal(plain, 'ann\0mailmux\0admin secret')
    else assert.match(login + plain, /ann\*mailmux.*admin secret/s)
    assert.doesNotMatch(login + plain, /right/)
    assert.doesNotMatch(JSON.stringify(front.runtime.events), /right|secret/)
  }
})

test('a wrong password, a locked user and one without a line are one answer, and ask no back-end', async () => {
  await using front = await startFront('master', { limits: { auth_failure_delay: '60ms' } })
  for (const [login, password] of [
    ['ann', 'wrong'],
    ['locked', 'right'],
    ['nobody', 'right'],
    ['ann*mailmux', 'right'],
  ] as const) {
    using client = await logIn(front, login, password)
    const startedAt = performance.now()
    await client.expect(/^a NO \[AUTHENTICATIONFAILED\] .*\r\n/)
    assert.ok(performance.now() - startedAt >= 55, login)
  }
  assert.deepEqual(said, [])
  assert.deepEqual(front.runtime.eventsOf('backend'), [])
})

test('a back-end that refuses its administrator is at fault, not the user', async () => {
  await using front = await startFront('master')
  answer = 'NO [AUTHENTICATIONFAILED] no'
  using client = await logIn(front, 'ann', 'right')
  await client.expect(/^a NO \[UNAVAILABLE\] .*\r\n/)
  const [event] = front.runtime.eventsOf('backend')
  assert.equal(event?.reason, 'admin_refused')
})

test('where nobody can judge a password, the login is put off, and the log tells why', async () => {
  const unsure = new LoginVerifier(async () => undefined, new Map([['fritz', 'admin secret']]))
  await using front = await startFront('master', { verifier: unsure })
  using client = await logIn(front, 'ann', 'right')
  await client.expect(/^a NO \[UNAVAILABLE\] .*\r\n/)
  assert.match(front.runtime.eventsOf('internal')[0]?.detail ?? '', /no answer about a password$/)
  assert.deepEqual(said, [])
})

test('no exchange is offered, whatever back-ends could carry on', async () => {
  await using front = await startFront('master')
  using client = await front.connect()
  const [greeting] = await client.expect(/^\* OK .*\r\n/)
  assert.match(greeting, /AUTH=PLAIN/)
  assert.doesNotMatch(greeting, /SCRAM|OAUTH/)
  client.send('a AUTHENTICATE SCRAM-SHA-256 biwsbj1hbm4scj1hYmM=\r\n')
  await client.expect(/^a (?:NO|BAD) .*\r\n/)
  assert.deepEqual(said, [])
})

test('by POP3 it is the same', async () => {
  await using pop3 = await ScriptedBackend.start(async (peer) => {
    peer.send('+OK fritz ready\r\n')
    const user = await peer.line()
    peer.send('+OK\r\n')
    said.push(user, await peer.line())
    peer.send('+OK in\r\n')
    await peer.end()
  })
  await using front = await startFront('master', {
    service: 'pop3',
    backendPort: pop3.port,
  })
  using client = await front.connect()
  await client.expect(/^\+OK .*\r\n/)
  client.send('USER ann\r\nPASS right\r\n')
  await client.expect(/^\+OK.*\r\n\+OK.*\r\n/)
  assert.deepEqual(said, ['USER ann*mailmux', 'PASS admin secret'])
})
