/** Listeners behind a proxy, with a real daemon: nobody but the proxy is heard, and what it says counts. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { formatProxyHeader } from '../../src/protocol/proxy-header.ts'
import { makeAuthority } from '../support/certificates.ts'
import { buildMapOf, type Daemon, startDaemon } from '../support/daemon.ts'
import { deliver } from '../support/message.ts'
import { Peer, ScriptedBackend } from '../support/peer.ts'
import { Sink } from '../support/relay.ts'
import { tempDir } from '../support/temp-dir.ts'
import { runTool } from '../support/tools.ts'
import { writeFileSync } from 'node:fs'

const stack = new AsyncDisposableStack()
let daemon: Daemon
let sink: Sink
const imapSeen: string[] = []
const sieveSeen: string[] = []
const authority = makeAuthority()

before(async () => {
  const started = await Sink.start()
  sink = started.sink
  const fritz = stack.use(started.backend)
  const imap = stack.use(
    await ScriptedBackend.start(async (peer) => {
      const [header] = await peer.expect(/^PROXY .*\r\n/)
      imapSeen.push(header)
      peer.send('* OK fritz\r\n')
      await peer.line()
      peer.send('* CAPABILITY IMAP4rev1\r\n1 NO no\r\n')
    }),
  )
  const sieve = stack.use(
    await ScriptedBackend.start(async (peer) => {
      const [header] = await peer.expect(/^PROXY .*\r\n/)
      sieveSeen.push(header)
      peer.send('"SASL" "PLAIN"\r\nOK\r\n')
      await peer.line()
      peer.send('NO\r\n')
    }),
  )
  const dir = stack.use(tempDir())
  const own = authority.issue(['localhost'])
  writeFileSync(dir.join('cert.pem'), own.cert)
  writeFileSync(dir.join('key.pem'), own.key)
  const config = `hostname: mx.example.com
domains: [example.com]
client_names: none
trusted_proxies: [127.0.0.1]
limits: {sessions_per_ip: 4, exempt: []}
backends:
  fritz: {host: 127.0.0.1, smtp: ${fritz.port}}
  ingrid: {host: 127.0.0.1, imap: ${imap.port}, sieve: ${sieve.port}, client_address: proxy-v1}
map: {rules: rules, popmap: popmap}
tls: {certificates: [{cert: cert.pem, key: key.pem}]}
listen:
  smtp: [{address: "127.0.0.1:0", proxy: require}]
  imap: [{address: "127.0.0.1:0", proxy: require, tls: implicit}]
  pop3: ["127.0.0.1:0"]
  sieve: [{address: "127.0.0.1:0", proxy: require, tls: none, auth_allow_cleartext: true}]
workers: 1
`
  writeFileSync(dir.join('rules'), '* fritz\n')
  writeFileSync(dir.join('popmap'), 'ann@example.com: ingrid\n')
  await buildMapOf(dir, config)
  daemon = stack.use(await startDaemon({ dir, config }))
})

after(() => stack.disposeAsync())

const from = { address: '192.0.2.7', port: 40123 }
const to = { address: '198.51.100.1', port: 25 }
const header = formatProxyHeader(2, { kind: 'proxied', source: from, destination: to })

/** How often a peer was refused for its header so far. */
function refusals(): number {
  return daemon.eventsOf('refuse').filter(({ reason }) => reason === 'proxy_hdr').length
}

async function refused(count: number): Promise<void> {
  for (let seen = 1; refusals() < count; seen++) await daemon.waitFor('refuse', seen)
}

test('the client that the header names is the one in the message and the log', async () => {
  for (const bytes of [
    header,
    formatProxyHeader(1, { kind: 'proxied', source: from, destination: to }),
  ]) {
    using client = await Peer.connect(daemon.port('smtp'))
    for (const octet of bytes) client.send(Buffer.of(octet))
    await client.expect(/^220 .*\r\n/)
    const envelope = ['EHLO c', 'MAIL FROM:<bob@example.net>', 'RCPT TO:<ann@example.com>']
    assert.match(await deliver(client, ...envelope), /^250 2\.0\.0 stored/)
    assert.match(sink.stored.at(-1)?.data ?? '', /^Received: from c \(\[192\.0\.2\.7\]\)\r\n/)
    const event = await daemon.waitFor('message', sink.stored.length)
    assert.equal(event['peer'], '192.0.2.7:40123')
  }
})

