/** What a daemon does on ports that anybody may connect to. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { after, before, test } from 'node:test'
import type { Service } from '../../src/config/config.ts'
import { askDaemon } from '../../src/control/client.ts'
import { type Daemon, writeConfig } from '../support/daemon.ts'
import { echoConfig, startEcho } from '../support/echo-daemon.ts'
import { Peer } from '../support/peer.ts'
import { tempDir } from '../support/temp-dir.ts'

const services: readonly Service[] = ['imap', 'pop3', 'sieve', 'submission', 'smtp', 'lmtp']
const listeners = services.map((service) => `${service}: ["127.0.0.1:0"]`)
const all = `listen: {${listeners.join(', ')}, metrics: ["0"]}\n`

/** Connects and reads the first line. */
async function knock(
  daemon: Daemon,
  service: Service,
  from?: string,
): Promise<{ peer: Peer; line: string }> {
  const peer = await Peer.connect(daemon.port(service), '127.0.0.1', from)
  return { peer, line: await peer.line() }
}

const stack = new AsyncDisposableStack()
let shared: Daemon

before(async () => {
  shared = stack.use(await startEcho(stack.use(tempDir()), withLimits('{}')))
})

after(() => stack.disposeAsync())

function withLimits(limits: string): string {
  return `${all}limits: ${limits}\nworkers: 3\n`
}

/** Puts other limits in force while the daemon runs. */
async function reload(limits: string): Promise<void> {
  writeConfig(shared.dir, echoConfig(withLimits(limits)))
  await askDaemon(shared.dir.join('run'), 'reload', 10_000)
}

/** What `mailmux status` and the metrics say was refused of a service, by reason. */
async function refusedOf(daemon: Daemon, service: Service): Promise<Record<string, number>> {
  const report = await daemon.status()
  const refused = report.services.find((of) => of.service === service)?.refused ?? {}
  const page = await (await fetch(`http://${report.metrics?.[0]}/metrics`)).text()
  const lines = page.matchAll(
    new RegExp(`^mailmux_refused_total{proto="${service}",reason="(\\w+)"} (\\d+)$`, 'gm'),
  )
  const measured = [...lines].map(([, reason = '', count]) => [reason, Number(count)] as const)
  assert.deepEqual(Object.fromEntries(measured), refused)
  return refused
}

/** A session of the shared daemon that was let in, as its first line shows. */
async function letIn(open: AsyncDisposableStack, service: Service, from?: string): Promise<Peer> {
  const { peer, line } = await knock(shared, service, from)
  open.use(peer)
  assert.match(line, new RegExp(`^${service} none`))
  return peer
}

const words = [
  ['imap', /^\* BYE \[UNAVAILABLE\] too many sessions from your address/],
  ['pop3', /^-ERR \[SYS\/TEMP\] too many sessions from your address/],
  ['sieve', /^BYE \(TRYLATER\) "too many sessions from your address, end some of them"/],
  ['submission', /^421 4\.7\.0 mx\.example\.com too many sessions from your address/],
  ['smtp', /^421 4\.7\.0 mx\.example\.com too many sessions from your address/],
  ['lmtp', /^421 4\.7\.0 mx\.example\.com too many sessions from your address/],
] as const

test('sessions of one address are counted over all workers, and others have theirs', async () => {
  await reload('{sessions_per_ip: 3, exempt: []}')
  await using open = new AsyncDisposableStack()
  const inside: Peer[] = []
  for (const [service, refusal] of words) {
    const { ip_limit: earlier = 0 } = await refusedOf(shared, service)
    for (let count = 0; count < 3; count++) inside.push(await letIn(open, service))
    for (let count = 0; count < 4; count++) {
      const { peer, line } = await knock(shared, service)
      assert.match(line, refusal)
      // The connection is closed, and nothing else said.
      assert.equal(await peer.end(), '')
    }
    assert.equal((await refusedOf(shared, service))['ip_limit'], earlier + 4)
  }
  for (let last = 2; last < 30; last++) await letIn(open, 'imap', `127.0.0.${last}`)
  const ended = shared.eventsOf('session.end').length
  await inside[0]?.send('quit\r\n').end()
  await shared.waitFor('session.end', ended + 1)
  await letIn(open, 'imap')
})

