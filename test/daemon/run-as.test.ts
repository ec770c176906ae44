/** Who the processes of a daemon are, and who may touch its files. */
import assert from 'node:assert/strict'
import {
  chmodSync,
  chownSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { test } from 'node:test'
import { buildMap } from '../../src/map/build.ts'
import { State } from '../../src/map/state/state.ts'
import { ownAsDirectory } from '../../src/storage/own-as-directory.ts'
import { configOf } from '../support/map-case.ts'
import { runCommand } from '../support/command.ts'
import { type Daemon, launchDaemon, startDaemon, writeConfig } from '../support/daemon.ts'
import { launchEcho, startEcho } from '../support/echo-daemon.ts'
import { Peer, ScriptedBackend } from '../support/peer.ts'
import { type TempDir, tempDir } from '../support/temp-dir.ts'

const nobody = 65_534

const skipUnlessRoot = process.getuid?.() === 0 ? false : 'only root can start others than itself'

function siteConfig(port: number, more = 'user: nobody\ngroup: nogroup\n'): string {
  return `hostname: mx.example.com
domains: [example.com]
backends: {fritz: {host: 127.0.0.1, pop3: ${port}}}
map: {user_map: user_map}
listen: {pop3: ["127.0.0.1:0"]}
limits: {auth_failure_delay: 1ms, sessions_per_ip: 9, exempt: [127.0.0.1]}
workers: 2
${more}`
}

async function pop3Backend(peer: Peer): Promise<void> {
  peer.send('+OK ready\r\n')
  for (;;) {
    const line = await peer.line()
    peer.send(line === 'CAPA' ? '+OK\r\nUSER\r\n.\r\n' : '+OK\r\n')
  }
}

/** A folder that others may enter, with a map that root has built. */
async function buildSite(dir: TempDir, config: string): Promise<string> {
  chmodSync(dir.path, 0o755)
  writeFileSync(dir.join('user_map'), 'ann@example.com fritz\n')
  const file = writeConfig(dir, config)
  const build = await runCommand(['build-map', '--config', file])
  assert.equal(build.code, 0, build.stderr)
  return file
}

/** Real and effective user, group, and other groups of a process. */
function idsOf(pid: number): string[] {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  return ['Uid', 'Gid', 'Groups'].map((name) => {
    const [, ids = ''] = new RegExp(`^${name}:[ \\t]*(.*)$`, 'm').exec(status) ?? []
    return [...new Set(ids.trim().split(/\s+/))].join()
  })
}

async function login(daemon: Daemon, user: string): Promise<string> {
  using peer = await Peer.connect(daemon.port('pop3'))
  await peer.line()
  await peer.send(`USER ${user}\r\n`).line()
  return (await peer.send('PASS x\r\n').line()).slice(0, 3)
}

test('workers run as the user of the config, take changes of root, and a reload', {
  skip: skipUnlessRoot,
}, async () => {
  using dir = tempDir()
  await using fritz = await ScriptedBackend.start(pop3Backend)
  const config = siteConfig(fritz.port)
  await buildSite(dir, config)
  await using daemon = await startDaemon({ dir, config })
  const workers = daemon.eventsOf('worker.started')
  assert.equal(workers.length, 2)
  for (const { pid } of workers) {
    assert.deepEqual(idsOf(pid), [String(nobody), String(nobody), ''])
    assert.equal(readFileSync(`/proc/${pid}/environ`, 'latin1').includes('NODE_OPTIONS'), false)
  }
  assert.equal(idsOf(daemon.pid)[0], '0')
  // What they count together they inherit open.
  using others = new DisposableStack()
  for (let count = 1; count <= 10; count++) {
    const peer = others.use(await Peer.connect(daemon.port('pop3'), '127.0.0.1', '127.0.0.2'))
    assert.match(await peer.line(), count <= 9 ? /^\+OK / : /^-ERR .* from your address/)
  }
  assert.equal(statSync(dir.join('run/control.sock')).mode & 0o777, 0o600)
  assert.deepEqual(daemon.eventsOf('daemon.user_kept'), [])
  assert.equal(await login(daemon, 'ann'), '+OK')

  assert.equal(await login(daemon, 'zoe'), '-ER')
  const added = await daemon.command('user', 'add', 'zoe', 'fritz')
  assert.equal(added.code, 0, added.stderr)
  assert.equal(await login(daemon, 'zoe'), '+OK')
  assert.equal((await daemon.command('build-map')).code, 0)
  const reload = await daemon.command('reload')
  assert.equal(reload.code, 0, reload.stderr)
  assert.equal(await login(daemon, 'zoe'), '+OK')
  assert.deepEqual(daemon.eventsOf('map.changes_unread'), [])
  for (const name of readdirSync(dir.join('state'), { recursive: true })) {
    assert.equal(statSync(dir.join('state', String(name))).uid, nobody, String(name))
  }
  const held = (): string[] =>
    readdirSync(dir.join('state')).filter((name) => name.endsWith('.held'))
  assert.equal(held().length, 1, 'the name of the map that was in force before is gone')
  assert.equal((await daemon.stop()).code, 0)
  assert.deepEqual(held(), [])
})

test('a worker that takes the place of another has the same map, though its name is another file', {
  skip: skipUnlessRoot,
}, async () => {
  using dir = tempDir()
  await using fritz = await ScriptedBackend.start(pop3Backend)
  const config = siteConfig(fritz.port)
  await buildSite(dir, config)
  await using daemon = await startDaemon({ dir, config })
  writeFileSync(dir.join('user_map'), 'bea@example.com fritz\n')
  assert.equal((await daemon.command('build-map', '--force')).code, 0)
  for (const { pid } of daemon.eventsOf('worker.started')) process.kill(pid, 'SIGKILL')
  await daemon.waitFor('worker.started', 4)
  assert.deepEqual([await login(daemon, 'ann'), await login(daemon, 'bea')], ['+OK', '-ER'])
})

const refusals: Readonly<Record<string, { more: string; said: RegExp }>> = {
  'a user that there is not': {
    more: 'user: nosuchuser',
    said: /USER_UNUSABLE: user: there is no user nosuchuser/,
  },
  'a group that there is not': {
    more: 'group: nosuchgroup',
    said: /USER_UNUSABLE: group: there is no group nosuchgroup/,
  },
}

for (const [what, { more, said }] of Object.entries(refusals)) {
  test(`a daemon does not start with ${what}`, async () => {
    using dir = tempDir()
    await using daemon = launchEcho(dir, `${more}\n`)
    const { code, stderr } = await daemon.exited
    assert.equal(code, 78)
    assert.match(stderr, said)
  })
}

test('a map or a state_dir that the user may not use is told of before any worker starts', {
  skip: skipUnlessRoot,
}, async () => {
  using dir = tempDir()
  const config = siteConfig(1)
  await buildSite(dir, config)
  chmodSync(dir.join('state/map.db'), 0o600)
  chownSync(dir.join('state/map.db'), 1, 1)
  await using unread = launchDaemon({ dir, config })
  const first = await unread.exited
  assert.equal(first.code, 78)
  assert.match(first.stderr, /map\.db: the user nobody may not read it/)
  chownSync(dir.join('state'), 1, 1)
  chmodSync(dir.join('state'), 0o755)
  await using unwritten = launchDaemon({ dir, config })
  const second = await unwritten.exited
  assert.match(second.stderr, /state: the user nobody may not write there/)
  assert.deepEqual(unwritten.eventsOf('worker.started'), [])
})

test('root that is to stay root says so only where nobody has asked for it', {
  skip: skipUnlessRoot,
}, async () => {
  using dir = tempDir()
  await using daemon = await startEcho(dir, 'user: root\n')
  assert.deepEqual(daemon.eventsOf('daemon.user_kept'), [])
  const { pid } = await daemon.waitFor('worker.started')
  assert.equal(idsOf(pid)[0], '0')
  const file = dir.join('mailmux.yaml')
  writeFileSync(file, readFileSync(file, 'utf8').replace('user: root', 'user: nobody'))
  daemon.signal('SIGHUP')
  const refused = await daemon.waitFor('reload.refused')
  assert.match(
    refused.problems[0] ?? '',
    /user: is read when the daemon is started, and cannot be changed before/,
  )
})

test('a directory that everybody may write is refused for state and for the control socket', async () => {
  using dir = tempDir()
  for (const name of ['state', 'run']) mkdirSync(dir.join(name))
  chmodSync(dir.join('state'), 0o1777)
  await assert.rejects(State.open(dir.join('state')), {
    code: 'STATE_UNUSABLE',
    message: /everybody may write there: take the right from them \(chmod o-w\)/,
  })
  await using loose = launchEcho(dir)
  assert.match((await loose.exited).stderr, /state: everybody may write there/)
  chmodSync(dir.join('state'), 0o755)
  chmodSync(dir.join('run'), 0o777)
  await using other = launchEcho(dir)
  const { code, stderr } = await other.exited
  assert.equal(code, 73)
  assert.match(stderr, /RUN_DIR_UNUSABLE: .*run: everybody may write there/)
})

test('under umask 0 nothing is made that everybody may write or read', async () => {
  using dir = tempDir()
  writeFileSync(dir.join('user_map'), 'ann@example.com fritz\n')
  const before = process.umask(0)
  try {
    await buildMap(configOf(dir.path, dir.join('state/map.db')))
    await buildMap(configOf(dir.path, dir.join('state/map.db')))
  } finally {
    process.umask(before)
  }
  const made = [
    'state',
    ...readdirSync(dir.join('state'), { recursive: true }).map((name) => `state/${String(name)}`),
  ]
  assert.ok(made.length > 4, made.join())
  for (const name of made) {
    const found = statSync(dir.join(name))
    assert.equal(found.mode & (found.isDirectory() ? 0o022 : 0o027), 0, name)
  }
})

test('a daemon starts in a folder that is gone, and in one that its workers may not enter', {
  skip: skipUnlessRoot,
}, async () => {
  using dir = tempDir()
  await using fritz = await ScriptedBackend.start(pop3Backend)
  await buildSite(dir, siteConfig(fritz.port))
  mkdirSync(dir.join('closed'), { mode: 0o700 })
  const config = siteConfig(fritz.port)
  await using daemon = await startDaemon({ dir, config, cwd: dir.join('closed') })
  rmdirSync(dir.join('closed'))
  for (const { pid } of daemon.eventsOf('worker.started')) process.kill(pid, 'SIGKILL')
  await daemon.waitFor('worker.started', 4)
  assert.equal(await login(daemon, 'ann'), '+OK')
})

test('what root makes in the directory of somebody else becomes theirs, and what they point at does not', {
  skip: skipUnlessRoot,
}, () => {
  using dir = tempDir()
  writeFileSync(dir.join('of-root'), 'x')
  mkdirSync(dir.join('theirs'))
  chownSync(dir.join('theirs'), nobody, nobody)
  writeFileSync(dir.join('theirs/made'), 'x')
  ownAsDirectory(dir.join('theirs/made'))
  assert.equal(statSync(dir.join('theirs/made')).uid, nobody)
  symlinkSync(dir.join('of-root'), dir.join('theirs/link'))
  assert.throws(() => ownAsDirectory(dir.join('theirs/link')), { code: 'ELOOP' })
  linkSync(dir.join('of-root'), dir.join('theirs/other-name'))
  ownAsDirectory(dir.join('theirs/other-name'))
  assert.equal(statSync(dir.join('of-root')).uid, 0)
})
