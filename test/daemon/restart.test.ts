/** New workers in the place of old ones, while clients come and stay. */
import assert from 'node:assert/strict'
import { copyFileSync, rmSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { askDaemon } from '../../src/control/client.ts'
import type { WorkerStatus } from '../../src/control/messages.ts'
import type { Daemon } from '../support/daemon.ts'
import { connectUntil, startEcho } from '../support/echo-daemon.ts'
import { Peer } from '../support/peer.ts'
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
  assert.ok((await connectUntil(restarted, daemon)) > 0)
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
  ['ends at once', 'process.exit(3)', /worker \d+ ended before it was ready/],
  [
    'is of a version that this daemon does not understand',
    `process.send({ kind: 'hello', version: '99.1.0' }); setInterval(() => {}, 1000)`,
    /^(?:mailmux: )?version 99\.1\.0 is installed and version \S+ runs: .*`mailmux drain`/m,
  ],
  [
    'is so old that it does not say which it is',
    `process.send({ kind: 'hello' }); setInterval(() => {}, 1000)`,
    /^(?:mailmux: )?an older version is installed and version \S+ runs: /m,
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
    assert.match(refused.stderr, /the workers stay those that they were/)
    for (const problem of (await daemon.waitFor('restart.refused')).problems) {
      assert.match(problem, refusal)
    }
    await daemon.waitFor('worker.exited', 2)
    assert.deepEqual(new Set((await sessionsOnAll(daemon)).keys()), new Set(old.keys()))
    for (const peer of old.values()) {
      assert.equal(await peer.send('still there\r\n').line(), 'still there')
    }
    install(`import ${JSON.stringify(echoWorker)}`)
    assert.equal((await daemon.command('restart', '--within', '100ms')).code, 0)
  })
}

test('a process that cannot be started is told of, and nothing waits for it', async () => {
  using dir = tempDir()
  const node = dir.join('node')
  copyFileSync(process.execPath, node)
  const under = ['/bin/sh', '-c', 'shift; exec "$0" "$@"', node]
  await using daemon = await startEcho(dir, '', { under })
  const old = await sessionsOnAll(daemon)
  rmSync(node)
  const refused = await daemon.command('restart')
  assert.equal(refused.code, 78, refused.stderr)
  assert.match(refused.stderr, /a process cannot be started: spawn \S+ ENOENT/)
  assert.equal((await daemon.command('reload')).code, 0)
  const { workers } = await daemon.status()
  assert.deepEqual(
    workers.map(({ state }) => state),
    ['serving', 'serving'],
  )
  for (const peer of old.values()) peer[Symbol.dispose]()
  assert.equal((await daemon.stop()).code, 0)
})

test('a daemon that drains is not restarted', async () => {
  using dir = tempDir()
  await using daemon = await startEcho(dir)
  const old = await sessionsOnAll(daemon)
  assert.equal((await daemon.command('drain', '--within', '1h', '--no-wait')).code, 0)
  const refused = await daemon.command('restart')
  assert.deepEqual([refused.code, /the daemon is stopping/.test(refused.stderr)], [78, true])
  for (const peer of old.values()) peer.send('quit\r\n')
  assert.equal((await daemon.exited).code, 0)
  assert.equal(daemon.eventsOf('worker.started').length, 2)
})

test('restarts end where too many workers of earlier ones have sessions yet', async () => {
  using dir = tempDir()
  await using daemon = await startEcho(dir, 'workers: 1\n')
  const restartOnce = (): Promise<unknown> =>
    askDaemon(dir.join('run'), 'restart', 20_000, { details: { within_ms: 3_600_000 } })
  const clients: Peer[] = []
  const enter = async (): Promise<void> => {
    const peer = await Peer.connect(daemon.port('imap'))
    await peer.line()
    clients.push(peer)
  }
  await enter()
  // One place for each worker that can be counted.
  while (clients.length < 16) {
    await restartOnce()
    await enter()
  }
  await assert.rejects(restartOnce, /still have sessions.*try again then/)
  await daemon.waitFor('worker.started', 16)
  assert.equal(daemon.eventsOf('worker.started').length, 16)
  assert.match(await (clients[0] ?? assert.fail()).send('quit\r\n').end(), /bye/)
  await daemon.waitFor('worker.exited')
  await restartOnce()
  // Then a shorter time holds for all who leave.
  assert.equal((await daemon.command('restart', '--within', '1ms')).code, 78)
  for (const peer of clients.slice(1)) assert.equal(await peer.end(), 'bye\r\n')
})

test('a time without a unit is refused, and where no daemon runs that is said', async () => {
  using dir = tempDir()
  await using daemon = await startEcho(dir)
  const bad = await daemon.command('restart', '--within', 'soon')
  assert.deepEqual([bad.code, /soon is no time such as 90s/.test(bad.stderr)], [2, true])
  const long = await daemon.command('restart', '--within', '8d')
  assert.deepEqual([long.code, /8d is more than 7d/.test(long.stderr)], [2, true])
  await daemon.stop()
  const none = await daemon.command('restart')
  assert.deepEqual([none.code, /no daemon is running/.test(none.stderr)], [69, true])
})
