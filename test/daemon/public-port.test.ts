/** What a daemon does on ports that anybody may connect to. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { test } from 'node:test'
import type { Service } from '../../src/config/config.ts'
import { startDaemon, type Daemon } from '../support/daemon.ts'
import { mapOf, startEcho } from '../support/echo-daemon.ts'
import { writeEmptyMap } from '../support/map-file.ts'
import { Peer } from '../support/peer.ts'
import { tempDir } from '../support/temp-dir.ts'

const all = 'listen: {imap: ["127.0.0.1:0"], pop3: ["127.0.0.1:0"], smtp: ["127.0.0.1:0"]}\n'

/** Connects and reads the first line. */
async function knock(
  daemon: Daemon,
  service: Service,
  from?: string,
): Promise<{ peer: Peer; line: string }> {
  const peer = await Peer.connect(daemon.port(service), '127.0.0.1', from)
  return { peer, line: await peer.line() }
}

test('sessions of one address are counted over all workers, and others have theirs', async () => {
  using dir = tempDir()
  const limits = 'limits: {sessions_per_ip: 5, exempt: []}\nworkers: 3\n'
  await using daemon = await startEcho(dir, `${all}${limits}`)
  await using open = new AsyncDisposableStack()
  const inside: Peer[] = []
  for (let count = 0; count < 5; count++) {
    const { peer, line } = await knock(daemon, 'imap')
    open.use(peer)
    inside.push(peer)
    assert.match(line, /^imap none/)
  }
  for (let count = 0; count < 6; count++) {
    const { peer, line } = await knock(daemon, 'imap')
    open.use(peer)
    assert.match(line, /^\* BYE \[UNAVAILABLE\] too many sessions from your address/)
  }
  const words = [
    ['pop3', /^-ERR \[SYS\/TEMP\] too many sessions from your address/],
    ['smtp', /^421 4\.7\.0 mx\.example\.com too many sessions from your address/],
  ] as const
  for (const [service, refusal] of words) {
    for (let count = 0; count < 5; count++) open.use((await knock(daemon, service)).peer)
    const { peer, line } = await knock(daemon, service)
    open.use(peer)
    assert.match(line, refusal)
  }
  const other = await knock(daemon, 'imap', '127.0.0.2')
  open.use(other.peer)
  assert.match(other.line, /^imap none/)
  await daemon.waitFor('refuse', 8)
  assert.ok(daemon.eventsOf('refuse').every(({ reason }) => reason === 'ip_limit'))
  await inside[0]?.send('quit\r\n').end()
  await daemon.waitFor('session.end')
  const next = await knock(daemon, 'imap')
  open.use(next.peer)
  assert.match(next.line, /^imap none/)
})

test('sessions that died with their worker are counted no more', async () => {
  using dir = tempDir()
  const limits = 'limits: {sessions_per_ip: 4, exempt: []}\nworkers: 2\n'
  await using daemon = await startEcho(dir, `${all}${limits}`)
  await using open = new AsyncDisposableStack()
  const inside: Peer[] = []
  for (let count = 0; count < 4; count++) {
    const { peer } = await knock(daemon, 'imap')
    open.use(peer)
    inside.push(peer)
  }
  for (const { pid } of daemon.eventsOf('worker.started')) process.kill(pid, 'SIGKILL')
  for (const peer of inside) await peer.end()
  await daemon.waitFor('worker.started', 4)
  for (let count = 0; count < 4; count++) {
    const { peer, line } = await knock(daemon, 'imap')
    open.use(peer)
    assert.match(line, /^imap none/)
  }
  const { peer, line } = await knock(daemon, 'imap')
  open.use(peer)
  assert.match(line, /^\* BYE/)
})

