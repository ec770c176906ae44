import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { askDaemon } from '../../src/control/client.ts'
import { openListener } from '../../src/net/listener.ts'
import type { Daemon } from '../support/daemon.ts'
import { launchEcho, mapOf, startEcho } from '../support/echo-daemon.ts'
import { writeEmptyMap } from '../support/map-file.ts'
import { Peer } from '../support/peer.ts'
import { tempDir } from '../support/temp-dir.ts'

/** Whether a process of that number lives. */
function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

function workerPids(daemon: Daemon): number[] {
  return daemon.eventsOf('worker.started').map(({ pid }) => pid)
}

/** A session on the worker with that pid: the kernel chooses, so it may take some tries. */
async function sessionOn(daemon: Daemon, pid: number): Promise<Peer> {
  for (let tries = 0; tries < 500; tries++) {
    const peer = await Peer.connect(daemon.port('imap'))
    if (Number((await peer.line()).split(' ')[2]) === pid) return peer
    peer[Symbol.dispose]()
  }
  throw new Error(`no session on worker process ${pid}`)
}

test('a daemon says what it listens on when all workers serve', async () => {
  using dir = tempDir()
  await using daemon = await startEcho(dir)
  const ready = await daemon.waitFor('daemon.ready')
  assert.equal(ready.pid, daemon.pid)
  assert.equal(ready.workers, 2)
  assert.equal(ready.generation, 1)
  assert.equal(ready.listeners.length, 2)
  assert.match(ready.listeners[0] ?? '', /^imap 127\.0\.0\.1:\d+$/)
  assert.ok(!Number.isNaN(Date.parse(ready.time)))
  using imap = await Peer.connect(daemon.port('imap'))
  using pop3 = await Peer.connect(daemon.port('pop3'))
  assert.match(await imap.line(), /^imap none \d+$/)
  assert.match(await pop3.line(), /^pop3 none \d+$/)
  assert.deepEqual(daemon.strayLines, [])
})

test('only the services that are named are served', async () => {
  using dir = tempDir()
  await using daemon = await startEcho(dir, '', { services: ['pop3'] })
  assert.deepEqual(daemon.ports.imap, [])
  assert.equal(daemon.ports.pop3.length, 1)
})

test('SIGTERM tells open sessions, waits for them, and ends with 0', async () => {
  using dir = tempDir()
  await using daemon = await startEcho(dir)
  using peer = await Peer.connect(daemon.port('imap'))
  await peer.line()
  const { code, signal, stderr } = await daemon.stop()
  assert.deepEqual({ code, signal, stderr }, { code: 0, signal: null, stderr: '' })
  assert.equal(await peer.end(), 'bye\r\n')
  assert.equal(daemon.eventsOf('daemon.stopping')[0]?.reason, 'SIGTERM')
  assert.equal(daemon.eventsOf('daemon.stopped')[0]?.drained, true)
  assert.equal(daemon.eventsOf('session.end')[0]?.end, 'shutdown')
  assert.ok(workerPids(daemon).every((pid) => !isAlive(pid)))
})

test('sessions that need their time at a stop get it', async () => {
  using dir = tempDir()
  await using daemon = await startEcho(dir)
  using peer = await Peer.connect(daemon.port('imap'))
  await peer.send('stay\r\n').expect(/staying/)
  const stopped = daemon.stop()
  await peer.expect(/bye\r\n/)
  peer.send('not yet\r\n')
  assert.equal(await peer.line(), 'not yet')
  // Nothing new is taken meanwhile, and the daemon still answers for itself.
  const { stdout } = await daemon.command('status')
  assert.match(stdout, / stopping for /)
  await peer.send('quit\r\n').end()
  assert.equal((await stopped).code, 0)
  assert.equal(daemon.eventsOf('daemon.stopped')[0]?.drained, true)
})

test('sessions that do not come to an end are cut off when their time is up', async () => {
  using dir = tempDir()
  await using daemon = await startEcho(dir, 'limits: {drain_timeout: 100ms}\n')
  using peer = await Peer.connect(daemon.port('imap'))
  await peer.send('stay\r\n').expect(/staying/)
  const { code } = await daemon.stop()
  assert.equal(code, 0)
  assert.equal(daemon.eventsOf('daemon.stopped')[0]?.drained, false)
  assert.equal((await peer.end()).trim(), 'bye')
})

test('a second signal ends the daemon at once', async () => {
  using dir = tempDir()
  await using daemon = await startEcho(dir, 'limits: {drain_timeout: 1h}\n')
  using peer = await Peer.connect(daemon.port('imap'))
  await peer.send('stay\r\n').expect(/staying/)
  daemon.signal('SIGINT')
  await peer.expect(/bye/)
  daemon.signal('SIGINT')
  assert.equal((await daemon.exited).code, 0)
})

