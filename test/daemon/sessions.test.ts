/** The sessions of a running daemon: who is there, their end, and freezes in every process. */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { after, before, test } from 'node:test'
import { setTimeout as pass } from 'node:timers/promises'
import { askDaemon } from '../../src/control/client.ts'
import { freezeUser, thawUser } from '../../src/control/freeze.ts'
import type { SessionView, WhoPage, WhoRequest } from '../../src/control/session-messages.ts'
import { whoIsThere } from '../../src/control/who.ts'
import { buildMapOf, type Daemon, startDaemon } from '../support/daemon.ts'
import { serveLogin } from '../support/login-backend.ts'
import { Peer, ScriptedBackend } from '../support/peer.ts'
import { type TempDir, tempDir } from '../support/temp-dir.ts'

let fritz: ScriptedBackend
/** Where fritz takes mail, and what it has stored. */
let mailbox: ScriptedBackend
const stored: string[] = []
let dir: TempDir
let daemon: Daemon
const certificate = { cert: '', key: '' }

function startBackend(): Promise<ScriptedBackend> {
  return ScriptedBackend.start(async (peer) => {
    peer.send('* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN] ready\r\n')
    await think()
    await serveLogin(peer, { service: 'imap', certificate })
    await peer.end()
  })
}

/** A back-end takes now less, now more time to answer. */
let turns = 0
const think = (): Promise<void> => pass([0, 15, 40, 80][turns++ % 4])

/** Thinks over each message, and at times over a recipient. */
function startMailbox(): Promise<ScriptedBackend> {
  return ScriptedBackend.start(async (peer) => {
    peer.send('220 fritz ESMTP\r\n')
    for (let recipient = ''; ; ) {
      const line = await peer.line()
      if (line.startsWith('RCPT')) {
        recipient = line
        if (turns % 3 === 0) await think()
      }
      peer.send(line === 'DATA' ? '354 go on\r\n' : '250 2.1.0 ok\r\n')
      if (line !== 'DATA') continue
      await peer.message()
      await think()
      stored.push(recipient)
      peer.send('250 2.0.0 stored\r\n')
    }
  })
}

async function start(at: TempDir): Promise<Daemon> {
  const config = `hostname: mx.example.com
domains: [example.com]
backends: {fritz: {host: 127.0.0.1, imap: ${fritz.port}, smtp: ${mailbox.port}}}
map: {rules: rules}
listen: {imap: ["127.0.0.1:0"], smtp: ["127.0.0.1:0"]}
limits: {sessions_per_ip: 0}
probe_interval: 0s
client_names: none
workers: 2
`
  writeFileSync(at.join('rules'), '* fritz\n')
  await buildMapOf(at, config)
  return startDaemon({ dir: at, config })
}

before(async () => {
  dir = tempDir()
  fritz = await startBackend()
  mailbox = await startMailbox()
  daemon = await start(dir)
})

after(async () => {
  await daemon[Symbol.asyncDispose]()
  await fritz[Symbol.asyncDispose]()
  await mailbox[Symbol.asyncDispose]()
  dir[Symbol.dispose]()
})

const accepted = /b OK .*\r\n/

async function logIn(user: string, at = daemon): Promise<Peer> {
  const client = await Peer.connect(at.port('imap'))
  client.send(`b LOGIN ${user} secret\r\n`)
  await client.expect(accepted)
  return client
}

/** So many logins that every worker has some of them. */
async function logInEverywhere(user: string): Promise<Peer[]> {
  const clients: Peer[] = []
  const workers = new Set<string>()
  while (workers.size < 2) {
    // At once, or the first worker takes them all.
    clients.push(...(await Promise.all(Array.from({ length: 8 }, () => logIn(user)))))
    const { sessions } = await whoIsThere(runDir(), { user })
    for (const { session } of sessions) workers.add(session.replace(/-.*/, ''))
  }
  return clients
}

function runDir(): string {
  return dir.join('run')
}

