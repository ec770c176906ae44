/** Restarts of a daemon whose code has been replaced meanwhile: a copy of the sources, run as it is. */
import assert from 'node:assert/strict'
import { cpSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { buildMapOf, type Daemon, startDaemon } from '../support/daemon.ts'
import { Peer, ScriptedBackend } from '../support/peer.ts'
import { type TempDir, tempDir } from '../support/temp-dir.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))

/** With a relay that keeps messages for a back-end that is down. */
async function startCopy(dir: TempDir, smtpPort: number, more = ''): Promise<Daemon> {
  for (const name of ['src', 'bin', 'package.json']) {
    cpSync(`${root}/${name}`, dir.join('copy', name), { recursive: true })
  }
  symlinkSync(`${root}/node_modules`, dir.join('copy', 'node_modules'))
  const config = `hostname: mx.example.com
domains: [example.com]
backends: {fritz: {host: 127.0.0.1, smtp: ${smtpPort}}}
map: {rules: rules}
listen: {smtp: ["127.0.0.1:0"]}
on_backend_down: spool
probe_interval: 0s
client_names: none
workers: 1
${more}`
  writeFileSync(dir.join('rules'), '* fritz\n')
  await buildMapOf(dir, config)
  const program = dir.join('copy', 'serve.ts')
  writeFileSync(
    program,
    `import { loadConfig } from './src/config/load.ts'
import { supervise } from './src/daemon/supervise.ts'
const { config } = await loadConfig(process.argv[2])
await supervise({ config, services: [], warn: () => undefined })
`,
  )
  return startDaemon({ dir, config, program })
}

function install(dir: TempDir, version: string): void {
  const file = dir.join('copy', 'package.json')
  const { version: _, ...rest } = JSON.parse(readFileSync(file, 'utf8')) as { version: string }
  writeFileSync(file, JSON.stringify({ ...rest, version }))
}

test('of new code the next patch is taken, another release and a queue that fails are not', async () => {
  using dir = tempDir()
  await using daemon = await startCopy(dir, 1)
  const [old] = daemon.eventsOf('queue.started')
  const { version } = await daemon.status()
  const [major = '', minor = '', patch = ''] = version.split('.')
  install(dir, `${major}.${Number(minor) + 1}.0`)
  const other = await daemon.command('restart')
  assert.deepEqual([other.code, /is installed and version/.test(other.stderr)], [78, true])
  install(dir, version)
  const queue = dir.join('copy', 'src/daemon/queue-main.ts')
  const code = readFileSync(queue, 'utf8')
  writeFileSync(queue, 'process.exit(3)\n')
  const bad = await daemon.command('restart')
  assert.equal(bad.code, 78)
  assert.match(bad.stderr, /queue \d+ ended before it was ready/)
  const queueNow = (await daemon.status()).workers.find(({ role }) => role === 'queue')
  assert.deepEqual([queueNow?.pid, queueNow?.state], [old?.pid, 'serving'])
  writeFileSync(queue, code)
  install(dir, `${major}.${minor}.${Number(patch) + 1}`)
  const good = await daemon.command('restart')
  assert.equal(good.code, 0, good.stderr)
  await daemon.waitFor('queue.started', 2)
})

test('a daemon that is stopped while it tries the code of the queue begins nothing more', async () => {
  using dir = tempDir()
  await using daemon = await startCopy(dir, 1)
  const restarted = daemon.command('restart')
  const over = AbortSignal.timeout(10_000)
  // The third is the trial.
  while ((await daemon.status()).workers.length < 3) over.throwIfAborted()
  assert.equal((await daemon.stop()).code, 0)
  assert.equal((await restarted).code, 78)
  const names = daemon.events.map(({ event }) => event)
  const after = names.slice(names.indexOf('daemon.stopping'))
  assert.deepEqual(
    after.filter((name) => name === 'worker.started' || name === 'worker.refused'),
    [],
  )
})

/** A relay whose queue is in the middle of a delivery that does not end by itself. */
async function startDelivering(stack: AsyncDisposableStack): Promise<Daemon> {
  const asked = Promise.withResolvers<void>()
  let isDown = true
  const fritz = stack.use(
    await ScriptedBackend.start(async (peer) => {
      if (isDown) {
        peer.socket.destroy()
        return
      }
      peer.send('220 fritz ESMTP\r\n')
      for (let line = await peer.line(); line !== 'DATA'; line = await peer.line()) {
        peer.send('250 2.1.0 ok\r\n')
      }
      peer.send('354 go on\r\n')
      await peer.message()
      asked.resolve()
      await peer.end()
    }),
  )
  const dir = stack.use(tempDir())
  const daemon = stack.use(await startCopy(dir, fritz.port, 'limits: {drain_timeout: 3s}\n'))
  using client = await Peer.connect(daemon.port('smtp'))
  client.send('EHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<ann@example.com>\r\nDATA\r\n')
  await client.expect(/^354 .*\r\n/m)
  client.send('Subject: one\r\n\r\n.\r\n')
  await client.expect(/^250 2\.0\.0 .*\r\n/m)
  isDown = false
  assert.equal((await daemon.command('queue', 'retry', '--all')).code, 0)
  await asked.promise
  return daemon
}

test('a delivery that takes its time holds up no restart and no reload, and is waited for', async () => {
  await using stack = new AsyncDisposableStack()
  const daemon = await startDelivering(stack)
  const [queue] = daemon.eventsOf('queue.started')
  for (const command of ['restart', 'reload', 'restart']) {
    assert.equal((await daemon.command(command)).code, 0, command)
  }
  await daemon.waitFor('queue.started', 2)
  const exits = daemon.eventsOf('worker.exited')
  assert.ok(exits.some(({ worker }) => worker === queue?.worker))
  // None was begun while another one had the spool.
  assert.deepEqual([daemon.eventsOf('worker.refused'), daemon.eventsOf('worker.delayed')], [[], []])
})

test('a stop soon after a restart ends the queue in good order', async () => {
  await using stack = new AsyncDisposableStack()
  const daemon = await startDelivering(stack)
  assert.equal((await daemon.command('restart', '--within', '1s')).code, 0)
  assert.equal((await daemon.stop()).code, 0)
  assert.deepEqual(daemon.eventsOf('internal'), [])
  assert.deepEqual([...new Set(daemon.eventsOf('worker.exited').map(({ code }) => code))], [0])
})