test('an address that connects too often is told to slow down', async () => {
  using dir = tempDir()
  const limits = 'limits: {connections_per_ip: 5/day, exempt: ["127.0.0.9"]}\nworkers: 2\n'
  await using daemon = await startEcho(dir, `${all}${limits}`)
  for (let count = 0; count < 8; count++) {
    const { peer, line } = await knock(daemon, 'smtp')
    using _ = peer
    if (count < 5) assert.match(line, /^smtp none/)
    else assert.match(line, /^421 4\.7\.0 .* too many connections from your address, slow down$/)
  }
  const exempt = await knock(daemon, 'smtp', '127.0.0.9')
  exempt.peer.socket.destroy()
  assert.match(exempt.line, /^smtp none/)
  assert.equal((await daemon.waitFor('refuse', 3)).reason, 'conn_rate')
})

test('with few descriptors, those who find none are told so, and what runs goes on', async () => {
  using dir = tempDir()
  const limits = 'limits: {sessions: 1000}\nworkers: 1\n'
  const openFiles = 104
  await using daemon = await startEcho(dir, `${all}${limits}`, { openFiles })
  await using open = new AsyncDisposableStack()
  const room = (openFiles - 64) / 2
  const inside: Peer[] = []
  for (let count = 0; count < room; count++) {
    const { peer, line } = await knock(daemon, 'imap')
    open.use(peer)
    inside.push(peer)
    assert.match(line, /^imap none/)
  }
  // Far more at once than there are descriptors: some are told, the others are just closed.
  const outside = await Promise.all(
    Array.from({ length: 200 }, async () => {
      const peer = await Peer.connect(daemon.port('smtp'))
      return peer.end().finally(() => peer.socket.destroy())
    }),
  )
  const told = outside.filter((text) => text !== '')
  assert.ok(told.length >= 32, `${told.length}`)
  for (const text of told) assert.match(text, /^421 4\.3\.2 /)
  for (const [number, peer] of inside.entries()) {
    assert.equal(await peer.send(`still ${number}\r\n`).line(), `still ${number}`)
  }
  assert.equal((await daemon.command('status')).code, 0)
  assert.equal((await daemon.waitFor('refuse')).reason, 'conn_limit')
  assert.deepEqual(daemon.eventsOf('worker.exited'), [])
  await inside[0]?.send('quit\r\n').end()
  await daemon.waitFor('session.end')
  const next = await knock(daemon, 'pop3')
  open.use(next.peer)
  assert.match(next.line, /^pop3 none/)
})

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
  using dir = tempDir()
  await writeEmptyMap(mapOf(dir), 1)
  const config = `hostname: mx.example.com
domains: [example.com]
backends: {fritz: {host: 127.0.0.1, imap: 1, pop3: 1, smtp: 1}}
${all}workers: 2
`
  await using daemon = await startDaemon({ dir, config })
  const services: readonly Service[] = ['smtp', 'imap', 'pop3']
  const flood = 3_000
  const atOnce = 60
  const numbers = Array.from({ length: flood }, (_, number) => number).values()
  await Promise.all(
    Array.from({ length: atOnce }, async () => {
      for (const number of numbers) {
        const socket = connect(daemon.port(services[number % 3] ?? 'smtp'), '127.0.0.1')
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
  ] as const) {
    const { peer, line } = await knock(daemon, service)
    peer.socket.destroy()
    assert.match(line, greeting)
  }
  const { stdout } = await daemon.command('status', '--json')
  const report = JSON.parse(stdout) as { services: { sessions_total: number }[] }
  const total = report.services.reduce((sum, { sessions_total }) => sum + sessions_total, 0)
  assert.ok(total > flood / 2, `${total}`)
  assert.deepEqual(daemon.eventsOf('worker.exited'), [])
  assert.deepEqual(daemon.eventsOf('internal'), [])
  const seconds = new Set(daemon.eventsOf('refuse').map(({ time }) => time.slice(0, 19))).size
  const most =
    seconds * 2 * 10 * new Set(daemon.eventsOf('refuse').map(({ reason }) => reason)).size
  assert.ok(daemon.eventsOf('refuse').length <= most * services.length)
})