test('who lists all that fit, of every worker, page by page, each once', async () => {
  const clients = await logInEverywhere('una')
  using relay = await Peer.connect(daemon.port('smtp'))
  await relay.expect(/^220 /)
  const seen: string[] = []
  let details: WhoRequest | undefined = { user: 'una', limit: 1 }
  while (details !== undefined) {
    const page: WhoPage = await askDaemon(runDir(), 'who', 5000, { details })
    assert.ok(page.sessions.length <= 2, 'one of each worker')
    seen.push(...page.sessions.map(({ session }) => session))
    details = page.after === undefined ? undefined : { ...details, after: page.after }
  }
  assert.equal(seen.length, clients.length)
  assert.equal(new Set(seen).size, seen.length)

  const { code, stdout } = await daemon.command('who', '--json', '--user', 'Una@EXAMPLE.com')
  assert.equal(code, 0)
  const [first, ...others] = stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as SessionView)
  assert.equal(others.length, clients.length - 1)
  assert.deepEqual(
    [first?.service, first?.state, first?.user, first?.login, first?.backend],
    ['imap', 'joined', 'una@example.com', 'una@example.com', 'fritz'],
  )
  assert.match(first?.peer ?? '', /^127\.0\.0\.1:\d+$/)
  assert.ok((first?.bytes_in ?? 0) >= 'b LOGIN una secret\r\n'.length)

  const table = (await daemon.command('who', '--from', '127.0.0.0/8')).stdout.trimEnd().split('\n')
  assert.match(table[0] ?? '', /^USER +SERVICE +BACK-END +CLIENT +FOR +IN +OUT$/)
  assert.ok(
    table.some((line) =>
      /^una@example\.com +imap +fritz +127\.0\.0\.1 +\d+s +\d+ +\d+$/.test(line),
    ),
  )
  assert.ok(table.some((line) => /^- +smtp +- +127\.0\.0\.1 /.test(line)))
  assert.ok(table.every((line) => line.length <= 80))
  assert.deepEqual((await whoIsThere(runDir(), { user: 'nobody' })).sessions, [])
  for (const filter of [{ from: 'elsewhere' }, { user: 'una@example.org' }]) {
    await assert.rejects(
      whoIsThere(runDir(), filter),
      /is neither an address|is no address of ours/,
    )
  }
  for (const client of clients) client.socket.destroy()
})

test('user where tells the back-end and the sessions', async () => {
  using client = await logIn('wendy')
  const { code, stdout } = await daemon.command('user', 'where', 'wendy', '--json')
  assert.equal(code, 0)
  const { sessions, ...found } = JSON.parse(stdout) as { sessions: SessionView[] }
  assert.deepEqual(found, { user: 'wendy@example.com', mail: 'fritz', logins: 'fritz' })
  assert.deepEqual(
    sessions.map(({ user }) => user),
    ['wendy@example.com'],
  )
  assert.equal(client.closed, false)
})

test('user kick ends the sessions of a user in every worker, and no other', async () => {
  const clients = await logInEverywhere('kai')
  using other = await logIn('kaia')
  const { code, stdout } = await daemon.command('user', 'kick', 'kai@example.com')
  assert.deepEqual([code, stdout], [0, `kai@example.com: ${clients.length} sessions ended\n`])
  for (const client of clients) assert.match(await client.end(), /^\* BYE \[UNAVAILABLE\] /)
  assert.equal(other.closed, false)
  assert.deepEqual((await whoIsThere(runDir(), { user: 'kai' })).sessions, [])
  const details = { user: 'kai', service: 'imap' }
  const report = { user: 'kai@example.com', sessions: 0, silent: [] }
  assert.deepEqual(await askDaemon(runDir(), 'kick', 5000, { details }), report)
})

test('every process answers a freeze; one that starts later knows of it before its first client', async () => {
  const clients = await logInEverywhere('ann')
  const frozen = { user: 'ann', epoch: 7 }
  const report = await freezeUser(runDir(), { ...frozen, ttl_ms: 60_000 })
  assert.equal(report?.complete, true)
  assert.equal(report.processes.length, 3, 'two workers and the queue')
  const sessions = report.processes.reduce((sum, one) => sum + one.sessions, 0)
  assert.equal(sessions, clients.length)
  for (const client of clients) assert.match(await client.end(), /^\* BYE /)
  assert.equal((await daemon.status()).frozen, 1)

  const before = daemon.eventsOf('worker.started').length
  for (const { pid, role } of (await daemon.status()).workers) {
    if (role === 'worker') process.kill(pid, 'SIGKILL')
  }
  await daemon.waitFor('worker.started', before + 2)
  using held = await Peer.connect(daemon.port('imap'))
  await held.line()
  held.send('b LOGIN ann secret\r\n')
  using mail = await Peer.connect(daemon.port('smtp'))
  await mail.expect(/^220 .*\r\n/)
  mail.send('EHLO x\r\nMAIL FROM:<a@example.net>\r\nRCPT TO:<ann@example.com>\r\n')
  await mail.expect(/^450 4\.2\.1 /m)
  const { sessions: there } = await whoIsThere(runDir(), { user: 'ann' })
  assert.deepEqual(
    there.map(({ state }) => state),
    ['held'],
  )
  const reached = fritz.peers.length
  assert.equal((await thawUser(runDir(), { ...frozen, epoch: 6 }))?.superseded_by, 7)
  assert.equal((await thawUser(runDir(), frozen))?.thawed, true)
  await held.expect(accepted)
  assert.equal(fritz.peers.length, reached + 1)
  assert.equal((await daemon.waitFor('login.held')).outcome, 'thawed')
})

