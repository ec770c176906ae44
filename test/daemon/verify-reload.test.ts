/** A daemon that judges logins: what it reads at its start, and again at a reload. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { buildMapOf, startDaemon } from '../support/daemon.ts'
import { Peer, ScriptedBackend } from '../support/peer.ts'
import { tempDir } from '../support/temp-dir.ts'

const hashOf = (password: string): string =>
  execFileSync('openssl', ['passwd', '-6', password]).toString().trim()

test('passwords are read at the start and at a reload, and bad ones leave the old in force', async () => {
  await using backend = await ScriptedBackend.start(async (peer) => {
    peer.send('* OK [CAPABILITY IMAP4rev1] fritz ready\r\n')
    const line = await peer.line().catch(() => '')
    const [tag = ''] = line.split(' ')
    if (/ LOGIN "?ann@example\.com\*mailmux"? "admin secret"$/.test(line))
      peer.send(`${tag} OK [CAPABILITY IMAP4rev1] in\r\n`)
    else peer.send(`${tag} NO no\r\n`)
    await peer.end()
  })
  using dir = tempDir()
  writeFileSync(dir.join('users'), `ann:${hashOf('first')}\n`)
  writeFileSync(dir.join('admin'), 'admin secret\n', { mode: 0o600 })
  writeFileSync(dir.join('user_map'), 'ann fritz\n')
  const config = `hostname: mx1.example.com
domains: [example.com]
backends:
  fritz: {host: 127.0.0.1, imap: ${backend.port}, admin: {user: mailmux, password_file: admin}}
map: {user_map: user_map}
auth: {mode: verify, passwd_file: users}
listen: {imap: ["127.0.0.1:0"]}
limits: {auth_failure_delay: 20ms}
workers: 1
probe_interval: 0s
`
  await buildMapOf(dir, config)
  await using daemon = await startDaemon({ dir, config })
  const logIn = async (password: string): Promise<string> => {
    using client = await Peer.connect(daemon.port('imap'))
    await client.line()
    const answer = await client.send(`a LOGIN ann ${password}\r\n`).line()
    return answer
  }
  assert.match(await logIn('first'), /^a OK /)
  assert.match(await logIn('second'), /^a NO \[AUTHENTICATIONFAILED\]/)

  writeFileSync(dir.join('users'), `ann:${hashOf('second')}\nbob:secret\n`)
  const { code, stderr } = await daemon.command('reload')
  assert.equal(code, 78)
  assert.match(stderr, /users:2: no hash of /)
  assert.match(await logIn('first'), /^a OK /)

  writeFileSync(dir.join('users'), `ann:${hashOf('second')}\n`)
  assert.equal((await daemon.command('reload')).code, 0)
  assert.match(await logIn('second'), /^a OK /)
  assert.match(await logIn('first'), /^a NO \[AUTHENTICATIONFAILED\]/)
  assert.doesNotMatch(JSON.stringify(daemon.events), /first|second|secret/)
})
