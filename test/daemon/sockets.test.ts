/** Workers have direct sockets, or those of Node where they are told to: clients cannot tell which. */
import assert from 'node:assert/strict'
import { readdirSync, readlinkSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { makeAuthority } from '../support/certificates.ts'
import { buildMapOf, type Daemon, startDaemon } from '../support/daemon.ts'
import { serveLogin } from '../support/login-backend.ts'
import { Peer, ScriptedBackend } from '../support/peer.ts'
import { type TempDir, tempDir } from '../support/temp-dir.ts'

const authority = makeAuthority()
const certificate = authority.issue(['mx1.example.com', '127.0.0.1'])
const trust = { ca: authority.ca, servername: 'mx1.example.com' }

/** How many sets of epoll a process has. */
function pollsOf(pid: number): number {
  const folder = `/proc/${pid}/fd`
  return readdirSync(folder).filter((name) => {
    try {
      return readlinkSync(`${folder}/${name}`) === 'anon_inode:[eventpoll]'
    } catch {
      return false
    }
  }).length
}

async function start(dir: TempDir, port: number, env: Record<string, string>): Promise<Daemon> {
  writeFileSync(dir.join('cert.pem'), certificate.cert)
  writeFileSync(dir.join('key.pem'), certificate.key)
  writeFileSync(dir.join('user_map'), 'ann fritz\n')
  const config = `hostname: mx1.example.com
domains: [example.com]
probe_interval: 0s
backends: {fritz: {host: localhost, imap: ${port}}}
map: {user_map: user_map}
tls: {certificates: [{cert: cert.pem, key: key.pem}]}
listen: {imap: [{address: "127.0.0.1:0"}, {address: "127.0.0.1:0", tls: implicit}]}
workers: 1
`
  await buildMapOf(dir, config)
  return startDaemon({ dir, config, env })
}

async function logIn(peer: Peer): Promise<void> {
  peer.send('a LOGIN ann secret\r\n')
  await peer.expect(/^a OK .*\r\n/m)
  const word = 'x'.repeat(200_000)
  peer.send(`${word}\r\n`)
  assert.equal(await peer.line(), word)
}

/** Returns how many sets of epoll its worker has. */
async function round(env: Record<string, string>): Promise<number> {
  using dir = tempDir()
  await using backend = await ScriptedBackend.start(async (peer) => {
    peer.send('* OK IMAP4rev1 ready\r\n')
    if (!(await serveLogin(peer, { service: 'imap', certificate }))) return
    peer.socket.pipe(peer.socket)
    await peer.end()
  })
  await using daemon = await start(dir, backend.port, env)
  const [plain = 0, implicit = 0] = daemon.ports.imap
  {
    using peer = await Peer.connect(plain)
    await peer.line()
    await logIn(peer)
  }
  {
    using peer = await Peer.connect(plain)
    await peer.line()
    peer.send('s STARTTLS\r\n')
    await peer.expect(/^s OK .*\r\n/)
    await peer.startTls(trust)
    await logIn(peer)
  }
  // Who offers protocols is Node's also where sockets are direct.
  for (const offered of [{}, { ALPNProtocols: ['imap'] }]) {
    using peer = await Peer.connect(implicit)
    await peer.startTls({ ...trust, ...offered })
    await peer.line()
    await logIn(peer)
  }
  const { workers } = await daemon.status()
  return workers.reduce((sum, { pid }) => sum + pollsOf(pid), 0)
}

test('a session in clear text, by STARTTLS and with TLS from the beginning, on both', async () => {
  const direct = await round({})
  assert.equal(direct, (await round({ MAILMUX_NODE_SOCKETS: '1' })) + 1)
})
