/** New workers in the place of old ones, while clients come and stay. */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { formatProxyHeader } from '../../src/protocol/proxy-header.ts'
import type { WorkerStatus } from '../../src/control/messages.ts'
import type { CommandResult } from '../support/command.ts'
import { buildMapOf, type Daemon, startDaemon } from '../support/daemon.ts'
import { startEcho } from '../support/echo-daemon.ts'
import { serveLogin } from '../support/login-backend.ts'
import { Peer, ScriptedBackend } from '../support/peer.ts'
import { Sink } from '../support/relay.ts'
import { tempDir } from '../support/temp-dir.ts'

const echoWorker = new URL('../support/echo-worker.ts', import.meta.url).href

/** A session at each of the workers that serve now, by the pid of its worker. */
async function sessionsOnAll(daemon: Daemon): Promise<Map<number, Peer>> {
  const sessions = new Map<number, Peer>()
  while (sessions.size < 2) {
    const peer = await Peer.connect(daemon.port('imap'))
    const pid = Number((await peer.line()).split(' ')[2])
    if (sessions.has(pid)) peer[Symbol.dispose]()
    else sessions.set(pid, peer)
  }
  return sessions
}

/** Connects, one client after the other, until `until` is settled; each must be greeted. */
async function connectUntil(until: Promise<unknown>, daemon: Daemon): Promise<Set<number>> {
  const over = new AbortController()
  const noteEnd = (): void => over.abort()
  void until.then(noteEnd, noteEnd)
  const pids = new Set<number>()
  while (!over.signal.aborted) {
    const peer = await Peer.connect(daemon.port('imap'))
    pids.add(Number((await peer.line()).split(' ')[2]))
    assert.match(await peer.send('quit\r\n').end(), /bye\r\n$/)
  }
  return pids
}

/** The workers, when they have so many sessions: those that have just ended may be counted yet. */
async function workersWith(sessions: number, daemon: Daemon): Promise<readonly WorkerStatus[]> {
  const signal = AbortSignal.timeout(10_000)
  for (;;) {
    const { workers } = await daemon.status()
    if (workers.reduce((sum, one) => sum + one.sessions, 0) === sessions) return workers
    signal.throwIfAborted()
  }
}

test('new workers take all clients, none is refused, and sessions go on in the old', async () => {
  using dir = tempDir()
  await using daemon = await startEcho(dir)
  const old = await sessionsOnAll(daemon)
  const restarted = daemon.command('restart', '--within', '1h')
  const met = await connectUntil(restarted, daemon)
  assert.ok(met.size > 0)
  const { code, stdout, stderr } = await restarted
  assert.deepEqual([code, stderr], [0, ''])
  assert.match(stdout, /^2 new workers, \d+ sessions left in the old\n$/)
  const workers = await workersWith(2, daemon)
  assert.deepEqual(
    workers.map(({ state, sessions, restarts }) => [state, sessions, restarts]),
    [
      ['leaving', 1, 0],
      ['leaving', 1, 0],
      ['serving', 0, 0],
      ['serving', 0, 0],
    ],
  )
  assert.match((await daemon.command('status')).stdout, /pid \d+, 2 workers, 2 leaving$/m)
  const fresh = await sessionsOnAll(daemon)
  const [third, fourth] = daemon.eventsOf('worker.started').slice(2)
  assert.deepEqual(new Set(fresh.keys()), new Set([third?.pid, fourth?.pid]))
  for (const [pid, peer] of old) {
    assert.equal(await peer.send('still there\r\n').line(), 'still there')
    assert.match(await peer.send('quit\r\n').end(), /bye\r\n$/)
    const gone = daemon.eventsOf('worker.exited')
    const exited = await daemon.waitFor('worker.exited', gone.length + 1)
    assert.deepEqual([exited.pid, exited.code], [pid, 0])
  }
  for (const peer of fresh.values()) {
    assert.equal(await peer.send('still there\r\n').line(), 'still there')
    peer[Symbol.dispose]()
  }
  assert.deepEqual(
    daemon.eventsOf('restart.done').map(({ workers: count }) => count),
    [2],
  )
})

