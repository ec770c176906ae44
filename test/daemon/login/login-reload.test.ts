/** Logins and joined sessions while the daemon takes new settings, and while one of its workers dies. */
import assert from 'node:assert/strict'
import { appendFileSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { loadConfig } from '../../../src/config/load.ts'
import { buildMap } from '../../../src/map/build.ts'
import { buildMapOf, type Daemon, startDaemon } from '../../support/daemon.ts'
import { serveLogin } from '../../support/login-backend.ts'
import { loginServices, loginWords } from '../../support/login-words.ts'
import { Peer, ScriptedBackend } from '../../support/peer.ts'
import { tempDir } from '../../support/temp-dir.ts'
import { tlsParties } from '../../support/tls-parties.ts'

const { certificate } = tlsParties()
type Service = (typeof loginServices)[number]

/** A daemon with every proxy before a back-end that takes a moment for each answer, and then echoes. */
async function startSite(stack: AsyncDisposableStack): Promise<Daemon> {
  const backends = new Map<Service, number>()
  for (const service of loginServices) {
    const backend = stack.use(
      await ScriptedBackend.start(async (peer) => {
        await new Promise((resolve) => setTimeout(resolve, 15))
        peer.send(loginWords[service].backendGreeting)
        if (await serveLogin(peer, { service, certificate })) {
          peer.socket.on('data', (chunk: Buffer) => peer.socket.write(chunk))
        }
        await peer.end().catch(() => undefined)
      }),
    )
    backends.set(service, backend.port)
  }
  const dir = stack.use(tempDir())
  const ports = [...backends].map(([service, port]) => `${service}: ${port}`)
  const listeners = loginServices.map((service) => `${service}: ["127.0.0.1:0"]`)
  const config = `hostname: mx.example.com
domains: [example.com]
client_names: none
probe_interval: 0s
check_sender: none
backends: {fritz: {host: 127.0.0.1, ${ports.join(', ')}}}
map: {rules: rules}
listen: {${listeners.join(', ')}}
workers: 2
`
  writeFileSync(dir.join('rules'), '* fritz\n')
  await buildMapOf(dir, config)
  return stack.use(await startDaemon({ dir, config }))
}

async function logIn(daemon: Daemon, service: Service): Promise<Peer> {
  const words = loginWords[service]
  const client = await Peer.connect(daemon.port(service))
  await client.expect(words.greeting)
  client.send(words.logIn('ann', 'secret'))
  // What submission offers is what its back-end does.
  await client.expect(service === 'submission' ? /235 .*\r\n/ : words.accepted)
  return client
}

test('logins under way and sessions go on while maps and settings change', async () => {
  await using stack = new AsyncDisposableStack()
  const daemon = await startSite(stack)
  const sessions = await Promise.all(loginServices.map((service) => logIn(daemon, service)))
  for (const session of sessions) stack.use(session)
  const load = new AbortController()
  let logins = 0
  const lanes = loginServices
    .flatMap((service) => [service, service])
    .map(async (service) => {
      while (!load.signal.aborted) {
        using client = await logIn(daemon, service)
        logins++
        assert.equal(client.closed, false)
      }
    })
  for (let reloads = 1; reloads <= 8; reloads++) {
    appendFileSync(daemon.dir.join('rules'), `# ${reloads}\n`)
    await buildMap((await loadConfig(daemon.configFile)).config)
    daemon.signal('SIGHUP')
    await daemon.waitFor('reload.done', reloads)
  }
  load.abort()
  await Promise.all(lanes)
  assert.ok(logins > 50, `${logins}`)
  for (const session of sessions.slice(0, 3)) {
    session.send('still\r\n')
    await session.expect(/^still\r\n/)
  }
  assert.deepEqual([daemon.eventsOf('backend'), daemon.eventsOf('internal')], [[], []])
  assert.deepEqual(daemon.eventsOf('worker.exited'), [])
})

test('a worker that dies takes its own sessions along, and no other', async () => {
  await using stack = new AsyncDisposableStack()
  const daemon = await startSite(stack)
  const services = ['imap', 'pop3', 'sieve'] as const
  // All at once, so that no worker takes them alone.
  const sessions = await Promise.all(
    Array.from({ length: 60 }, (_, count) => logIn(daemon, services[count % 3] ?? 'imap')),
  )
  for (const session of sessions) stack.use(session)
  const of = new Map(daemon.eventsOf('worker.started').map(({ worker, pid }) => [worker, pid]))
  const [victim] = of.keys()
  assert.ok(victim !== undefined)
  process.kill(of.get(victim) ?? 0, 'SIGKILL')
  await daemon.waitFor('worker.exited')
  // Its port is never closed.
  stack.use(await logIn(daemon, 'imap'))
  const alive = await Promise.all(
    sessions.map(async (session) => {
      session.send('still\r\n')
      return session.expect(/^still\r\n/).then(
        () => true,
        () => false,
      )
    }),
  )
  const survivors = alive.filter(Boolean).length
  assert.ok(survivors > 0 && survivors < sessions.length, `${survivors}`)
  for (const [index, session] of sessions.entries()) assert.equal(session.closed, !alive[index])
})
