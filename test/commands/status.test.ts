import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import type { StatusReport } from '../../src/control/messages.ts'
import { runCommand } from '../support/command.ts'
import { writeConfig } from '../support/daemon.ts'
import { echoConfig, startEcho } from '../support/echo-daemon.ts'
import { Peer } from '../support/peer.ts'
import { tempDir } from '../support/temp-dir.ts'

/** Every path to a value, lists as `[]`: what docs/status.md has a row for. */
function* pathsOf(value: unknown, path = ''): Generator<string> {
  if (Array.isArray(value)) for (const item of value) yield* pathsOf(item, `${path}[]`)
  else if (value !== null && typeof value === 'object') {
    for (const [key, inner] of Object.entries(value)) {
      yield* pathsOf(inner, path === '' ? key : `${path}.${key}`)
    }
  } else yield path
}

test('status tells sessions, refusals and workers of a running daemon', async () => {
  using dir = tempDir()
  await using daemon = await startEcho(dir)
  using first = await Peer.connect(daemon.port('imap'))
  await first.line()
  using second = await Peer.connect(daemon.port('imap'))
  await second.send('refuse\r\n').expect(/refused/)
  using third = await Peer.connect(daemon.port('pop3'))
  await third.send('quit\r\n').end()
  await daemon.waitFor('session.end')
  const { code, stdout } = await daemon.command('status', '--json')
  assert.equal(code, 0)
  const report = JSON.parse(stdout) as StatusReport
  assert.equal(report.pid, daemon.pid)
  assert.equal(report.state, 'serving')
  assert.equal(report.config, daemon.configFile)
  assert.equal(report.generation, 1)
  const [imap, pop3] = report.services
  assert.deepEqual([imap?.sessions, imap?.sessions_total], [2, 2])
  assert.deepEqual([pop3?.sessions, pop3?.sessions_total], [0, 1])
  assert.deepEqual(imap?.refused, { bad_commands: 25 })
  assert.deepEqual(imap?.logins, { ok: 1, failed: 0, unavailable: 0 })
  assert.deepEqual(imap?.listeners, [{ address: `127.0.0.1:${daemon.port('imap')}`, tls: 'none' }])
  assert.equal(report.backends.find(({ backend }) => backend === 'fritz')?.sessions, 2)
  assert.deepEqual(
    new Set(report.workers.map(({ pid }) => pid)),
    new Set(daemon.eventsOf('worker.started').map(({ pid }) => pid)),
  )
})

test('what a worker counted is not lost with it, and its restarts are told', async () => {
  using dir = tempDir()
  await using daemon = await startEcho(dir, 'workers: 1\n')
  using peer = await Peer.connect(daemon.port('imap'))
  await peer.send('refuse\r\n').expect(/refused/)
  await daemon.command('status')
  process.kill((await daemon.waitFor('worker.started')).pid, 'SIGKILL')
  await daemon.waitFor('worker.started', 2)
  const report = JSON.parse((await daemon.command('status', '--json')).stdout) as StatusReport
  assert.deepEqual(report.services[0]?.refused, { bad_commands: 25 })
  assert.equal(report.services[0]?.sessions, 0)
  assert.equal(report.workers[0]?.restarts, 1)
})

test('every key of --json has its row in docs/status.md', async () => {
  using dir = tempDir()
  await using daemon = await startEcho(dir)
  using peer = await Peer.connect(daemon.port('imap'))
  await peer.line()
  const report = JSON.parse((await daemon.command('status', '--json')).stdout) as StatusReport
  const page = readFileSync('docs/status.md', 'utf8')
  const rows = [...page.matchAll(/^\| `([^`]+)` \|/gm)].map(([, key = '']) => key)
  const paths = new Set(pathsOf(report))
  assert.ok(paths.size > 15)
  for (const path of paths) {
    const isListed = rows.some((row) => path === row || path.startsWith(`${row}.`))
    assert.ok(isListed, `${path} is not in docs/status.md`)
  }
})

test('people get headlines and aligned tables without colours in a pipe', async () => {
  using dir = tempDir()
  await using daemon = await startEcho(dir)
  const { stdout, stderr } = await daemon.command('status')
  assert.equal(stderr, '')
  const lines = stdout.split('\n')
  assert.match(lines[0] ?? '', /^mailmux \S+ serving for [\dms ]+, pid \d+, 2 workers$/)
  assert.match(lines[1] ?? '', /^map generation 1 of 0 users, built [\dms ]+ ago$/)
  assert.match(stdout, /^SERVICE {2}SESSIONS {2}LAST MIN {2}OK {2}LATER {2}FAILED {2}LISTENERS$/m)
  assert.match(stdout, /^fritz {5}imap {13}0 {9}0 {3}0 {9}0 {2}unknown$/m)
  assert.ok(!stdout.includes('\u001b'))
})

test('without a daemon status and reload say so and end with 69', async () => {
  using dir = tempDir()
  const file = writeConfig(dir, echoConfig())
  for (const command of ['status', 'reload']) {
    const { code, stdout, stderr } = await runCommand([command, '--config', file])
    assert.equal(code, 69)
    assert.equal(stdout, '')
    assert.match(stderr, /^mailmux: .*\/run\/control\.sock: no daemon is running; start it with/)
  }
  const { code, stdout } = await runCommand(['status', '--json', '--config', file])
  assert.equal(code, 69)
  const { error } = JSON.parse(stdout) as { error: { code: string } }
  assert.equal(error.code, 'DAEMON_UNREACHABLE')
})
