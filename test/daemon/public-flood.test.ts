/** What a daemon bears of clients that mean it no good, all of them at once. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { test } from 'node:test'
import type { Service } from '../../src/config/config.ts'
import { buildMapOf, type Daemon, startDaemon } from '../support/daemon.ts'
import { Peer, ScriptedBackend } from '../support/peer.ts'
import { Sink } from '../support/relay.ts'
import { tempDir } from '../support/temp-dir.ts'

/** A daemon with every service before a back-end that says nothing. */
async function startTarget(
  stack: AsyncDisposableStack,
): Promise<{ readonly daemon: Daemon; readonly silent: ScriptedBackend }> {
  const silent = stack.use(await ScriptedBackend.start(() => new Promise(() => undefined)))
  const dir = stack.use(tempDir())
  const { port } = silent
  const config = `hostname: mx.example.com
domains: [example.com]
client_names: none
probe_interval: 0s
backends: {fritz: {host: 127.0.0.1, imap: ${port}, pop3: ${port}, sieve: ${port}, submission: ${port}, smtp: ${port}, connections: 500}}
map: {rules: rules}
listen: {imap: ["127.0.0.1:0"], pop3: ["127.0.0.1:0"], sieve: ["127.0.0.1:0"], submission: ["127.0.0.1:0"], smtp: ["127.0.0.1:0"], lmtp: ["127.0.0.1:0"]}
workers: 2
`
  await writeFile(dir.join('rules'), '* fritz\n')
  await buildMapOf(dir, config)
  return { daemon: stack.use(await startDaemon({ dir, config })), silent }
}

/** Of all workers, in MiB. */
function residentMib(daemon: Daemon): number {
  const pids = daemon.eventsOf('worker.started').map(({ pid }) => pid)
  const kib = pids.map((pid) => {
    const [, size] = /^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? []
    return Number(size)
  })
  return kib.reduce((sum, size) => sum + size, 0) / 1024
}

/** Each answer comes after what the workers have read by then. */
async function serveOthers(daemon: Daemon): Promise<void> {
  for (let count = 0; count < 10; count++) {
    using other = await Peer.connect(daemon.port('pop3'))
    assert.match(await other.line(), /^\+OK /)
    await other.send('QUIT\r\n').end()
    await daemon.status()
  }
}

const envelope = 'MAIL FROM:<bob@example.net>\r\nRCPT TO:<ann@example.com>\r\n'
/** What makes a session wait for the back-end, which says nothing. */
const waiting: readonly [Service, string][] = [
  ['smtp', `EHLO c\r\n${envelope}`],
  ['lmtp', `LHLO c\r\n${envelope}`],
  ['imap', 'a LOGIN ann secret\r\n'],
  ['pop3', 'USER ann\r\nPASS secret\r\n'],
  ['sieve', 'AUTHENTICATE "PLAIN" "AGFubgBzZWNyZXQ="\r\n'],
  ['submission', 'EHLO c\r\nAUTH PLAIN AGFubgBzZWNyZXQ=\r\n'],
]

test('sessions that send without an end while they are to wait cost bounded memory', async () => {
  await using stack = new AsyncDisposableStack()
  const { daemon, silent } = await startTarget(stack)
  const each = 25
  const surplus = Buffer.alloc(1024 * 1024, 'NOOP\r\n')
  using open = new DisposableStack()
  const sessions: Peer[] = []
  for (const [service, words] of waiting) {
    for (let count = 0; count < each; count++) {
      const peer = open.use(await Peer.connect(daemon.port(service)))
      await peer.line()
      sessions.push(peer.send(words))
    }
  }
  await daemon.status()
  const idleMib = residentMib(daemon)
  for (const peer of sessions) peer.send(surplus)
  await serveOthers(daemon)
  const fullMib = residentMib(daemon) - idleMib
  assert.ok(sessions.every(({ closed }) => !closed))
  // A quarter MiB for each: what is unparsed, and what its stream has read ahead.
  for (const { socket } of silent.peers) socket.destroy()
  assert.ok(fullMib < (sessions.length / 4) * 1.5, `${fullMib} MiB`)
})