test('who speaks along with the header does not wait to be greeted', async () => {
  using client = await Peer.connect(daemon.port('smtp'))
  client.send(Buffer.concat([header, Buffer.from('EHLO c\r\n')]))
  assert.match(await client.end(), /^554 5\.5\.0 .*\r\n$/)
  const reasons = () => daemon.eventsOf('refuse').map(({ reason }) => reason)
  for (let seen = 1; !reasons().includes('early_talker'); seen++)
    await daemon.waitFor('refuse', seen)
})

test('TLS begins after the header, and the back-end of a login is told', async () => {
  using client = await Peer.connect(daemon.port('imap'))
  client.send(header)
  await client.startTls({ ca: authority.ca, servername: 'localhost' })
  await client.expect(/^\* OK .*\r\n/)
  client.send('a LOGIN ann secret\r\n')
  await client.expect(/^a NO /)
  // Besides, a worker asks it for itself how one may log in.
  const told = imapSeen.filter((line) => !line.startsWith('PROXY TCP4 127.0.0.1 '))
  assert.deepEqual(told, ['PROXY TCP4 192.0.2.7 198.51.100.1 40123 25\r\n'])
})

test('a ManageSieve client behind a proxy is passed on as any other', async () => {
  using client = await Peer.connect(daemon.port('sieve'))
  client.send(header)
  await client.expect(/^"IMPLEMENTATION" [^]*OK .*\r\n/)
  client.send('AUTHENTICATE "PLAIN" "AGFubgBzZWNyZXQ="\r\n')
  await client.expect(/^NO /)
  // Our own questions about what it offers are nobody's.
  const seen = new Set(sieveSeen)
  assert.ok(seen.delete('PROXY TCP4 192.0.2.7 198.51.100.1 40123 25\r\n'))
  for (const own of seen) assert.match(own, /^PROXY TCP4 127\.0\.0\.1 127\.0\.0\.1 /)
})

test('swaks is who it says by PROXY, in both versions', async () => {
  for (const version of ['1', '2']) {
    const known = sink.stored.length
    const ends = [
      '--proxy-source',
      '192.0.2.9',
      '--proxy-source-port',
      '4242',
      '--proxy-dest',
      '192.0.2.1',
    ]
    const server = ['--server', '127.0.0.1', '--port', String(daemon.port('smtp'))]
    const proxy = [
      '--proxy-version',
      version,
      '--proxy-family',
      version === '1' ? 'TCP4' : 'AF_INET',
      ...ends,
    ]
    const rest = ['--proxy-dest-port', '25', '--from', 'b@example.net', '--to', 'ann@example.com']
    const { code, stdout } = await runTool(daemon.dir.path, 'swaks', [...server, ...proxy, ...rest])
    assert.equal(code, 0, stdout)
    assert.match(sink.stored[known]?.data ?? '', /^Received: from \S+ \(\[192\.0\.2\.9\]\)/)
  }
})

/** The header with these attributes behind the addresses. */
function withAttributes(attributes: Buffer): Buffer {
  const bytes = Buffer.concat([header, attributes])
  bytes.writeUInt16BE(bytes.length - 16, 14)
  return bytes
}

const bad: readonly [what: string, bytes: Buffer][] = [
  ['no header', Buffer.from('EHLO c\r\n')],
  ['a header too long', Buffer.from(`PROXY TCP4 ${'1'.repeat(200)}`)],
  ['a length of 65535', Buffer.concat([header.subarray(0, 14), Buffer.from([0xff, 0xff])])],
  ['garbage', Buffer.from([0, 1, 2, 3])],
  ['a wrong checksum', withAttributes(Buffer.from('0300040000000f', 'hex'))],
  ['attributes that end early', withAttributes(Buffer.from('04ffff00', 'hex'))],
  ['another family', Buffer.concat([header.subarray(0, 13), Buffer.from('51000c000000', 'hex')])],
  ['another command', Buffer.concat([header.subarray(0, 12), Buffer.from('2f11000c', 'hex')])],
  ['a bare line feed', Buffer.from('PROXY TCP4 192.0.2.7 198.51.100.1 4242 25\n')],
  ['a name for an address', Buffer.from('PROXY TCP4 mx.example.com 198.51.100.1 4242 25\r\n')],
  ['a port too many', Buffer.from('PROXY TCP4 192.0.2.7 198.51.100.1 4242 65536\r\n')],
]

for (const [what, bytes] of bad) {
  test(`with ${what} nobody is heard`, async () => {
    const before = refusals()
    using client = await Peer.connect(daemon.port('smtp'))
    client.send(bytes)
    assert.equal(await client.end(), '')
    await refused(before + 1)
  })
}

test('a header that is not complete is not waited for longer than three seconds', async () => {
  const before = refusals()
  using client = await Peer.connect(daemon.port('smtp'))
  client.send(header.subarray(0, 20))
  assert.equal(await client.end(), '')
  await refused(before + 1)
})