test('a reload changes what there may be, and sessions of before count', async () => {
  await reload('{sessions_per_ip: 50, exempt: []}')
  await using open = new AsyncDisposableStack()
  const from = '127.1.0.1'
  for (let count = 0; count < 3; count++) await letIn(open, 'imap', from)
  await reload('{sessions_per_ip: 2, exempt: []}')
  assert.match((await knock(shared, 'imap', from)).line, /^\* BYE /)
  await reload('{sessions_per_ip: {imap: 4, pop3: 0}, exempt: []}')
  await letIn(open, 'imap', from)
  assert.match((await knock(shared, 'imap', from)).line, /^\* BYE /)
  await reload('{sessions_per_ip: 4, exempt: [127.1.0.0/16]}')
  await letIn(open, 'imap', from)
})

test('sessions that died with their worker are counted no more', async () => {
  await reload('{sessions_per_ip: 4, exempt: []}')
  await using open = new AsyncDisposableStack()
  const from = '127.2.0.1'
  const inside: Peer[] = []
  for (let count = 0; count < 4; count++) inside.push(await letIn(open, 'imap', from))
  for (const { pid } of shared.eventsOf('worker.started')) process.kill(pid, 'SIGKILL')
  for (const peer of inside) await peer.end()
  await shared.waitFor('worker.started', 6)
  for (let count = 0; count < 4; count++) await letIn(open, 'imap', from)
  assert.match((await knock(shared, 'imap', from)).line, /^\* BYE/)
})

test('an address that connects too often is told to slow down', async () => {
  await reload('{connections_per_ip: 5/day, exempt: [127.3.0.9]}')
  const from = '127.3.0.1'
  const { conn_rate: earlier = 0 } = await refusedOf(shared, 'smtp')
  for (let count = 0; count < 8; count++) {
    const { peer, line } = await knock(shared, 'smtp', from)
    using _ = peer
    if (count < 5) assert.match(line, /^smtp none/)
    else assert.match(line, /^421 4\.7\.0 .* too many connections from your address, slow down$/)
  }
  for (let count = 0; count < 8; count++) {
    const { peer, line } = await knock(shared, 'smtp', '127.3.0.9')
    using _ = peer
    assert.match(line, /^smtp none/)
  }
  assert.equal((await refusedOf(shared, 'smtp'))['conn_rate'], earlier + 3)
})

test('reconnecting without a pause leaves nothing counted, whatever ends a session', async () => {
  await reload('{sessions_per_ip: 20, exempt: []}')
  const from = '127.4.0.1'
  const port = shared.port('pop3')
  await Promise.all(
    Array.from({ length: 15 }, async (_, lane) => {
      for (let count = 0; count < 40; count++) {
        const socket = connect({ port, host: '127.0.0.1', localAddress: from })
        socket.on('error', () => undefined)
        socket.resume()
        if ((lane + count) % 3 > 0) await once(socket, 'connect').catch(() => undefined)
        if ((lane + count) % 2 > 0) socket.resetAndDestroy()
        else socket.end()
        if (!socket.closed) await once(socket, 'close').catch(() => undefined)
      }
    }),
  )
  await shared.idle()
  await using open = new AsyncDisposableStack()
  for (let count = 0; count < 20; count++) await letIn(open, 'pop3', from)
  assert.match((await knock(shared, 'pop3', from)).line, /^-ERR /)
})

test('with few descriptors, those who find none are told so, and what runs goes on', async () => {
  using dir = tempDir()
  const limits = 'limits: {sessions: 1000}\nworkers: 1\n'
  const openFiles = 128
  await using daemon = await startEcho(dir, `${all}${limits}`, { openFiles })
  await using open = new AsyncDisposableStack()
  const room = (openFiles - 64) / 2
  const inside: Peer[] = []
  for (let count = 0; count < room; count++) {
    const { peer, line } = await knock(daemon, 'imap')
    open.use(peer)
    inside.push(peer)
    assert.match(line, /^imap none/)
  }
  // Far more at once than there are descriptors: some are told, the others are just closed.
  const outside = await Promise.all(
    Array.from({ length: 200 }, async () => {
      const peer = await Peer.connect(daemon.port('smtp'))
      return peer.end().finally(() => peer.socket.destroy())
    }),
  )
  const told = outside.filter((text) => text !== '')
  assert.ok(told.length >= 32, `${told.length}`)
  for (const text of told) assert.match(text, /^421 4\.3\.2 /)
  for (const [number, peer] of inside.entries()) {
    assert.equal(await peer.send(`still ${number}\r\n`).line(), `still ${number}`)
  }
  assert.equal((await daemon.command('status')).code, 0)
  assert.equal((await daemon.waitFor('refuse')).reason, 'conn_limit')
  assert.deepEqual(daemon.eventsOf('worker.exited'), [])
  await inside[0]?.send('quit\r\n').end()
  await daemon.waitFor('session.end')
  const next = await knock(daemon, 'pop3')
  open.use(next.peer)
  assert.match(next.line, /^pop3 none/)
})
