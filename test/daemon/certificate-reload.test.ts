/** A daemon that takes certificates of clients: what it reads at its start, and again at a reload. */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { test } from 'node:test'
import type { TLSSocket } from 'node:tls'
import { type IssuedCertificate, makeAuthority } from '../support/certificates.ts'
import { buildMapOf, type Daemon, startDaemon } from '../support/daemon.ts'
import { Peer, ScriptedBackend } from '../support/peer.ts'
import { tempDir } from '../support/temp-dir.ts'

const own = makeAuthority()
const [before, after] = [makeAuthority('before'), makeAuthority('after')]
const alternatives = 'email:ann@example.com'

/** Takes ann, whom its administrator logs in. */
async function serveAdmin(peer: Peer): Promise<void> {
  peer.send('* OK [CAPABILITY IMAP4rev1] fritz ready\r\n')
  const line = await peer.line().catch(() => '')
  const [tag = ''] = line.split(' ')
  if (/ LOGIN "?ann@example\.com\*mailmux"? "admin secret"$/.test(line)) {
    peer.send(`${tag} OK [CAPABILITY IMAP4rev1] in\r\n`)
  } else peer.send(`${tag} NO no\r\n`)
  await peer.end()
}

interface Session {
  readonly answer: string
  readonly ticket: Buffer | undefined
  readonly isResumed: boolean
}

async function logIn(
  daemon: Daemon,
  shown: Partial<IssuedCertificate> & { readonly session?: Buffer },
): Promise<Session> {
  using client = await Peer.connect(daemon.port('imap'))
  const options = { ca: own.ca, servername: 'mx1.example.com', ...shown }
  const socket: TLSSocket = await client.startTls(options)
  await client.line()
  // By TLS 1.3 tickets come before the first data.
  const ticket = socket.getSession()
  const answer = await client.send('a AUTHENTICATE EXTERNAL =\r\n').line()
  return { answer, ticket, isResumed: socket.isSessionReused() }
}

test('authorities of clients are read at the start and at a reload, and bad ones leave the old in force', async () => {
  await using backend = await ScriptedBackend.start(serveAdmin)
  using dir = tempDir()
  const pair = own.issue(['mx1.example.com'])
  writeFileSync(dir.join('cert.pem'), pair.cert)
  writeFileSync(dir.join('key.pem'), pair.key)
  writeFileSync(dir.join('clients.pem'), before.ca)
  writeFileSync(dir.join('revoked.pem'), before.revocations([]))
  writeFileSync(dir.join('admin'), 'admin secret\n', { mode: 0o600 })
  writeFileSync(dir.join('user_map'), 'ann fritz\n')
  const config = `hostname: mx1.example.com
domains: [example.com]
backends:
  fritz: {host: 127.0.0.1, imap: ${backend.port}, admin: {user: mailmux, password_file: admin}}
map: {user_map: user_map}
tls: {certificates: [{cert: cert.pem, key: key.pem}], client_ca: clients.pem, client_crl: revoked.pem}
listen: {imap: [{address: "127.0.0.1:0", tls: implicit}]}
limits: {auth_failure_delay: 20ms}
workers: 2
probe_interval: 0s
`
  await buildMapOf(dir, config)
  await using daemon = await startDaemon({ dir, config })
  const ofBefore = before.issueClient({ alternatives })
  const ofAfter = after.issueClient({ alternatives })
  const first = await logIn(daemon, ofBefore)
  assert.match(first.answer, /^a OK /)
  const session = first.ticket
  assert(session !== undefined)
  // At whichever worker.
  for (let count = 0; count < 6; count++) {
    const again = await logIn(daemon, { session })
    assert.equal(again.isResumed, true)
    assert.match(again.answer, /^a OK /)
  }
  assert.match((await logIn(daemon, ofAfter)).answer, /^a NO \[CANNOT\]/)
  assert.equal((await daemon.waitFor('client.certificate')).reason, 'unverified')

  for (const [file, text, good, problem] of [
    [
      'clients.pem',
      `${after.ca}-----BEGIN CERTIFICATE-----\n`,
      before.ca,
      /clients\.pem, \S+revoked\.pem: not PEM text of CERT/,
    ],
    ['revoked.pem', before.ca, before.revocations([]), /revoked\.pem: not PEM text of X509 CRL/],
    ['admin', '', 'admin secret\n', /admin: it is empty/],
  ] as const) {
    writeFileSync(dir.join(file), text)
    const { code, stderr } = await daemon.command('reload')
    assert.equal(code, 78, file)
    assert.match(stderr, problem)
    assert.match((await logIn(daemon, ofBefore)).answer, /^a OK /)
    assert.match((await logIn(daemon, ofAfter)).answer, /^a NO \[CANNOT\]/)
    writeFileSync(dir.join(file), good)
  }

  const revoked = before.issueClient({ alternatives })
  assert.match((await logIn(daemon, revoked)).answer, /^a OK /)
  writeFileSync(dir.join('revoked.pem'), before.revocations([revoked]))
  assert.equal((await daemon.command('reload')).code, 0)
  assert.match((await logIn(daemon, revoked)).answer, /^a NO \[CANNOT\]/)
  assert.match((await logIn(daemon, ofBefore)).answer, /^a OK /)

  writeFileSync(dir.join('clients.pem'), after.ca)
  writeFileSync(dir.join('revoked.pem'), after.revocations([]))
  assert.equal((await daemon.command('reload')).code, 0)
  assert.match((await logIn(daemon, ofAfter)).answer, /^a OK /)
  for (const shown of [ofBefore, { session }, { ...ofBefore, session }]) {
    const { answer, isResumed } = await logIn(daemon, shown)
    assert.equal(isResumed, false)
    assert.match(answer, /^a NO \[CANNOT\]/)
  }

  writeFileSync(daemon.configFile, daemonConfigWithout(config))
  assert.equal((await daemon.command('reload')).code, 0)
  assert.match((await logIn(daemon, ofAfter)).answer, /^a NO \[CANNOT\]/)
  assert.doesNotMatch(JSON.stringify(daemon.events), /secret/)
})

/** Nobody is asked for a certificate any more. */
function daemonConfigWithout(config: string): string {
  return `run_dir: run\nstate_dir: state\n${config.replace(/, client_ca: .*(?=\})/, '')}`
}