test('a proxy that leaves within its header is no client, whichever way it leaves', async () => {
  const before = refusals()
  for (const leave of ['end', 'resetAndDestroy'] as const) {
    const client = await Peer.connect(daemon.port('imap'))
    client.send(header.subarray(0, 20))
    client.socket[leave]()
    await client.end()
  }
  await refused(before + 2)
  // Sessions of other tests may end meanwhile: they are of clients that a proxy has named.
  const unnamed = daemon
    .eventsOf('session.end')
    .filter(({ service, peer }) => service === 'imap' && peer.startsWith('127.0.0.1'))
  assert.deepEqual(unnamed, [])
})

test('nobody but the proxy may connect', async () => {
  const before = refusals()
  using client = await Peer.connect(daemon.port('smtp'), '127.0.0.1', '127.0.0.2')
  client.send(header)
  assert.equal(await client.end(), '')
  await refused(before + 1)
})

/** A session of a client that the proxy names, and what it hears first. */
async function named(address: string): Promise<{ client: Peer; line: string }> {
  const client = await Peer.connect(daemon.port('smtp'))
  const destination = { address: address.includes(':') ? '2001:db8::1' : '198.51.100.1', port: 25 }
  client.send(
    formatProxyHeader(2, { kind: 'proxied', source: { address, port: 4242 }, destination }),
  )
  return { client, line: await client.line() }
}

test('the client that the header names has its limits, and the proxy has none', async () => {
  using open = new DisposableStack()
  const firstLine = async (address: string): Promise<string> => {
    const { client, line } = await named(address)
    open.use(client)
    return line
  }
  for (let count = 0; count < 4; count++) assert.match(await firstLine('192.0.2.99'), /^220 /)
  assert.match(await firstLine('192.0.2.99'), /^421 4\.7\.0 .* too many sessions from your address/)
  const { peer, reason } = await lastRefusal()
  assert.deepEqual([peer, reason], ['192.0.2.99:4242', 'ip_limit'])
  assert.match(await firstLine('192.0.2.98'), /^220 /)
  // Four times as many of a site of IPv6, however many addresses it has.
  for (let net = 1; net <= 16; net++) {
    assert.match(await firstLine(`2001:db8:7:${net.toString(16)}::1`), /^220 /)
  }
  assert.match(await firstLine('2001:db8:7:99::1'), /^421 4\.7\.0 /)
  for (let count = 0; count < 6; count++) {
    const direct = open.use(await Peer.connect(daemon.port('pop3')))
    assert.match(await direct.line(), /^\+OK /)
  }
})

async function lastRefusal(): Promise<{ peer: string; reason: string }> {
  for (let seen = 1; ; seen++) {
    const refusal = await daemon.waitFor('refuse', seen)
    if (refusal.reason === 'ip_limit') return refusal
  }
}

test('a look at the port leaves no line in the log', async () => {
  const silent = await Peer.connect(daemon.port('smtp'))
  const looking = [silent.socket.localPort]
  silent.socket.end()
  await silent.end()
  using check = await Peer.connect(daemon.port('smtp'))
  looking.push(check.socket.localPort)
  check.send(formatProxyHeader(2, { kind: 'local' }))
  await check.expect(/^220 .*\r\n/)
  check.send('QUIT\r\n')
  await check.expect(/^221 .*\r\n/)
  await check.end()
  // What comes after it in the log has come after it.
  using client = await Peer.connect(daemon.port('smtp'))
  const source = { ...from, port: 40124 }
  client.send(formatProxyHeader(2, { kind: 'proxied', source, destination: to }))
  await client.expect(/^220 .*\r\n/)
  client.send('QUIT\r\n')
  await client.end()
  const portsOf = (name: 'refuse' | 'session.end') =>
    daemon.eventsOf(name).map(({ peer }) => Number(/:(\d+)$/.exec(peer)?.[1]))
  for (let seen = 1; !portsOf('session.end').includes(source.port); seen++) {
    await daemon.waitFor('session.end', seen)
  }
  const logged = [...portsOf('refuse'), ...portsOf('session.end')]
  for (const port of looking) assert.ok(!logged.includes(port ?? 0))
})

test('a listener without a proxy takes a header for what it is: nonsense', async () => {
  using client = await Peer.connect(daemon.port('pop3'))
  await client.expect(/^\+OK .*\r\n/)
  client.send('PROXY TCP4 192.0.2.7 198.51.100.1 40123 110\r\n')
  await client.expect(/^-ERR /)
})
