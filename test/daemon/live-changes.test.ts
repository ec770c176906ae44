import assert from 'node:assert/strict'
import { renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import type { StatusReport } from '../../src/control/messages.ts'
import { runCommand } from '../support/command.ts'
import { type Daemon, startDaemon, writeConfig } from '../support/daemon.ts'
import { Peer, ScriptedBackend } from '../support/peer.ts'
import { type TempDir, tempDir } from '../support/temp-dir.ts'

async function pop3Backend(peer: Peer): Promise<void> {
  peer.send('+OK ready\r\n')
  for (;;) {
    const line = await peer.line()
    peer.send(line === 'CAPA' ? '+OK\r\nUSER\r\n.\r\n' : '+OK\r\n')
  }
}

async function start(dir: TempDir, port: number): Promise<Daemon> {
  const config = `hostname: mx.example.com
domains: [example.com]
backends: {fritz: {host: 127.0.0.1, pop3: ${port}}}
map: {user_map: user_map, aliases: aliases}
listen: {pop3: ["127.0.0.1:0"]}
limits: {auth_failure_delay: 1ms}
workers: 2
`
  writeFileSync(dir.join('user_map'), 'ann@example.com fritz\ncarl@example.com fritz\n')
  writeFileSync(dir.join('aliases'), 'info: ann\n')
  const build = await runCommand(['build-map', '--config', writeConfig(dir, config)])
  assert.equal(build.code, 0, build.stderr)
  return startDaemon({ dir, config })
}

/** Answers to logins, so many that each worker has given some. */
async function logins(daemon: Daemon, user: string): Promise<Set<string>> {
  const answers = Array.from({ length: 8 }, async () => {
    using peer = await Peer.connect(daemon.port('pop3'))
    await peer.line()
    await peer.send(`USER ${user}\r\n`).line()
    return (await peer.send('PASS x\r\n').line()).slice(0, 3)
  })
  return new Set(await Promise.all(answers))
}

async function generationOf(daemon: Daemon): Promise<number> {
  const { stdout } = await daemon.command('status', '--json')
  return (JSON.parse(stdout) as StatusReport).generation
}

test('every worker answers with a change from its next lookup on, without a reload', async () => {
  using dir = tempDir()
  await using fritz = await ScriptedBackend.start(pop3Backend)
  await using daemon = await start(dir, fritz.port)
  assert.deepEqual(await logins(daemon, 'zoe'), new Set(['-ER']))
  const added = await daemon.command('user', 'add', 'zoe', 'fritz')
  assert.deepEqual([added.code, added.stdout], [0, 'zoe@example.com: done, generation 2\n'])
  assert.deepEqual(await logins(daemon, 'zoe'), new Set(['+OK']))
  assert.equal(await generationOf(daemon), 2)
  assert.equal((await daemon.command('user', 'remove', 'zoe')).code, 0)
  assert.deepEqual(await logins(daemon, 'zoe'), new Set(['-ER']))
  assert.deepEqual(await logins(daemon, 'ann'), new Set(['+OK']))

  assert.equal((await daemon.command('user', 'add', 'zoe', 'fritz')).code, 0)
  assert.equal((await daemon.command('build-map')).code, 0)
  assert.deepEqual(await logins(daemon, 'zoe'), new Set(['+OK']), 'on the old base')
  assert.equal((await daemon.command('reload')).code, 0)
  assert.deepEqual(await logins(daemon, 'zoe'), new Set(['+OK']), 'on the new one')
  assert.equal(await generationOf(daemon), 5)
})

test('a state database that is destroyed changes no answer, and is reported', async () => {
  using dir = tempDir()
  await using fritz = await ScriptedBackend.start(pop3Backend)
  await using daemon = await start(dir, fritz.port)
  assert.equal((await daemon.command('user', 'add', 'zoe', 'fritz')).code, 0)
  assert.deepEqual(await logins(daemon, 'zoe'), new Set(['+OK']))
  const state = dir.join('state/state.db')
  // Where somebody looked at the database as the command ended, all of it is still in its log.
  for (const more of ['-wal', '-shm']) rmSync(`${state}${more}`, { force: true })
  writeFileSync(dir.join('rubbish'), Buffer.alloc(20_480, 'x'))
  renameSync(dir.join('rubbish'), state)
  const patience = AbortSignal.timeout(20_000)
  while (daemon.eventsOf('map.changes_unread').length === 0) {
    assert.deepEqual(await logins(daemon, 'zoe'), new Set(['+OK']))
    patience.throwIfAborted()
  }
  assert.equal(daemon.eventsOf('map.changes_unread')[0]?.['code'], 'STATE_DAMAGED')
  assert.deepEqual(await logins(daemon, 'zoe'), new Set(['+OK']))
  const refused = await daemon.command('user', 'add', 'yan', 'fritz')
  assert.equal(refused.code, 78)
  assert.match(refused.stderr, /state\.db: file is not a database; move it away/)
})

/** Ends every worker, and waits until others have taken their places. */
async function replaceWorkers(daemon: Daemon): Promise<void> {
  const started = daemon.eventsOf('worker.started')
  for (const { pid } of started.slice(-2)) process.kill(pid, 'SIGKILL')
  await daemon.waitFor('worker.started', started.length + 2)
}

const losses: Readonly<Record<string, (path: string) => void>> = {
  deleted: (path) => rmSync(path),
  truncated: (path) => truncateSync(path, 0),
  'overwritten in place': (path) => writeFileSync(path, Buffer.alloc(20_480, 'x')),
}

for (const [what, lose] of Object.entries(losses)) {
  test(`workers to come answer as those before, though the state database was ${what}`, async () => {
    using dir = tempDir()
    await using fritz = await ScriptedBackend.start(pop3Backend)
    await using daemon = await start(dir, fritz.port)
    assert.equal((await daemon.command('user', 'add', 'zoe', 'fritz')).code, 0)
    assert.equal((await daemon.command('user', 'remove', 'carl')).code, 0)
    assert.equal(await generationOf(daemon), 3)
    const state = dir.join('state/state.db')
    for (const more of ['-wal', '-shm']) rmSync(`${state}${more}`, { force: true })
    lose(state)

    const areAnswered = async (when: string): Promise<void> => {
      assert.deepEqual(await logins(daemon, 'zoe'), new Set(['+OK']), when)
      assert.deepEqual(await logins(daemon, 'carl'), new Set(['-ER']), when)
      assert.equal(await generationOf(daemon), 3)
    }
    await areAnswered('at once')
    await replaceWorkers(daemon)
    await areAnswered('by new workers')
    assert.equal((await daemon.command('reload')).code, 0)
    await areAnswered('after a reload')
    await daemon.waitFor('map.changes_unread')

    rmSync(state, { force: true })
    const build = await daemon.command('build-map', '--force')
    assert.equal(build.code, 0, build.stderr)
    assert.equal((await daemon.command('reload')).code, 0)
    assert.deepEqual(await logins(daemon, 'zoe'), new Set(['+OK']))
    assert.deepEqual(await logins(daemon, 'carl'), new Set(['-ER']))
    assert.equal((await daemon.command('user', 'remove', 'zoe')).code, 0)
    assert.deepEqual(await logins(daemon, 'zoe'), new Set(['-ER']))
  })
}
