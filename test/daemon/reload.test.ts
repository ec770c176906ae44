import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readdirSync, writeFileSync } from 'node:fs'
import { rename, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { test } from 'node:test'
import { askDaemon } from '../../src/control/client.ts'
import { openListener } from '../../src/net/listener.ts'
import { type Daemon, writeConfig } from '../support/daemon.ts'
import { echoConfig, mapOf, startEcho } from '../support/echo-daemon.ts'
import { writeEmptyMap } from '../support/map-file.ts'
import { Peer } from '../support/peer.ts'
import { tempDir } from '../support/temp-dir.ts'

async function session(daemon: Daemon): Promise<Peer> {
  const peer = await Peer.connect(daemon.port('imap'))
  await peer.line()
  return peer
}

function generationOf(peer: Peer): Promise<string> {
  return peer.send('generation\r\n').line()
}

async function freePort(): Promise<number> {
  const listener = await openListener({ host: '127.0.0.1', port: 0 }, (socket) => socket.destroy())
  listener.close()
  return listener.port
}

async function isRefused(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1')
  const outcome = await once(socket, 'connect').then(
    () => false,
    () => true,
  )
  socket.destroy()
  return outcome
}

test('SIGHUP puts a new map and config in force while sessions go on', async () => {
  using dir = tempDir()
  await using daemon = await startEcho(dir)
  using peer = await session(daemon)
  assert.equal(await generationOf(peer), '1 mx.example.com')
  const before = daemon.ports
  await writeEmptyMap(mapOf(dir), 2)
  writeConfig(dir, echoConfig('', 'other.example.com'))
  daemon.signal('SIGHUP')
  const done = await daemon.waitFor('reload.done')
  assert.equal(done.generation, 2)
  assert.equal(await generationOf(peer), '2 other.example.com')
  assert.deepEqual(daemon.ports, before)
  for (let connections = 0; connections < 10; connections++) {
    using fresh = await session(daemon)
    assert.equal(await generationOf(fresh), '2 other.example.com')
  }
  assert.deepEqual(daemon.eventsOf('worker.exited'), [])
})

test('a config with mistakes is refused with all of them, and the old one stays', async () => {
  using dir = tempDir()
  await using daemon = await startEcho(dir)
  using peer = await session(daemon)
  await writeEmptyMap(mapOf(dir), 2)
  writeConfig(dir, echoConfig('limts: {}\nsmarthost: nobody\n', 'other.example.com'))
  daemon.signal('SIGHUP')
  const refused = await daemon.waitFor('reload.refused')
  assert.equal(refused.reason, 'CONFIG_INVALID')
  assert.equal(refused.problems.length, 2)
  assert.match(refused.problems[0] ?? '', /mailmux\.yaml:8:1: .*did you mean limits/)
  assert.match(refused.problems[1] ?? '', /mailmux\.yaml:9:12: .*nobody/)
  assert.equal(await generationOf(peer), '1 mx.example.com')
  using fresh = await session(daemon)
  assert.equal(await generationOf(fresh), '1 mx.example.com')
})

test('a damaged map, a missing certificate and a port in use are refused together', async () => {
  using dir = tempDir()
  await using daemon = await startEcho(dir)
  using peer = await session(daemon)
  const taken = await openListener({ host: '127.0.0.1', port: 0 }, (socket) => socket.destroy())
  try {
    writeFileSync(dir.join('state', 'damaged.db'), 'no map at all')
    const more = `map: {database: state/damaged.db}
tls: {certificates: [{cert: cert.pem, key: key.pem}]}
listen: {imap: ["127.0.0.1:0", "127.0.0.1:${taken.port}"]}
`
    writeConfig(dir, echoConfig(more))
    const { code, stderr } = await daemon.command('reload')
    assert.equal(code, 78)
    for (const problem of [
      /cert\.pem: .*no such file/,
      /damaged\.db: /,
      /127\.0\.0\.1:\d+: the port is in use/,
    ]) {
      assert.match(stderr, problem)
    }
    assert.match(stderr, /^mailmux: reload refused: 4 problems; /m)
    assert.equal((await daemon.waitFor('reload.refused')).problems.length, 4)
    assert.equal(await generationOf(peer), '1 mx.example.com')
    using pop3 = await Peer.connect(daemon.port('pop3'))
    assert.match(await pop3.line(), /^pop3/)
  } finally {
    taken.close()
  }
})

test('the command says what is in force afterwards, for people and for scripts', async () => {
  using dir = tempDir()
  await using daemon = await startEcho(dir)
  await writeEmptyMap(mapOf(dir), 5)
  const first = await daemon.command('reload')
  assert.equal(first.code, 0)
  assert.match(first.stdout, /^generation 5 is in force: 2 workers, imap 127\.0\.0\.1:\d+, pop3 /)
  const second = await daemon.command('reload', '--json')
  const { generation, workers, listeners } = JSON.parse(second.stdout) as Record<string, unknown>
  assert.deepEqual([generation, workers, (listeners as string[]).length], [5, 2, 2])
})

test('listeners are added and removed; what stays keeps its sessions', async () => {
  using dir = tempDir()
  await using daemon = await startEcho(dir)
  using peer = await session(daemon)
  const [imap, pop3] = [daemon.port('imap'), daemon.port('pop3')]
  const added = await freePort()
  writeConfig(dir, echoConfig(`listen: {imap: ["127.0.0.1:0"], smtp: ["127.0.0.1:${added}"]}\n`))
  assert.equal((await daemon.command('reload')).code, 0)
  await daemon.waitFor('reload.done')
  const none = { pop3: [], lmtp: [], sieve: [], submission: [] }
  assert.deepEqual(daemon.ports, { ...none, imap: [imap], smtp: [added] })
  using smtp = await Peer.connect(added)
  assert.match(await smtp.line(), /^smtp/)
  assert.ok(await isRefused(pop3))
  assert.equal(await generationOf(peer), '1 mx.example.com')
  // What was removed can come back, with another service even.
  writeConfig(dir, echoConfig(`listen: {imap: ["127.0.0.1:0", "127.0.0.1:${pop3}"]}\n`))
  assert.equal((await daemon.command('reload')).code, 0)
  using back = await Peer.connect(pop3)
  assert.match(await back.line(), /^imap/)
  assert.ok(await isRefused(added))
})

test('the number of workers follows the config', async () => {
  using dir = tempDir()
  await using daemon = await startEcho(dir, 'workers: 1\n')
  using peer = await session(daemon)
  writeConfig(dir, echoConfig('workers: 3\n'))
  assert.match((await daemon.command('reload')).stdout, /3 workers/)
  await daemon.waitFor('worker.started', 3)
  writeConfig(dir, echoConfig('workers: 2\n'))
  assert.match((await daemon.command('reload')).stdout, /2 workers/)
  assert.equal((await daemon.waitFor('worker.exited')).code, 0)
  assert.equal(await generationOf(peer), '1 mx.example.com')
})

test('a worker that is replaced has the settings of the last reload', async () => {
  using dir = tempDir()
  await using daemon = await startEcho(dir, 'workers: 1\n')
  writeConfig(dir, echoConfig('workers: 1\n', 'other.example.com'))
  assert.equal((await daemon.command('reload')).code, 0)
  process.kill((await daemon.waitFor('worker.started')).pid, 'SIGKILL')
  await daemon.waitFor('worker.started', 2)
  using peer = await session(daemon)
  assert.equal(await generationOf(peer), '1 other.example.com')
})

test('a worker that is replaced serves the map in force, whatever has become of its file', async () => {
  using dir = tempDir()
  await using daemon = await startEcho(dir, 'workers: 1\n')
  // Built but not reloaded; then even damaged.
  for (const what of ['newer', 'damaged']) {
    const started = daemon.eventsOf('worker.started')
    await writeEmptyMap(mapOf(dir), 2)
    if (what === 'damaged') await writeFile(`${mapOf(dir)}.new`, 'no map at all')
    if (what === 'damaged') await rename(`${mapOf(dir)}.new`, mapOf(dir))
    process.kill(started.at(-1)?.pid ?? 0, 'SIGKILL')
    await daemon.waitFor('worker.started', started.length + 1)
    using peer = await session(daemon)
    assert.equal(await generationOf(peer), '1 mx.example.com')
  }
})

test('settings that one worker of several cannot take are taken by none', async () => {
  using dir = tempDir()
  await using daemon = await startEcho(dir, '', { env: { ECHO_WITHOUT_SMTP: '2' } })
  const added = await freePort()
  const listen = `listen: {imap: ["127.0.0.1:0"], smtp: ["127.0.0.1:${added}"]}\n`
  writeConfig(dir, echoConfig(listen, 'other.example.com'))
  const { code, stderr } = await daemon.command('reload')
  assert.equal(code, 78)
  assert.match(stderr, /this worker has no SMTP/)
  assert.ok(await isRefused(added))
  for (let connections = 0; connections < 20; connections++) {
    using peer = await session(daemon)
    assert.equal(await generationOf(peer), '1 mx.example.com')
  }
  using pop3 = await Peer.connect(daemon.port('pop3'))
  assert.match(await pop3.line(), /^pop3/)
})

test('workers that die while a reload is under way come back with the new settings', async () => {
  using dir = tempDir()
  await using daemon = await startEcho(dir)
  for (let round = 1; round <= 4; round++) {
    const hostname = `round${round}.example.com`
    const started = daemon.eventsOf('worker.started')
    const answered = daemon.eventsOf('reload.done').length
    writeConfig(dir, echoConfig('', hostname))
    process.kill(started.at(-1)?.pid ?? 0, 'SIGKILL')
    if (round % 2 === 0) await daemon.waitFor('worker.exited', round)
    daemon.signal('SIGHUP')
    await daemon.waitFor('reload.done', answered + 1)
    await daemon.waitFor('worker.started', started.length + 1)
    for (let connections = 0; connections < 20; connections++) {
      using peer = await session(daemon)
      assert.equal(await generationOf(peer), `1 ${hostname}`)
    }
  }
})

test('another run_dir is refused: it needs a restart', async () => {
  using dir = tempDir()
  await using daemon = await startEcho(dir)
  writeFileSync(daemon.configFile, `run_dir: elsewhere\nstate_dir: state\n${echoConfig()}`)
  daemon.signal('SIGHUP')
  const { problems } = await daemon.waitFor('reload.refused')
  assert.match(
    problems.join(),
    /run_dir: is read when the daemon is started, and cannot be changed before/,
  )
})

test('a storm of reloads ends with the last config in force, all sessions and no descriptor more', async () => {
  using dir = tempDir()
  await using daemon = await startEcho(dir)
  using peer = await session(daemon)
  const pids = [daemon.pid, ...daemon.eventsOf('worker.started').map(({ pid }) => pid)]
  const descriptors = (): number[] => pids.map((pid) => readdirSync(`/proc/${pid}/fd`).length)
  // Maps of before are kept for sessions of their time, the last four at most.
  for (let reloads = 1; reloads <= 6; reloads++) {
    daemon.signal('SIGHUP')
    await daemon.waitFor('reload.done', reloads)
  }
  const before = descriptors()
  for (let round = 0; round < 50; round++) daemon.signal('SIGHUP')
  const answered = daemon.eventsOf('reload.done').length
  writeConfig(dir, echoConfig('', 'last.example.com'))
  await Promise.all(Array.from({ length: 50 }, () => askDaemon(dir.join('run'), 'reload', 20_000)))
  assert.equal(await generationOf(peer), '1 last.example.com')
  const runs = daemon.eventsOf('reload.done').length - answered
  assert.ok(runs < 10, `${runs} runs for 50 questions`)
  // Connections of those who asked close in their own time; what leaks stays.
  for (let tries = 0; tries < 50 && descriptors().join() !== before.join(); tries++) {
    await daemon.command('status')
  }
  assert.deepEqual(descriptors(), before)
})

test('connections that arrive during reloads are all served', async () => {
  using dir = tempDir()
  await using daemon = await startEcho(dir)
  let served = 0
  for (let reloads = 1; reloads <= 20; reloads++) {
    daemon.signal('SIGHUP')
    while (daemon.eventsOf('reload.done').length < reloads) {
      using peer = await session(daemon)
      assert.equal(await peer.send('ping\r\n').line(), 'ping')
      served++
    }
  }
  assert.ok(served > 20, `${served} sessions`)
})

test('a config that became unreadable is refused, and the daemon can still be asked', async () => {
  using dir = tempDir()
  await using daemon = await startEcho(dir)
  writeFileSync(daemon.configFile, 'run_dir: run\nhostname: [\n')
  const reload = await daemon.command('reload')
  assert.equal(reload.code, 78)
  assert.match(reload.stderr, /mailmux\.yaml:\d+:\d+: error: /)
  assert.equal((await daemon.command('status')).code, 0)
})