test('a daemon that was killed leaves no worker behind and its run_dir free', async () => {
  using dir = tempDir()
  await using daemon = await startEcho(dir)
  using peer = await Peer.connect(daemon.port('imap'))
  await peer.line()
  daemon.signal('SIGKILL')
  await peer.end()
  // The workers hold the pipe that this waits for.
  assert.equal((await daemon.exited).signal, 'SIGKILL')
  await using next = await startEcho(dir)
  assert.equal((await next.command('status')).code, 0)
})

test('a worker that is killed is replaced; the others keep their sessions and the port', async () => {
  using dir = tempDir()
  await using daemon = await startEcho(dir)
  const [first = 0, second = 0] = workerPids(daemon)
  const port = daemon.port('imap')
  using lost = await sessionOn(daemon, first)
  using kept = await sessionOn(daemon, second)
  process.kill(first, 'SIGKILL')
  await lost.end()
  using meanwhile = await Peer.connect(port)
  assert.match(await meanwhile.line(), /^imap none/)
  const exited = await daemon.waitFor('worker.exited')
  assert.deepEqual([exited.pid, exited.code, exited.signal], [first, null, 'SIGKILL'])
  const { pid } = await daemon.waitFor('worker.started', 3)
  using fresh = await sessionOn(daemon, pid)
  assert.equal(await fresh.send('generation\r\n').line(), '1 mx.example.com')
  assert.equal(await kept.send('still there\r\n').line(), 'still there')
})

test('the only worker gets back the port that it had', async () => {
  using dir = tempDir()
  await using daemon = await startEcho(dir, 'workers: 1\n')
  const [first = 0] = workerPids(daemon)
  process.kill(first, 'SIGKILL')
  const { pid } = await daemon.waitFor('worker.started', 2)
  using peer = await Peer.connect(daemon.port('imap'))
  assert.equal(await peer.line(), `imap none ${pid}`)
})

test('a fault of ours ends one worker, after its sessions, and another takes its place at once', async () => {
  using dir = tempDir()
  await using daemon = await startEcho(dir, 'workers: 1\n')
  const [first = 0] = workerPids(daemon)
  using other = await Peer.connect(daemon.port('imap'))
  await other.send('stay\r\n').expect(/staying/)
  using culprit = await Peer.connect(daemon.port('imap'))
  await culprit.send('throw\r\n').expect(/bye/)
  const internal = await daemon.waitFor('internal')
  assert.equal(internal.reason, 'exception')
  assert.match(internal.detail, /a fault of ours/)
  const { pid } = await daemon.waitFor('worker.started', 2)
  using fresh = await sessionOn(daemon, pid)
  assert.equal(await fresh.send('hello\r\n').line(), 'hello')
  // The session of the failing worker goes on until it ends by itself.
  assert.equal(await other.expect(/bye\r\n/).then(() => other.send('last\r\n').line()), 'last')
  other.send('quit\r\n')
  await other.end()
  const exited = await daemon.waitFor('worker.exited')
  assert.deepEqual([exited.pid, exited.code], [first, 1])
})

test('however a handler fails, its session hears of it and others go on in another worker', async () => {
  using dir = tempDir()
  await using daemon = await startEcho(dir, 'workers: 1\n')
  const faults = ['throw', 'throw later', 'reject', 'throw in a stream']
  for (const [before, fault] of faults.entries()) {
    using culprit = await Peer.connect(daemon.port('imap'))
    await culprit.line()
    await culprit.send(`${fault}\r\n`).expect(/bye\r\n/)
    await culprit.end()
    const { reason, detail } = await daemon.waitFor('internal', before + 1)
    assert.equal(reason, 'exception', fault)
    assert.match(detail, /a fault of ours/, fault)
    const { pid } = await daemon.waitFor('worker.started', before + 2)
    using fresh = await sessionOn(daemon, pid)
    assert.equal(await fresh.send('hello\r\n').line(), 'hello')
    await daemon.waitFor('worker.exited', before + 1)
  }
  const { workers } = await askDaemon(dir.join('run'), 'status', 10_000)
  assert.deepEqual(
    workers.map(({ restarts }) => restarts),
    [faults.length],
  )
})

test('workers that die again and again are replaced more and more slowly', async () => {
  using dir = tempDir()
  await using daemon = await startEcho(dir)
  for (let deaths = 1; deaths <= 5; deaths++) {
    const { pid } = await daemon.waitFor('worker.started', deaths + 1)
    process.kill(pid, 'SIGKILL')
    await daemon.waitFor('worker.exited', deaths)
  }
  const delayed = await daemon.waitFor('worker.delayed')
  assert.deepEqual([delayed.crashes, delayed.delay_ms], [5, 1000])
  using peer = await Peer.connect(daemon.port('imap'))
  assert.match(await peer.line(), /^imap none/)
  await daemon.waitFor('worker.started', 7)
})

