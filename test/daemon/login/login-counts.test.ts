import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { test } from 'node:test'
import type { StatusReport } from '../../../src/control/messages.ts'
import { runCommand } from '../../support/command.ts'
import { startDaemon, writeConfig } from '../../support/daemon.ts'
import { Peer, ScriptedBackend } from '../../support/peer.ts'
import { tempDir } from '../../support/temp-dir.ts'

/** Takes the password `right` and no other, then says what it is told. */
async function pop3Backend(peer: Peer): Promise<void> {
  peer.send('+OK ready\r\n')
  for (;;) {
    const line = await peer.line()
    if (line === 'CAPA') peer.send('+OK\r\nUSER\r\nSASL PLAIN\r\n.\r\n')
    else if (line === 'PASS wrong') peer.send('-ERR [AUTH] no\r\n')
    else peer.send('+OK\r\n')
  }
}

test('logins that work, fail and find no back-end are counted by outcome', async () => {
  using dir = tempDir()
  await using fritz = await ScriptedBackend.start(pop3Backend)
  const config = `hostname: mx.example.com
domains: [example.com]
backends: {fritz: {host: 127.0.0.1, pop3: ${fritz.port}}, gone: {host: 127.0.0.1, pop3: 1}}
map: {user_map: user_map}
listen: {pop3: ["127.0.0.1:0"]}
limits: {auth_failure_delay: 1ms}
workers: 2
`
  writeFileSync(dir.join('user_map'), 'ann fritz\nbob gone\n')
  const file = writeConfig(dir, config)
  const build = await runCommand(['build-map', '--config', file])
  assert.equal(build.code, 0, build.stderr)
  await using daemon = await startDaemon({ dir, config })
  for (const [user, password, answer] of [
    ['ann', 'wrong', /^-ERR \[AUTH\]/],
    ['nobody', 'wrong', /^-ERR \[AUTH\]/],
    ['bob', 'right', /^-ERR \[SYS\/TEMP\]/],
    ['ann', 'right', /^\+OK/],
  ] as const) {
    using peer = await Peer.connect(daemon.port('pop3'))
    await peer.line()
    await peer.send(`USER ${user}\r\n`).line()
    assert.match(await peer.send(`PASS ${password}\r\n`).line(), answer)
  }
  const { stdout } = await daemon.command('status', '--json')
  const report = JSON.parse(stdout) as StatusReport
  assert.equal(report.users, 2)
  assert.deepEqual(report.services[0]?.logins, { ok: 1, failed: 2, unavailable: 1 })
  assert.deepEqual(report.backends.find(({ backend }) => backend === 'gone')?.errors, [
    { step: 'connect', reason: 'refused', count: 1 },
  ])
})
