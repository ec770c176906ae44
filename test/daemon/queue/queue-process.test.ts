/** The queue as a process of a running daemon, filled by workers of another one. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { StatusReport } from '../../../src/control/messages.ts'
import { systemClock } from '../../../src/backend/system-clock.ts'
import type { QueuedMessage } from '../../../src/mail/queued-message.ts'
import { FileSpoolWriter } from '../../../src/spool/file-spool-writer.ts'
import { spoolPlaces } from '../../../src/spool/spool-places.ts'
import { realDisk } from '../../../src/storage/disk.ts'
import { runCommand } from '../../support/command.ts'
import { type Daemon, launchDaemon, startDaemon, writeConfig } from '../../support/daemon.ts'
import { serveUpTo } from '../../support/misbehaving.ts'
import { Peer, ScriptedBackend } from '../../support/peer.ts'
import { Sink } from '../../support/relay.ts'
import { envelopeOf, inMemory, owed, plainMessage } from '../../support/spool.ts'
import { type TempDir, tempDir } from '../../support/temp-dir.ts'

const program = fileURLToPath(new URL('../../support/serve-spooling.ts', import.meta.url))

interface Site {
  readonly dir: TempDir
  readonly config: string
}

/** ann is at fritz, ida at ingrid; addresses elsewhere go to fritz too. */
async function makeSite(dir: TempDir, ports: { fritz: number; ingrid?: number }): Promise<Site> {
  const { fritz, ingrid = 1 } = ports
  const config = `hostname: mx.example.com
domains: [example.com]
backends: {fritz: {host: 127.0.0.1, smtp: ${fritz}}, ingrid: {host: 127.0.0.1, smtp: ${ingrid}}}
smarthost: fritz
map: {user_map: user_map}
listen: {smtp: ["127.0.0.1:0"]}
workers: 2
`
  writeFileSync(dir.join('user_map'), 'ann fritz\nida ingrid\n')
  const build = await runCommand(['build-map', '--config', writeConfig(dir, config)])
  assert.equal(build.code, 0, build.stderr)
  return { dir, config }
}

function serve(site: Site): Promise<Daemon> {
  return startDaemon({ ...site, program })
}

/** Puts a message for each into the spool of a daemon; returns their ids. */
async function spool(daemon: Daemon, ...recipients: readonly string[]): Promise<string[]> {
  using peer = await Peer.connect(daemon.port('smtp'))
  const ids: string[] = []
  for (const recipient of recipients) ids.push(await peer.send(`${recipient}\r\n`).line())
  return ids
}

async function listed(daemon: Daemon): Promise<QueuedMessage[]> {
  const { stdout, stderr } = await daemon.command('queue', 'list', '--json')
  assert.equal(stderr, '')
  return stdout
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as QueuedMessage)
}

test('what workers take in is delivered at once, also where one was killed before it told of it', async () => {
  using dir = tempDir()
  const { sink, backend } = await Sink.start()
  await using _backend = backend
  await using daemon = await serve(await makeSite(dir, { fritz: backend.port }))
  const [id] = await spool(daemon, 'ann@example.com')
  const accepted = await daemon.waitFor('spool.accepted')
  assert.equal(accepted.id, id)
  const { result, worker } = await daemon.waitFor('delivery')
  assert.equal(result, 'delivered')
  assert.equal(worker, (await daemon.waitFor('queue.started')).worker)
  assert.equal(sink.stored.length, 1)
  const { stdout } = await daemon.command('status', '--json')
  const { workers } = JSON.parse(stdout) as { workers: { role: string }[] }
  assert.deepEqual(workers.map(({ role }) => role).sort(), ['queue', 'worker', 'worker'])
  await daemon.waitFor('spool.ready')
  const putIn = (): Promise<string> => writer.accept(envelopeOf([owed('ann@example.com')]), text)
  const text = inMemory(plainMessage)
  const writer = new FileSpoolWriter({
    disk: realDisk,
    places: spoolPlaces(dir.join('state')),
    caps: { maxMessages: 10, maxSizeBytes: Infinity },
    clock: systemClock,
  })
  const untold = await putIn()
  process.kill((await daemon.waitFor('worker.started')).pid, 'SIGKILL')
  assert.equal((await daemon.waitFor('delivery', 2)).id, untold)
  const other = await putIn()
  assert.equal((await daemon.command('queue', 'retry', '--all')).stderr, '')
  assert.equal((await daemon.waitFor('delivery', 3)).id, other)
  assert.equal((await daemon.stop()).code, 0)
})

