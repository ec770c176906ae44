/** Clients while some workers are full and others are not. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { limits } from '../../src/base/limit.ts'
import { askDaemon } from '../../src/control/client.ts'
import { type Daemon, writeConfig } from '../support/daemon.ts'
import { echoConfig, startEcho } from '../support/echo-daemon.ts'
import { Peer } from '../support/peer.ts'
import { tempDir } from '../support/temp-dir.ts'

const workers = 3
const sessions = 60
const config = `limits: {sessions: ${sessions}}\nworkers: ${workers}\n`

async function knock(daemon: Daemon): Promise<{ readonly peer: Peer; readonly line: string }> {
  const peer = await Peer.connect(daemon.port('imap'))
  return { peer, line: await peer.line() }
}

function pidOf(line: string): number {
  const [, pid] = /^imap none (\d+)$/.exec(line) ?? []
  assert.ok(pid !== undefined, line)
  return Number(pid)
}

/** As many as there is room for; by the process that has them. */
async function fill(daemon: Daemon, open: DisposableStack): Promise<Map<number, Peer[]>> {
  const inside = new Map<number, Peer[]>()
  for (let count = 0; count < sessions; count++) {
    const { peer, line } = await knock(daemon)
    const pid = pidOf(line)
    inside.set(pid, [...(inside.get(pid) ?? []), open.use(peer)])
  }
  return inside
}

/** Comes again until there is room; a worker that was full may need a moment. */
async function comeAgain(daemon: Daemon, open: DisposableStack): Promise<number> {
  for (let attempt = 0; attempt < 200; attempt++) {
    const { peer, line } = await knock(daemon).catch(() => ({ peer: undefined, line: '' }))
    if (peer !== undefined) open.use(peer)
    if (line.startsWith('imap none')) return pidOf(line)
    await delay(10)
  }
  throw new Error('nobody has room')
}

test('nobody is turned away while any worker has room, and then everybody is told', async () => {
  using dir = tempDir()
  await using daemon = await startEcho(dir, config)
  using open = new DisposableStack()
  const inside = await fill(daemon, open)
  const counts = [...inside.values()].map(({ length }) => length)
  assert.deepEqual(counts, Array(workers).fill(sessions / workers))
  for (let count = 0; count < 5; count++) {
    const { peer, line } = await knock(daemon)
    assert.match(line, /^\* BYE \[UNAVAILABLE\] too many sessions/)
    await peer.end()
  }
  // Wherever one leaves, another has its place.
  for (const [pid, [first]] of inside) {
    await first?.send('quit\r\n').end()
    assert.equal(await comeAgain(daemon, open), pid)
  }
  assert.deepEqual(daemon.eventsOf('internal'), [])
})

test('when the worker dies that tells clients that all is full, others do', async () => {
  using dir = tempDir()
  await using daemon = await startEcho(dir, config)
  using open = new DisposableStack()
  const inside = await fill(daemon, open)
  for (const pid of inside.keys()) {
    process.kill(pid, 'SIGKILL')
    const next = await comeAgain(daemon, open)
    assert.ok(!inside.has(next), 'the one that came in its place has room')
    for (let count = 1; count < sessions / workers; count++) {
      assert.equal(await comeAgain(daemon, open), next)
    }
  }
})

test('a reload gives room to workers that were full, and a stop ends them', async () => {
  using dir = tempDir()
  const daemon = await startEcho(dir, config)
  await using _daemon = daemon
  using open = new DisposableStack()
  await fill(daemon, open)
  const larger = config.replace(`${sessions}`, `${2 * sessions}`)
  writeConfig(dir, echoConfig(larger))
  await askDaemon(dir.join('run'), 'reload', 10_000)
  const pids: number[] = []
  for (let count = 0; count < sessions; count++) pids.push(await comeAgain(daemon, open))
  const counts = [...Map.groupBy(pids, (pid) => pid).values()].map(({ length }) => length)
  assert.deepEqual(counts, Array(workers).fill(sessions / workers))
  open.dispose()
  assert.equal((await daemon.stop()).code, 0)
})

test('nor while any has descriptors, of which some are in use otherwise', async () => {
  using dir = tempDir()
  // What a worker has open by itself leaves less than the half that its sessions count on.
  const openFiles = 106
  await using daemon = await startEcho(dir, 'workers: 3\n', { openFiles })
  using open = new DisposableStack()
  const pids: number[] = []
  let line = ''
  for (let count = 0; !line.startsWith('*'); count++) {
    const next = await knock(daemon)
    open.use(next.peer)
    line = next.line
    if (!line.startsWith('*')) pids.push(pidOf(line))
  }
  const counts = [...Map.groupBy(pids, (pid) => pid).values()].map(({ length }) => length)
  assert.equal(counts.length, 3, counts.join())
  assert.ok(Math.max(...counts) < (openFiles - limits.reservedDescriptors) / 2, counts.join())
  assert.ok(Math.min(...counts) >= Math.max(...counts) - 4, counts.join())
})