/** One login to its end, and one message; what the client heard last of each. */
async function comeAndGo(heard: string[]): Promise<void> {
  using client = await Peer.connect(daemon.port('imap'))
  client.send('b LOGIN meg secret\r\n')
  const [said = ''] = await client.expect(/^b .*\r\n|^\* BYE .*\r\n/m)
  heard.push(said)
}

async function bring(replies: string[]): Promise<void> {
  using client = await Peer.connect(daemon.port('smtp'))
  await client.expect(/^220 .*\r\n/)
  client.send('HELO x\r\nMAIL FROM:<a@example.net>\r\nRCPT TO:<meg@example.com>\r\n')
  const [, answer = ''] = await client.expect(/^250 .*\r\n250 .*\r\n(\d\d\d \S+) .*\r\n/)
  if (answer.startsWith('250')) {
    client.send('DATA\r\n')
    const [go] = await client.expect(/^\d\d\d .*\r\n/)
    if (!go.startsWith('354')) return void replies.push(go.slice(0, 9))
    client.send('Subject: x\r\n\r\nx\r\n.\r\n')
    const [verdict] = await client.expect(/^\d\d\d .*\r\n/)
    replies.push(verdict.slice(0, 9))
  } else replies.push(`${answer} at RCPT`)
}

test('under load a complete freeze lets nothing through, and nothing is lost or twice', async () => {
  const [logins, replies]: [string[], string[]] = [[], []]
  const over = new AbortController()
  const again = async (work: () => Promise<void>): Promise<void> => {
    while (!over.signal.aborted) await work()
  }
  const crowd = [0, 1, 2, 3].flatMap(() => [
    again(() => comeAndGo(logins)),
    again(() => bring(replies)),
  ])
  const frozen = { user: 'meg', epoch: 1 }
  try {
    while (logins.length < 20 || replies.length < 20) await pass(5)
    for (let round = 1; round <= 3; round++) {
      assert.equal((await freezeUser(runDir(), { ...frozen, ttl_ms: 60_000 }))?.complete, true)
      const there = [stored.length, fritz.peers.length]
      // Words that clients have not read yet.
      await pass(10)
      const [taken, refused] = [logins.length, replies.length]
      await pass(100)
      assert.deepEqual([stored.length, fritz.peers.length], there)
      assert.equal(logins.length, taken)
      assert.ok(replies.length > refused)
      assert.deepEqual(new Set(replies.slice(refused)), new Set(['450 4.2.1 at RCPT']))
      await thawUser(runDir(), frozen)
      while (logins.length < taken + 10) await pass(5)
    }
  } finally {
    over.abort()
    await thawUser(runDir(), frozen)
    await Promise.allSettled(crowd)
  }
  await Promise.all(crowd)
  assert.equal(stored.length, replies.filter((reply) => reply.startsWith('250')).length)
  const others = replies.filter((reply) => !/^250 2\.0\.0|^45[01] 4\.2\.1/.test(reply))
  assert.deepEqual(others, [])
  assert.deepEqual(daemon.eventsOf('uncertain'), [])
  assert.deepEqual(daemon.eventsOf('internal'), [])
})

test('where no daemon runs there is nobody to ask', async () => {
  using empty = tempDir()
  const asked = { user: 'ann@example.com', epoch: 1 }
  assert.equal(await freezeUser(empty.path, { ...asked, ttl_ms: 1000 }), undefined)
  assert.equal(await thawUser(empty.path, asked), undefined)
})

test('a drain takes nobody, lets sessions go on, tells them when their time is over, and ends', async () => {
  using own = tempDir()
  await using draining = await start(own)
  using client = await logIn('dora', draining)
  using idle = await Peer.connect(draining.port('smtp'))
  await idle.expect(/^220 .*\r\n/)
  const connected = (): Promise<Peer | undefined> =>
    Peer.connect(draining.port('imap')).catch(() => undefined)
  const drained = draining.command('drain', '--within', '500ms')
  await draining.waitFor('daemon.stopping')
  await idle.expect(/^421 4\.3\.2 .*\r\n/)
  assert.equal(client.unread, '')
  // Workers close their ports one after the other: whoever is quick is sent away.
  for (let late = await connected(); late !== undefined; late = await connected()) {
    assert.match(await late.end(), /^(?:\* BYE \[UNAVAILABLE\] .*\r\n)?$/)
  }
  client.send('c NOOP\r\n')
  assert.match(await client.end(), /^\* BYE \[UNAVAILABLE\] /)
  const { code } = await draining.exited
  assert.equal(code, 0)
  assert.deepEqual(await drained, { code: 0, stdout: 'the daemon has ended\n', stderr: '' })
  assert.equal(draining.eventsOf('daemon.stopped')[0]?.drained, true)
})