test('a queue that is killed between two deliveries repeats nothing that was written down', async () => {
  using dir = tempDir()
  const { sink, backend } = await Sink.start()
  await using _backend = backend
  // ingrid holds up the rest of the message until its process is dead.
  await using ingrid = await ScriptedBackend.start(async (peer, number) => {
    if (number > 0) return new Sink().serve(peer)
    peer.send('220 ingrid\r\n')
    await peer.line()
  })
  const site = await makeSite(dir, { fritz: backend.port, ingrid: ingrid.port })
  await using daemon = await serve(site)
  const { pid } = await daemon.waitFor('queue.started')
  const ids = await spool(daemon, 'ida@example.com', 'ann@example.com', 'ann@example.com')
  await daemon.waitFor('delivery', 2)
  await ingrid.peerNumber(0)
  process.kill(pid, 'SIGKILL')
  await daemon.waitFor('queue.started', 2)
  await daemon.waitFor('delivery', 3)
  assert.equal(sink.stored.length, 2)
  assert.deepEqual(
    daemon.eventsOf('delivery').map(({ result, backend: at }) => [at, result]),
    [
      ['fritz', 'delivered'],
      ['fritz', 'delivered'],
      ['ingrid', 'delivered'],
    ],
  )
  assert.equal(new Set(daemon.eventsOf('delivery').map(({ id }) => id)).size, ids.length)
})

test('killed after the back-end has it one message comes twice; one that ends it each time is set aside', async () => {
  using dir = tempDir()
  let lives = 0
  const killQueue = async (): Promise<void> => {
    const { pid } = await daemon.waitFor('queue.started', ++lives)
    process.kill(pid, 'SIGKILL')
  }
  const stored: number[] = []
  // The one window in which the spool repeats a delivery.
  await using backend = await ScriptedBackend.start(async (peer, number) => {
    peer.send('220 fritz\r\n')
    for (;;) {
      const verb = (await peer.line()).slice(0, 4)
      if (verb === 'QUIT') return void peer.socket.end()
      peer.send(verb === 'DATA' ? '354 go on\r\n' : '250 ok\r\n')
      if (verb !== 'DATA') continue
      await peer.expect(/\r\n\.\r\n/)
      stored.push(number)
      if (number === 0) {
        await killQueue()
        return void (await peer.end())
      }
      peer.send('250 stored\r\n')
    }
  })
  // It ends the queue whenever it is asked to take something, as memory that runs out would.
  await using ingrid = await ScriptedBackend.start(async (peer) => {
    await serveUpTo(peer, 'rcpt', 'silence')
    await killQueue()
  })
  const site = await makeSite(dir, { fritz: backend.port, ingrid: ingrid.port })
  await using daemon = await serve(site)
  await daemon.waitFor('queue.started')
  await spool(daemon, 'ann@example.com')
  assert.equal((await daemon.waitFor('delivery')).result, 'delivered')
  assert.deepEqual(stored, [0, 1])
  assert.equal((await daemon.waitFor('uncertain')).backend, 'fritz')
  assert.deepEqual(daemon.eventsOf('spool.quarantined'), [])
  const [poison] = await spool(daemon, 'ida@example.com')
  const { id, reason } = await daemon.waitFor('spool.quarantined')
  assert.deepEqual([id, reason], [poison, 'poison'])
})

test('a back-end that comes up again gets what waits for it, long before its time', async () => {
  using dir = tempDir()
  let isUp = false
  await using backend = await ScriptedBackend.start(async (peer) => {
    if (isUp) await new Sink().serve(peer)
    else peer.socket.destroy()
  })
  const site = await makeSite(dir, { fritz: backend.port })
  // Where metrics are served, ports are looked at from the start.
  const config = site.config.replace('listen: {', 'probe_interval: 1s\nlisten: {metrics: ["0"], ')
  await using daemon = await serve({ dir, config })
  await spool(daemon, 'ann@example.com')
  assert.equal((await daemon.waitFor('delivery')).result, 'deferred')
  const { stdout } = await daemon.command('status', '--json')
  const { spool: held } = JSON.parse(stdout) as StatusReport
  const { messages, deferred, live, quarantined } = held ?? {}
  assert.deepEqual(
    { messages, deferred, live, quarantined },
    { messages: 1, deferred: 1, live: 0, quarantined: 0 },
  )
  // Both: there is nothing at ingrid's port.
  await daemon.waitFor('backend.state', 2)
  isUp = true
  assert.equal((await daemon.waitFor('delivery', 2)).result, 'delivered')
  const { backend: name, state } = await daemon.waitFor('backend.state', 3)
  assert.deepEqual([name, state], ['fritz', 'up'])
})

test('what waits when a daemon stops is delivered by the next one', async () => {
  using dir = tempDir()
  let isUp = false
  const sink = new Sink()
  await using backend = await ScriptedBackend.start(async (peer) => {
    if (isUp) await sink.serve(peer)
    else peer.socket.destroy()
  })
  const site = await makeSite(dir, { fritz: backend.port })
  let id = ''
  {
    await using daemon = await serve(site)
    ;[id = ''] = await spool(daemon, 'ann@example.com')
    assert.equal((await daemon.waitFor('delivery')).result, 'deferred')
    const [message] = await listed(daemon)
    assert.equal(message?.id, id)
    assert.equal((await daemon.stop()).code, 0)
  }
  isUp = true
  // Without a daemon the commands go to the spool itself.
  const file = dir.join('mailmux.yaml')
  const shown = await runCommand(['queue', 'show', id, '--config', file])
  assert.match(shown.stdout, /^ {2}ann@example\.com waits: fritz cannot be reached: /m)
  const retried = await runCommand(['queue', 'retry', '--all', '--config', file])
  assert.equal(retried.stdout, '1 message is tried now\n', retried.stderr)
  await using again = await serve(site)
  assert.equal((await again.waitFor('delivery')).result, 'delivered')
  assert.equal(sink.stored.length, 1)
})

