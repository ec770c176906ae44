/** Passwords without TLS, with a real daemon: taken from this host alone, whoever a proxy says it is for. */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { after, before, test } from 'node:test'
import { formatProxyHeader } from '../../src/protocol/proxy-header.ts'
import { makeAuthority } from '../support/certificates.ts'
import { buildMapOf, type Daemon, startDaemon } from '../support/daemon.ts'
import { loginServices } from '../support/login-words.ts'
import { Peer, ScriptedBackend } from '../support/peer.ts'
import { tempDir } from '../support/temp-dir.ts'

/** Nobody logs in there; that it is asked at all is what counts. */
async function hangUp(peer: Peer): Promise<void> {
  peer.socket.destroy()
}

const stack = new AsyncDisposableStack()
let daemon: Daemon
let fritz: ScriptedBackend

before(async () => {
  fritz = stack.use(await ScriptedBackend.start(hangUp))
  const { port } = fritz
  const dir = stack.use(tempDir())
  const { cert, key } = makeAuthority().issue(['localhost'])
  writeFileSync(dir.join('cert.pem'), cert)
  writeFileSync(dir.join('key.pem'), key)
  const listener = '[{address: "127.0.0.1:0", proxy: require, tls: starttls}]'
  const config = `hostname: mx.example.com
domains: [example.com]
client_names: none
trusted_proxies: [127.0.0.1]
probe_interval: 0s
backends:
  fritz: {host: 127.0.0.1, imap: ${port}, pop3: ${port}, sieve: ${port}, submission: ${port}}
map: {rules: rules}
tls: {certificates: [{cert: cert.pem, key: key.pem}]}
listen: {imap: ${listener}, pop3: ${listener}, sieve: ${listener}, submission: ${listener}}
workers: 1
`
  writeFileSync(dir.join('rules'), '* fritz\n')
  await buildMapOf(dir, config)
  daemon = stack.use(await startDaemon({ dir, config }))
})

after(() => stack.disposeAsync())

const plain = Buffer.from('\0ann\0secret').toString('base64')
const dialogues = {
  imap: {
    steps: [
      [/^\* OK .*\r\n/, 'a LOGIN ann secret\r\n'],
      [/^a NO \[(PRIVACYREQUIRED|UNAVAILABLE)\] .*\r\n/, ''],
    ],
    refusal: 'PRIVACYREQUIRED',
  },
  pop3: {
    steps: [
      [/^\+OK .*\r\n/, `AUTH PLAIN ${plain}\r\n`],
      [/^-ERR \[(AUTH|SYS\/TEMP)\] .*\r\n/, ''],
    ],
    refusal: 'AUTH',
  },
  sieve: {
    steps: [
      [/^OK .*\r\n/m, `AUTHENTICATE "PLAIN" "${plain}"\r\n`],
      [/^NO \((ENCRYPT-NEEDED|TRYLATER)\) .*\r\n/, ''],
    ],
    refusal: 'ENCRYPT-NEEDED',
  },
  submission: {
    steps: [
      [/^220 .*\r\n/, 'EHLO c\r\n'],
      [/^250 .*\r\n/m, `AUTH PLAIN ${plain}\r\n`],
      [/^(538|454) .*\r\n/, ''],
    ],
    refusal: '538',
  },
} as const

/** What a login is answered whose client a proxy names so. */
async function answerTo(service: keyof typeof dialogues, address: string): Promise<unknown> {
  using client = await Peer.connect(daemon.port(service))
  const isV6 = address.includes(':')
  const destination = { address: isV6 ? '2001:db8::1' : '198.51.100.1', port: 143 }
  const source = { address, port: 40_123 }
  client.send(formatProxyHeader(2, { kind: 'proxied', source, destination }))
  let found: unknown
  for (const [pattern, reply] of dialogues[service].steps) {
    ;[, found] = await client.expect(pattern)
    client.send(reply)
  }
  return found
}

for (const service of loginServices) {
  test(`${service}: a password in clear text is refused from elsewhere, and goes nowhere`, async () => {
    const before = fritz.peers.length
    for (const address of ['192.0.2.7', '2001:db8::7']) {
      assert.equal(await answerTo(service, address), dialogues[service].refusal)
    }
    assert.equal(fritz.peers.length, before)
  })

  test(`${service}: from this host it is tried`, async () => {
    const before = fritz.peers.length
    assert.notEqual(await answerTo(service, '127.0.0.1'), dialogues[service].refusal)
    assert.ok(fritz.peers.length > before)
  })
}
