import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openListener } from '../../src/net/listener.ts'
import { runCommand } from '../support/command.ts'
import { startDaemon, writeConfig } from '../support/daemon.ts'
import { echoConfig, mapOf } from '../support/echo-daemon.ts'
import { writeEmptyMap } from '../support/map-file.ts'
import { Peer } from '../support/peer.ts'
import { tempDir } from '../support/temp-dir.ts'

test('serve runs every service that the config listens for, until SIGTERM', async () => {
  using dir = tempDir()
  await writeEmptyMap(mapOf(dir), 1)
  const listen = 'listen: {smtp: ["127.0.0.1:0"], imap: ["127.0.0.1:0"], pop3: ["127.0.0.1:0"]}\n'
  await using daemon = await startDaemon({ dir, config: echoConfig(listen) })
  using smtp = await Peer.connect(daemon.port('smtp'))
  using imap = await Peer.connect(daemon.port('imap'))
  using pop3 = await Peer.connect(daemon.port('pop3'))
  assert.match(await smtp.line(), /^220 mx\.example\.com ESMTP/)
  assert.match(await imap.line(), /^\* OK /)
  assert.match(await pop3.line(), /^\+OK/)
  const { code, stderr } = await daemon.stop()
  assert.deepEqual({ code, stderr }, { code: 0, stderr: '' })
  assert.match(await smtp.end(), /^421 /)
  assert.match(await imap.end(), /^\* BYE /)
  assert.match(await pop3.end(), /^-ERR /)
  assert.deepEqual(daemon.strayLines, [])
  assert.equal(daemon.eventsOf('session.end').length, 3)
})

test('serve takes the names of the services to run', async () => {
  using dir = tempDir()
  await writeEmptyMap(mapOf(dir), 1)
  await using daemon = await startDaemon({ dir, config: echoConfig(), services: ['pop3'] })
  assert.deepEqual([daemon.ports.imap.length, daemon.ports.pop3.length], [0, 1])
})

test('a name that is no service is wrong usage', async () => {
  const { code, stdout } = await runCommand(['serve', 'imaps'])
  assert.equal(code, 2)
  assert.equal(stdout, '')
})

test('a service that the config does not listen for is said, and nothing runs', async () => {
  using dir = tempDir()
  await writeEmptyMap(mapOf(dir), 1)
  const file = writeConfig(dir, echoConfig())
  const { code, stdout, stderr } = await runCommand(['serve', 'smtp', '--config', file])
  assert.equal(code, 78)
  assert.equal(stdout, '')
  assert.match(stderr, /^mailmux: .*mailmux\.yaml: listen: has no smtp; /)
})

test('a port in use is one line for a person and ends with 69', async () => {
  using dir = tempDir()
  await writeEmptyMap(mapOf(dir), 1)
  const taken = await openListener({ host: '127.0.0.1', port: 0 }, (socket) => socket.destroy())
  try {
    const file = writeConfig(dir, echoConfig(`listen: {imap: ["127.0.0.1:${taken.port}"]}\n`))
    const { code, stdout, stderr } = await runCommand(['serve', '--config', file])
    assert.equal(code, 69)
    assert.equal(stdout, '')
    const address = `127.0.0.1:${taken.port}`
    assert.equal(
      stderr,
      `mailmux: ${address}: the port is in use; ` +
        'stop the program that has the port, or change `listen` in the config\n',
    )
  } finally {
    taken.close()
  }
})
