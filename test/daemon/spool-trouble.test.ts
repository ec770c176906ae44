/** The disk of the spool fails or is full under a running daemon: what its clients hear of that. */
import assert from 'node:assert/strict'
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { buildMapOf, type Daemon, startDaemon } from '../support/daemon.ts'
import { ask, deliver, reply } from '../support/message.ts'
import { Peer } from '../support/peer.ts'
import { Sink } from '../support/relay.ts'
import { tempDir } from '../support/temp-dir.ts'
import { skipWithout } from '../support/tools.ts'

const mail = 'MAIL FROM:<bob@example.net>'
const [ann, ida] = ['RCPT TO:<ann@example.com>', 'RCPT TO:<ida@example.com>']

interface Site extends AsyncDisposable {
  readonly daemon: Daemon
  readonly fritz: Sink
  readonly spool: string
  client(): Promise<Peer>
}

interface Place {
  /** The command that the daemon is run by, given the folder of the spool. */
  readonly under: (spool: string) => string[]
  readonly env?: Readonly<Record<string, string>>
}

/** ann is at fritz, ida at ingrid, which is down; her mail goes into the spool. */
async function startSite({ under, env = {} }: Place): Promise<Site> {
  await using started = new AsyncDisposableStack()
  const { sink, backend } = await Sink.start()
  started.use(backend)
  const dir = started.use(tempDir())
  const spool = dir.join('state', 'spool')
  mkdirSync(spool, { recursive: true, mode: 0o700 })
  const config = `hostname: mx.example.com
domains: [example.com]
client_names: none
probe_interval: 0s
on_backend_down: spool
backends: {fritz: {host: 127.0.0.1, smtp: ${backend.port}}, ingrid: {host: 127.0.0.1, smtp: 9}}
map: {user_map: user_map}
listen: {smtp: ["127.0.0.1:0"]}
workers: 1
`
  writeFileSync(dir.join('user_map'), 'ann fritz\nida ingrid\n')
  await buildMapOf(dir, config)
  const daemon = started.use(await startDaemon({ dir, config, under: under(spool), env }))
  const stack = started.move()
  const client = async (): Promise<Peer> => {
    const peer = stack.use(await Peer.connect(daemon.port('smtp')))
    await peer.expect(/^220 .*\r\n/)
    await ask(peer, 'EHLO client.example.net')
    return peer
  }
  const site: Site = {
    daemon,
    fritz: sink,
    spool,
    client,
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  }
  return site
}

test('where fsync fails a message stays with its sender, a person is told, and other mail goes on', {
  skip: skipWithout('strace'),
}, async () => {
  const calls = ['-e', 'trace=fsync', '-e', 'inject=fsync:error=EIO']
  await using site = await startSite({
    under: () => ['strace', '-D', '-f', '-o', '/dev/null', ...calls],
    // Calls that io_uring makes would not be seen.
    env: { UV_USE_IO_URING: '0' },
  })
  const client = await site.client()
  assert.match(await deliver(client, mail, ida), /^451 4\.3\.0 /)
  await site.daemon.waitFor('internal', 2)
  const reasons = site.daemon.eventsOf('internal').map(({ reason }) => reason)
  assert.deepEqual(reasons, ['spool_eio', 'spool'])
  const names = readdirSync(site.spool).filter((name) => /^tmp|msg$/.test(name))
  assert.deepEqual(names, [])
  assert.equal(readdirSync(join(site.spool, 'quarantine')).length, 1)
  assert.match(await deliver(client, mail, ann), /^250 2\.0\.0 stored/)
  // Nothing more is promised to the suspect disk.
  assert.match((await ask(client, mail, ida)).join(), /,451 4\.4\.1 /)
  assert.equal(site.fritz.stored.length, 1)
})

test('where the disk is full mail that needs it is put off whole, and other mail goes on', async () => {
  const shell = 'mount -t tmpfs -o size=1m,mode=0700 tmpfs "$0" && exec "$@"'
  // An ordinary user may mount in a user namespace of its own.
  const privately = process.getuid?.() === 0 ? ['-m'] : ['-r', '-m']
  await using site = await startSite({
    under: (spool) => ['unshare', ...privately, 'sh', '-c', shell, spool],
  })
  const client = await site.client()
  const large = `Subject: x\r\n\r\n${'x'.repeat(100_000)}\r\n.\r\n`
  const verdicts: string[] = []
  for (let count = 0; count < 20 && verdicts.at(-1)?.startsWith('4') !== true; count++) {
    assert.match((await ask(client, mail, ida, 'DATA')).at(-1) ?? '', /^354 /)
    client.send(large)
    verdicts.push(await reply(client))
  }
  assert.match(verdicts.pop() ?? '', /^452 4\.3\.1 /)
  assert.ok(verdicts.length > 3)
  assert.match(await deliver(client, mail, ann), /^250 2\.0\.0 stored/)
  await site.daemon.waitFor('spool.accepted', verdicts.length)
  assert.deepEqual(site.daemon.eventsOf('internal'), [])
})
