/** Certificates and tickets of one daemon with two workers. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { connect, type TLSSocket } from 'node:tls'
import { type IssuedCertificate, makeAuthority } from '../support/certificates.ts'
import { startDaemon } from '../support/daemon.ts'
import { writeEmptyMap } from '../support/map-file.ts'
import { type TempDir, tempDir } from '../support/temp-dir.ts'

const authority = makeAuthority()

async function shake(port: number, session?: Buffer): Promise<TLSSocket> {
  const own = session === undefined ? {} : { session }
  const target = { port, host: '127.0.0.1', servername: 'mx1.example.com', ca: authority.ca }
  const socket = connect({ ...target, ...own })
  await once(socket, 'secureConnect')
  return socket
}

const implicit = '[{address: "127.0.0.1:0", tls: implicit}]'
const config = `hostname: mx1.example.com
domains: [example.com]
backends: {fritz: {host: 127.0.0.1, imap: 1, pop3: 1}}
tls: {certificates: [{cert: cert.pem, key: key.pem}]}
listen: {imap: ${implicit}, pop3: ${implicit}}
workers: 2
client_names: none
`

/** What a daemon of these settings needs. */
async function layOut(dir: TempDir, { cert, key }: IssuedCertificate): Promise<void> {
  writeFileSync(dir.join('cert.pem'), cert)
  writeFileSync(dir.join('key.pem'), key)
  await writeEmptyMap(dir.join('state', 'map.db'), 1)
}

test('tickets are good at every worker of a service, and certificates change while sessions go on', async () => {
  using dir = tempDir()
  const [first, second] = [
    authority.issue(['mx1.example.com']),
    authority.issue(['mx1.example.com']),
  ]
  await layOut(dir, first)
  await using daemon = await startDaemon({ dir, config })
  const [imap, pop3] = [daemon.port('imap'), daemon.port('pop3')]
  const socket = await shake(imap)
  const [ticket] = (await once(socket, 'session')) as [Buffer]
  const shown = socket.getPeerX509Certificate()?.serialNumber
  for (let count = 0; count < 8; count++) {
    const again = await shake(imap, ticket)
    assert.equal(again.isSessionReused(), true, `${count}`)
    again.destroy()
  }
  const elsewhere = await shake(pop3, ticket)
  assert.equal(elsewhere.isSessionReused(), false)
  elsewhere.destroy()

  const shows = async (): Promise<string | undefined> => {
    const fresh = await shake(imap)
    const serial = fresh.getPeerX509Certificate()?.serialNumber
    fresh.destroy()
    return serial
  }
  writeFileSync(dir.join('cert.pem'), second.cert)
  const { code, stderr } = await daemon.command('reload')
  assert.equal(code, 78)
  assert.match(stderr, /cert\.pem: certificate and key: they do not belong together/)
  assert.equal((await daemon.waitFor('reload.refused')).problems.length, 1)
  assert.equal(await shows(), shown)

  writeFileSync(dir.join('key.pem'), second.key)
  assert.equal((await daemon.command('reload')).code, 0)
  const renewed = await shows()
  assert.ok(renewed !== undefined && renewed !== shown)
  socket.write('a NOOP\r\n')
  let heard = ''
  for await (const chunk of socket) {
    heard += String(chunk)
    if (/^a OK /m.test(heard)) break
  }
  assert.match(heard, /^\* OK .*\r\na OK /)
  assert.deepEqual(daemon.eventsOf('worker.exited'), [])
})

/** Whether a session is resumed by the ticket; greeted it is in any case. */
async function isResumed(port: number, ticket: Buffer): Promise<boolean> {
  const socket = await shake(port, ticket)
  const [greeting] = (await once(socket, 'data')) as [Buffer]
  assert.match(String(greeting), /^\* OK /)
  const resumed = socket.isSessionReused()
  socket.destroy()
  return resumed
}

test('tickets are good at new workers, and at a new daemon no more than a full handshake', async () => {
  using dir = tempDir()
  await layOut(dir, authority.issue(['mx1.example.com']))
  let ticket: Buffer
  {
    await using daemon = await startDaemon({ dir, config })
    const socket = await shake(daemon.port('imap'))
    ;[ticket] = (await once(socket, 'session')) as [Buffer]
    socket.destroy()
    const old = daemon.eventsOf('worker.started').map(({ pid }) => pid)
    assert.equal((await daemon.command('restart', '--within', '1s')).code, 0)
    await daemon.waitFor('worker.exited', old.length)
    for (let count = 0; count < 8; count++) {
      assert.equal(await isResumed(daemon.port('imap'), ticket), true, `${count}`)
    }
    await daemon.stop()
  }
  await using next = await startDaemon({ dir, config })
  for (let count = 0; count < 4; count++) {
    assert.equal(await isResumed(next.port('imap'), ticket), false, `${count}`)
  }
  assert.deepEqual(next.eventsOf('refuse'), [])
})