/** Commands that never end, as far as they are listened to; how many sessions of each. */
const unended: readonly [Service, string, number][] = [
  ['imap', `a ID (${'{0+}\r\n'.repeat(20_000)}`, 150],
  ['imap', `a ID (${`{4096+}\r\n${'x'.repeat(4096)}`.repeat(15)}`, 50],
  ['imap', `a NOOP ${'('.repeat(8000)}`, 50],
  ['pop3', `AUTH PLAIN\r\n${'A'.repeat(12_000)}`, 50],
  ['sieve', `NOOP ${'{0+}\r\n'.repeat(60)}`, 50],
  ['submission', `EHLO c\r\nAUTH PLAIN ${'A'.repeat(12_000)}`, 50],
  ['smtp', `EHLO c\r\n${'x'.repeat(2000)}`, 50],
]

test('commands that are begun and never ended cost bounded memory', async () => {
  await using stack = new AsyncDisposableStack()
  const { daemon } = await startTarget(stack)
  using open = new DisposableStack()
  const sessions: [Peer, string][] = []
  for (const [service, text, times] of unended) {
    for (let count = 0; count < times; count++) {
      const peer = open.use(await Peer.connect(daemon.port(service)))
      await peer.line()
      sessions.push([peer, text])
    }
  }
  await daemon.status()
  const idleMib = residentMib(daemon)
  for (const [peer, text] of sessions) {
    // Some have been cut off before all of it was sent.
    for (let at = 0; at < text.length; at += 5000) peer.send(text.slice(at, at + 5000))
  }
  await serveOthers(daemon)
  const fullMib = residentMib(daemon) - idleMib
  // Half of what is promised to be unparsed at most, on the average of them.
  assert.ok(fullMib < (sessions.length * 128) / 1024, `${fullMib} MiB`)
  assert.deepEqual([daemon.eventsOf('internal'), daemon.eventsOf('worker.exited')], [[], []])
})

test('two thousand lists, literals and strings without an end are cut off, and memory stays', async () => {
  await using stack = new AsyncDisposableStack()
  const { daemon } = await startTarget(stack)
  using open = new DisposableStack()
  const each = 500
  const kinds = ['(', '[', '{', '"']
  const sessions: Peer[] = []
  for (const kind of kinds) {
    // As much of it as is listened to, and nothing behind it.
    const begun = `a NOOP ${kind.repeat(7_000)}`
    for (let count = 0; count < each; count++) {
      const peer = open.use(await Peer.connect(daemon.port('imap')))
      await peer.line()
      sessions.push(peer.send(begun))
    }
  }
  await serveOthers(daemon)
  const imap = (await daemon.status()).services.find(({ service }) => service === 'imap')
  assert.equal(imap?.sessions, sessions.length)
  // Of what is read and thrown away some is garbage until it is collected: the least counts.
  const least: number[] = []
  for (let first = 0; first < sessions.length; first += 50) {
    const some = sessions.slice(first, first + 50)
    for (const [number, peer] of some.entries()) {
      peer.socket.write((kinds[Math.floor((first + number) / each)] ?? '').repeat(1024 * 1024))
    }
    for (const peer of some) assert.match(await peer.end(), /^(?:a BAD|\* BYE) /)
    const quarter = Math.floor(first / each)
    least[quarter] = Math.min(least[quarter] ?? Number.POSITIVE_INFINITY, residentMib(daemon))
  }
  const [, early = 0, , late = 0] = least
  // What a thousand sessions may have unparsed: with all that came it would be a thousand MiB.
  assert.ok(late - early < 64, least.join(', '))
  assert.deepEqual([daemon.eventsOf('internal'), daemon.eventsOf('worker.exited')], [[], []])
})

const services = waiting.map(([service]) => service)

/** Bytes that no client of ours sends. */
function garbage(number: number): Buffer {
  const hello = Buffer.from('16030100c8010000c40303', 'hex')
  const kinds = [
    Buffer.from(Array.from({ length: 64 }, (_, at) => (number * 31 + at * 17) % 256)),
    Buffer.concat([hello, Buffer.alloc(180, number)]),
    Buffer.from('\r\n\r\n\0\0((((((((((({{{{{\r\n'),
    Buffer.from('POST / HTTP/1.1\r\nHost: x\r\n\r\n'),
    Buffer.from([]),
  ]
  return kinds[number % kinds.length] ?? hello
}