test('a worker that stands still is killed and replaced', async () => {
  using dir = tempDir()
  await using daemon = await startEcho(dir)
  const [still = 0] = workerPids(daemon)
  process.kill(still, 'SIGSTOP')
  // Each question finds it silent; the other one answers all the same.
  for (let asked = 0; asked < 12 && daemon.eventsOf('worker.hung').length === 0; asked++) {
    await askDaemon(dir.join('run'), 'status', 10_000)
  }
  assert.equal((await daemon.waitFor('worker.hung')).pid, still)
  assert.equal((await daemon.waitFor('worker.exited')).signal, 'SIGKILL')
  const { pid } = await daemon.waitFor('worker.started', 3)
  using fresh = await sessionOn(daemon, pid)
  assert.equal(await fresh.send('hello\r\n').line(), 'hello')
})

test('a port in use is one clear line that names the address, and nothing is left running', async () => {
  using dir = tempDir()
  await writeEmptyMap(mapOf(dir), 1)
  const taken = await openListener({ host: '127.0.0.1', port: 0 }, (socket) => socket.destroy())
  try {
    const listen = `listen: {imap: ["127.0.0.1:${taken.port}"], pop3: ["127.0.0.1:0"]}\n`
    await using daemon = launchEcho(dir, listen)
    const { code, stderr } = await daemon.exited
    assert.equal(code, 69)
    assert.equal(stderr, `LISTEN_FAILED: 127.0.0.1:${taken.port}: the port is in use\n`)
    assert.deepEqual(daemon.events, [])
  } finally {
    taken.close()
  }
})

test('without a map nothing listens', async () => {
  using dir = tempDir()
  await using daemon = launchEcho(dir)
  const { code, stderr } = await daemon.exited
  assert.equal(code, 78)
  assert.equal(stderr, `MAP_DATABASE_MISSING: ${mapOf(dir)}: there is no map database\n`)
  assert.deepEqual(daemon.events, [])
})

test('with a damaged map nothing listens', async () => {
  using dir = tempDir()
  await writeEmptyMap(mapOf(dir), 1)
  writeFileSync(mapOf(dir), 'no map at all')
  await using daemon = launchEcho(dir)
  const { code, stderr } = await daemon.exited
  assert.equal(code, 78)
  assert.ok(stderr.startsWith(`MAP_DATABASE_DAMAGED: ${mapOf(dir)}: `), stderr)
  assert.deepEqual(daemon.events, [])
})

test('everything that keeps a daemon from starting is said at once', async () => {
  using dir = tempDir()
  writeFileSync(dir.join('key.pem'), 'not a key')
  const tls = 'tls: {certificates: [{cert: none.pem, key: key.pem}]}\n'
  await using daemon = launchEcho(dir, `listen: {imap: ["203.0.113.77:1143"]}\n${tls}`)
  const { code, stderr } = await daemon.exited
  assert.equal(code, 78)
  assert.match(stderr, /none\.pem/)
  assert.match(stderr, /there is no map database/)
  assert.match(stderr, /203\.0\.113\.77:1143: this host does not have the address/)
})

test('a second daemon with the same run_dir is refused and the first serves on', async () => {
  using dir = tempDir()
  await using first = await startEcho(dir)
  await using second = launchEcho(dir)
  const { code, stderr } = await second.exited
  assert.equal(code, 69)
  assert.match(stderr, /^ALREADY_RUNNING: .*\/run: a daemon is running with this run_dir\n$/)
  using peer = await Peer.connect(first.port('imap'))
  assert.match(await peer.line(), /^imap none/)
})

test('who finds no room hears why in the words of the protocol', async () => {
  using dir = tempDir()
  const listen = 'listen: {imap: ["127.0.0.1:0"], pop3: ["127.0.0.1:0"], smtp: ["127.0.0.1:0"]}\n'
  await using daemon = await startEcho(dir, `${listen}workers: 1\nlimits: {sessions: 1}\n`)
  using inside = await Peer.connect(daemon.port('imap'))
  await inside.line()
  const words = [
    ['imap', '* BYE [UNAVAILABLE] too many sessions, try again later\r\n'],
    ['pop3', '-ERR [SYS/TEMP] too many sessions, try again later\r\n'],
    ['smtp', '421 4.3.2 mx.example.com too many sessions, try again later\r\n'],
  ] as const
  for (const [service, answer] of words) {
    using outside = await Peer.connect(daemon.port(service))
    assert.equal(await outside.end(), answer)
  }
  await daemon.waitFor('refuse', 3)
  assert.deepEqual(
    daemon
      .eventsOf('refuse')
      .map(({ service, reason }) => `${service} ${reason}`)
      .toSorted(),
    words.map(([service]) => `${service} conn_limit`),
  )
  inside.send('quit\r\n')
  await inside.end()
  await daemon.waitFor('session.end')
  using next = await Peer.connect(daemon.port('pop3'))
  assert.match(await next.line(), /^pop3 none/)
})
