/** What becomes of sessions of the proxies and the relay when new workers take the place of old ones. */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { formatProxyHeader } from '../../src/protocol/proxy-header.ts'
import { buildMapOf, type Daemon, startDaemon } from '../support/daemon.ts'
import { serveLogin } from '../support/login-backend.ts'
import { Peer, ScriptedBackend } from '../support/peer.ts'
import { Sink } from '../support/relay.ts'
import { tempDir } from '../support/temp-dir.ts'

/** A site with a proxy and a relay; the back-ends answer as they are asked. */
async function startSite(stack: AsyncDisposableStack): Promise<{ daemon: Daemon; sink: Sink }> {
  const dir = stack.use(tempDir())
  const { sink, backend: mailbox } = await Sink.start()
  stack.use(mailbox)
  const certificate = { cert: '', key: '' }
  const fritz = stack.use(
    await ScriptedBackend.start(async (peer) => {
      peer.send('* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN] ready\r\n')
      await serveLogin(peer, { service: 'imap', certificate })
      await peer.end()
    }),
  )
  const config = `hostname: mx.example.com
domains: [example.com]
backends: {fritz: {host: 127.0.0.1, imap: ${fritz.port}, smtp: ${mailbox.port}}}
map: {rules: rules}
listen: {imap: ["127.0.0.1:0", {address: "127.0.0.1:0", proxy: require}], smtp: ["127.0.0.1:0"]}
trusted_proxies: [127.0.0.1]
probe_interval: 0s
client_names: none
workers: 1
`
  writeFileSync(dir.join('rules'), '* fritz\n')
  await buildMapOf(dir, config)
  return { daemon: stack.use(await startDaemon({ dir, config })), sink }
}

async function restart(daemon: Daemon, within: string): Promise<void> {
  const done = await daemon.command('restart', '--within', within)
  assert.equal(done.code, 0, done.stderr)
}

const loggedIn = /^b OK .*\r\n/m

test('who was about to log in does so, also behind a proxy, and is joined until the end', async () => {
  await using stack = new AsyncDisposableStack()
  const { daemon } = await startSite(stack)
  const [plain = 0, proxied = 0] = daemon.ports.imap
  using greeted = await Peer.connect(plain)
  await greeted.expect(/^\* OK .*\r\n/)
  using unnamed = await Peer.connect(proxied)
  // Accepted before: both were.
  unnamed.send('PROXY TCP4 ')
  using asked = await Peer.connect(plain)
  await asked.expect(/^\* OK .*\r\n/)
  await restart(daemon, '1h')
  const source = { address: '127.0.0.7', port: 1 }
  const header = formatProxyHeader(1, { kind: 'proxied', source, destination: source })
  unnamed.send(header.subarray('PROXY TCP4 '.length))
  for (const client of [greeted, unnamed]) {
    client.send('b LOGIN ann secret\r\n')
    await client.expect(loggedIn)
  }
  const { workers } = await daemon.status()
  assert.deepEqual(
    workers.flatMap(({ role, state, sessions }) => (role === 'worker' ? [[state, sessions]] : [])),
    [
      ['leaving', 3],
      ['serving', 0],
    ],
  )
  const kicked = await daemon.command('user', 'kick', 'ann')
  assert.match(kicked.stdout, /2 sessions/)
  for (const client of [greeted, unnamed]) assert.match(await client.end(), /\* BYE/)
})

test('the last session in an old worker is counted where it is ended', async () => {
  await using stack = new AsyncDisposableStack()
  const { daemon } = await startSite(stack)
  using client = await Peer.connect(daemon.port('imap'))
  await client.expect(/^\* OK .*\r\n/)
  client.send('b LOGIN ann secret\r\n')
  await client.expect(loggedIn)
  await restart(daemon, '1h')
  assert.match((await daemon.command('user', 'kick', 'ann')).stdout, /1 session\b/)
  assert.match(await client.end(), /\* BYE/)
})

test('who has begun a message, and does not go on, is told so at the end', async () => {
  await using stack = new AsyncDisposableStack()
  const { daemon } = await startSite(stack)
  using client = await Peer.connect(daemon.port('smtp'))
  await client.expect(/^220 .*\r\n/)
  client.send('EHLO client\r\nMAIL FROM:<>\r\nRCPT TO:<ann@example.com>\r\n')
  await client.expect(/^250 2\.1\.0 ok\r\n250 2\.1\.0 ok\r\n/m)
  await restart(daemon, '100ms')
  assert.match(await client.end(), /^421 4\.3\.2 /)
})

test('a message under way is taken, and its client is asked to come again', async () => {
  await using stack = new AsyncDisposableStack()
  const { daemon, sink } = await startSite(stack)
  using client = await Peer.connect(daemon.port('smtp'))
  await client.expect(/^220 .*\r\n/)
  client.send('EHLO client\r\n')
  await client.expect(/^250 .*\r\n/m)
  client.send('MAIL FROM:<>\r\nRCPT TO:<ann@example.com>\r\nDATA\r\n')
  await client.expect(/^354 .*\r\n/m)
  client.send('Subject: one\r\n\r\nfirst half, ')
  await restart(daemon, '200ms')
  client.send('second half\r\n.\r\n')
  await client.expect(/^250 .*\r\n/m)
  assert.match(await client.end(), /^421 4\.3\.2 /m)
  assert.match(sink.stored[0]?.data ?? '', /first half, second half/)
  await daemon.waitFor('queue.started', 2)
})