test('a flood of garbage ends no worker and is written down in a few lines', async () => {
  await using stack = new AsyncDisposableStack()
  const { daemon } = await startTarget(stack)
  const flood = 2_000
  const atOnce = 60
  const numbers = Array.from({ length: flood }, (_, number) => number).values()
  await Promise.all(
    Array.from({ length: atOnce }, async () => {
      for (const number of numbers) {
        const socket = connect(
          daemon.port(services[number % services.length] ?? 'smtp'),
          '127.0.0.1',
        )
        socket.on('error', () => undefined)
        socket.resume().write(garbage(number))
        await once(socket, 'connect').catch(() => undefined)
        if (number % 2 === 0) socket.end()
        else socket.resetAndDestroy()
        await once(socket, 'close').catch(() => undefined)
      }
    }),
  )
  for (const [service, greeting] of [
    ['smtp', /^220 /],
    ['imap', /^\* OK /],
    ['pop3', /^\+OK /],
    ['sieve', /^"IMPLEMENTATION" /],
    ['lmtp', /^220 /],
    ['submission', /^220 /],
  ] as const) {
    using peer = await Peer.connect(daemon.port(service))
    assert.match(await peer.line(), greeting)
  }
  await daemon.idle()
  const report = await daemon.status()
  const total = report.services.reduce((sum, { sessions_total }) => sum + sessions_total, 0)
  assert.ok(total > flood / 2, `${total}`)
  const reasons = report.services.map(({ refused }) => refused)
  const refused = reasons.flatMap((of) => Object.values(of)).reduce((sum, count) => sum + count, 0)
  // Of most, no word is read before they have gone.
  assert.ok(refused > flood / 100, `${refused}`)
  await daemon.stop()
  assert.deepEqual(
    daemon.eventsOf('worker.exited').map(({ code }) => code),
    [0, 0, 0],
  )
  assert.deepEqual(daemon.eventsOf('internal'), [])
  // What was not written one by one is in the sums, so that nothing is lost.
  const written = daemon.eventsOf('refuse')
  const sums = daemon.eventsOf('log.suppressed').filter(({ of }) => of === 'refuse')
  const summed = sums.reduce((sum, { count }) => sum + count, 0)
  assert.equal(written.length + summed, refused)
  const kinds = new Set(written.map(({ service, reason }) => `${service} ${reason}`)).size
  const seconds = new Set(written.map(({ time }) => time.slice(0, 19))).size
  // Ten of a kind in a second, by each of two workers, whose seconds begin at any time.
  assert.ok(written.length <= kinds * (seconds + 1) * 2 * 10, `${written.length}`)
})

test('messages for many back-ends do not take the last descriptors', async () => {
  using dir = tempDir()
  await using open = new AsyncDisposableStack()
  const sinks = await Promise.all(['a', 'b', 'c'].map(() => Sink.start()))
  const backends = sinks.map(({ backend }, index) => {
    const { port } = open.use(backend)
    return `b${index}: {host: 127.0.0.1, smtp: ${port}}`
  })
  const config = `hostname: mx.example.com
domains: [example.com]
client_names: none
probe_interval: 0s
backends: {${backends.join(', ')}}
map: {user_map: user_map}
listen: {smtp: ["127.0.0.1:0"]}
workers: 1
`
  await writeFile(dir.join('user_map'), 'u0 b0\nu1 b1\nu2 b2\n')
  await buildMapOf(dir, config)
  await using few = await startDaemon({ dir, config, openFiles: 140 })
  const inside: Peer[] = []
  let refused = 0
  for (let count = 0; count < 60; count++) {
    const client = open.use(await Peer.connect(few.port('smtp')))
    // Nobody is closed without a word.
    const line = await client.line()
    if (line.startsWith('421 4.3.2 ')) {
      refused++
      continue
    }
    assert.match(line, /^220 /)
    inside.push(client)
    client.send('EHLO c\r\nMAIL FROM:<bob@example.net>\r\n')
    await client.expect(/^250 2\.1\.0 .*\r\n/m)
    for (const user of ['u0', 'u1', 'u2']) client.send(`RCPT TO:<${user}@example.com>\r\n`)
    await client.expect(/^(?:250 2\.1\.0 .*\r\n){3}/m)
  }
  assert.ok(inside.length >= 5 && refused > 5, `${inside.length} in, ${refused} refused`)
  const [smtp] = (await few.status()).services
  assert.deepEqual([smtp?.sessions, smtp?.refused], [inside.length, { conn_limit: refused }])
  for (const client of inside) {
    client.send('DATA\r\n')
    await client.expect(/^354 .*\r\n/)
    assert.match(await client.send('x\r\n.\r\n').line(), /^250 /)
  }
  assert.deepEqual([few.eventsOf('internal'), few.eventsOf('worker.exited')], [[], []])
})