test('the queue is listed, shown, retried and cleared by command while the daemon runs', async () => {
  using dir = tempDir()
  const { backend } = await Sink.start({
    answer: (command) =>
      command.startsWith('RCPT') ? '450 4.2.2 ann is over quota\r\n' : undefined,
  })
  await using _backend = backend
  await using daemon = await serve(await makeSite(dir, { fritz: backend.port }))
  const empty = await daemon.command('queue', 'list')
  assert.equal(empty.stdout, 'the queue is empty\n')
  const [id = '', other = ''] = await spool(daemon, 'ann@example.com', 'ann@example.com')
  await daemon.waitFor('delivery', 2)
  const { stdout } = await daemon.command('queue', 'list')
  assert.match(
    stdout,
    new RegExp(
      `^message +owed +KiB +age +next in +why it waits\\n(?:.*\\n)?${id} +1 +1 +\\ds +[\\dms ]+ +fritz answered 450 4\\.2\\.2 ann is over quota$`,
      'm',
    ),
  )
  const shown = JSON.parse(
    (await daemon.command('queue', 'show', id, '--json')).stdout,
  ) as QueuedMessage
  assert.equal(shown.state, 'waiting')
  assert.equal(shown.sender, 'sue@example.net')
  assert.equal(shown.attempts, 1)
  assert.ok(Date.parse(shown.next ?? '') > Date.now())
  assert.deepEqual(shown.recipients, [
    {
      address: 'ann@example.com',
      result: 'owed',
      backend: 'fritz',
      code: 450,
      status: '4.2.2',
      text: 'ann is over quota',
    },
  ])
  const retried = await daemon.command('queue', 'retry', id)
  assert.equal(retried.code, 0, retried.stderr)
  await daemon.waitFor('delivery', 3)
  assert.equal((await daemon.command('queue', 'remove', id)).code, 2, 'not without --yes')
  const removed = await daemon.command('queue', 'remove', id, '--yes', '--json')
  assert.deepEqual(JSON.parse(removed.stdout), { done: [id], unknown: [], unreadable: [] })
  assert.equal((await daemon.waitFor('queue.removed')).id, id)
  assert.deepEqual(
    (await listed(daemon)).map((one) => one.id),
    [other],
  )
  const unknown = await daemon.command('queue', 'show', id)
  assert.equal(unknown.code, 65)
  assert.match(unknown.stderr, new RegExp(`^mailmux: no message is called ${id}; see`))
})

test('two daemons are never on one spool', async () => {
  using dir = tempDir()
  const { backend } = await Sink.start()
  await using _backend = backend
  const site = await makeSite(dir, { fritz: backend.port })
  await using daemon = await serve(site)
  // Its own run_dir, and the state of the first.
  using second = tempDir()
  symlinkSync(dir.join('state'), second.join('state'))
  writeFileSync(second.join('user_map'), '')
  await using other = launchDaemon({ dir: second, config: site.config, program })
  const { code, stderr } = await other.exited
  assert.notEqual(code, 0)
  assert.match(stderr, /spool: in use \(process \d+/)
  await spool(daemon, 'ann@example.com')
  assert.equal((await daemon.waitFor('delivery')).result, 'delivered')
})

test('a queue that dies by a fault of its own is replaced, and says what it found', async () => {
  using dir = tempDir()
  const { backend } = await Sink.start()
  await using _backend = backend
  await using daemon = await serve(await makeSite(dir, { fritz: backend.port }))
  const { pid } = await daemon.waitFor('queue.started')
  await daemon.waitFor('spool.ready')
  writeFileSync(dir.join('state', 'spool', 'README'), 'what is this?')
  process.kill(pid, 'SIGSEGV')
  await daemon.waitFor('queue.started', 2)
  assert.equal((await daemon.waitFor('spool.odd')).name, 'README')
  assert.equal((await daemon.waitFor('spool.ready', 2)).messages, 0)
  assert.ok(readdirSync(dir.join('state', 'spool')).includes('README'))
  const [exit] = daemon.eventsOf('worker.exited')
  assert.equal(exit?.signal, 'SIGSEGV')
})

test('caps hold for all workers together', async () => {
  using dir = tempDir()
  await using backend = await ScriptedBackend.start(async (peer) => {
    peer.socket.destroy()
  })
  const site = await makeSite(dir, { fritz: backend.port })
  await using daemon = await serve({ dir, config: `${site.config}spool: {max_messages: 3}\n` })
  const answers: string[] = []
  using peer = await Peer.connect(daemon.port('smtp'))
  // The queue tells the others every second what there is.
  while (answers.filter((one) => one === 'SPOOL_FULL').length === 0) {
    answers.push(await peer.send('ann@example.com\r\n').line())
  }
  assert.equal(answers.filter((one) => one !== 'SPOOL_FULL').length, 3)
  await once(peer.socket.end(), 'close')
})