test('sessions in the old workers are told of their end when the time is over', async () => {
  using dir = tempDir()
  await using daemon = await startEcho(dir)
  const old = await sessionsOnAll(daemon)
  assert.equal((await daemon.command('restart', '--within', '300ms')).code, 0)
  for (const peer of old.values()) assert.equal(await peer.end(), 'bye\r\n')
  await daemon.waitFor('worker.exited', 2)
})

test('restarts that follow each other, and a reload among them, each do their work', async () => {
  using dir = tempDir()
  await using daemon = await startEcho(dir)
  const all = Promise.all([
    daemon.command('restart', '--within', '1s'),
    daemon.command('reload'),
    daemon.command('restart', '--within', '1s'),
  ])
  await connectUntil(all, daemon)
  assert.deepEqual(
    (await all).map(({ code }) => code),
    [0, 0, 0],
  )
  await daemon.waitFor('worker.exited', 4)
  const serving = (await daemon.status()).workers.map(({ state }) => state)
  assert.deepEqual(serving, ['serving', 'serving'])
})

test('a stop ends the old and the new', async () => {
  using dir = tempDir()
  await using daemon = await startEcho(dir)
  const old = await sessionsOnAll(daemon)
  assert.equal((await daemon.command('restart', '--within', '1h')).code, 0)
  const exit = daemon.stop()
  for (const peer of old.values()) assert.equal(await peer.end(), 'bye\r\n')
  assert.equal((await exit).code, 0)
})

/** A daemon whose workers run what `install` put there last. */
async function startInstalled(dir: ReturnType<typeof tempDir>): Promise<{
  readonly daemon: Daemon
  readonly install: (code: string) => void
}> {
  const entry = dir.join('worker.mjs')
  const install = (code: string): void => writeFileSync(entry, code)
  install(`import ${JSON.stringify(echoWorker)}`)
  const env = { WORKER_ENTRY: pathToFileURL(entry).href }
  return { daemon: await startEcho(dir, '', { env }), install }
}

const badCode: readonly (readonly [what: string, code: string, refusal: RegExp])[] = [
  ['ends at once', 'process.exit(3)', /^worker \d+ ended before it was ready$/m],
  [
    'is of a version that this daemon does not understand',
    `process.send({ kind: 'hello', version: '99.1.0' }); setInterval(() => {}, 1000)`,
    /^version 99\.1\.0 is installed and version \S+ runs: .*`mailmux drain`/m,
  ],
]

for (const [what, code, refusal] of badCode) {
  test(`where new code ${what}, the old workers stay`, async () => {
    using dir = tempDir()
    const { daemon, install } = await startInstalled(dir)
    await using _ = daemon
    const old = await sessionsOnAll(daemon)
    install(code)
    const refused = await daemon.command('restart')
    assert.equal(refused.code, 78, refused.stderr)
    assert.match(refused.stderr, refusal)
    assert.match(refused.stderr, /the daemon goes on with the workers that it has/)
    assert.equal((await daemon.waitFor('restart.refused')).problems.length > 0, true)
    await daemon.waitFor('worker.exited', 2)
    assert.deepEqual(new Set((await sessionsOnAll(daemon)).keys()), new Set(old.keys()))
    for (const peer of old.values()) {
      assert.equal(await peer.send('still there\r\n').line(), 'still there')
    }
    install(`import ${JSON.stringify(echoWorker)}`)
    assert.equal((await daemon.command('restart', '--within', '100ms')).code, 0)
  })
}

test('a time without a unit is refused, and where no daemon runs that is said', async () => {
  using dir = tempDir()
  await using daemon = await startEcho(dir)
  const bad = await daemon.command('restart', '--within', 'soon')
  assert.deepEqual([bad.code, /soon is no time such as 90s/.test(bad.stderr)], [2, true])
  await daemon.stop()
  const none = await daemon.command('restart')
  assert.deepEqual([none.code, /no daemon is running/.test(none.stderr)], [69, true])
})

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
  const done: CommandResult = await daemon.command('restart', '--within', within)
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
