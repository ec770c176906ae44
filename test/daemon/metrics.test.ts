/** The metrics and health pages of a running daemon. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { request } from 'node:http'
import { test } from 'node:test'
import {
  counterMetrics,
  gaugeMetrics,
  stragglersMetric,
} from '../../src/daemon/metrics/definitions.ts'
import { type Daemon, writeConfig } from '../support/daemon.ts'
import { echoConfig, launchEcho, startEcho } from '../support/echo-daemon.ts'
import { Peer, ScriptedBackend } from '../support/peer.ts'
import { tempDir } from '../support/temp-dir.ts'

interface Response {
  readonly status: number
  readonly type: string
  readonly text: string
}

function metricsPort(daemon: Daemon): number {
  const { listeners } = daemon.events.findLast(
    ({ event }) => event === 'daemon.ready' || event === 'reload.done',
  ) as { listeners?: readonly string[] }
  const [, port] = /^metrics 127\.0\.0\.1:(\d+)$/m.exec(listeners?.join('\n') ?? '') ?? []
  assert.ok(port, JSON.stringify(listeners))
  return Number(port)
}

function get(port: number, path: string, accept = '*/*', method = 'GET'): Promise<Response> {
  return new Promise((resolve, reject) => {
    const headers = { Accept: accept }
    const asked = request({ port, path, method, headers, agent: false }, (response) => {
      let text = ''
      response.on('data', (chunk: Buffer) => (text += chunk.toString()))
      response.on('end', () => {
        const type = response.headers['content-type'] ?? ''
        resolve({ status: response.statusCode ?? 0, type, text })
      })
    })
    asked.on('error', reject).end()
  })
}

/** Values by name and labels as they are written. */
async function samples(daemon: Daemon): Promise<Map<string, number>> {
  const { status, text } = await get(metricsPort(daemon), '/metrics')
  assert.equal(status, 200, text)
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'))
  return new Map(
    lines.map((line) => {
      const at = line.lastIndexOf(' ')
      return [line.slice(0, at), Number(line.slice(at + 1))]
    }),
  )
}

const listen = 'listen: {imap: ["127.0.0.1:0"], metrics: ["0"]}\n'

/** An IMAP back-end that answers a probe. */
async function probed(peer: Peer): Promise<void> {
  peer.send('* OK ready\r\n')
  for (;;) {
    const [tag = '', verb = ''] = (await peer.line()).split(' ')
    if (verb === 'CAPABILITY') peer.send('* CAPABILITY IMAP4rev1\r\n')
    peer.send(`${tag} OK done\r\n`)
  }
}

async function until(daemon: Daemon, path: string, wanted: number): Promise<Response> {
  const signal = AbortSignal.timeout(10_000)
  for (;;) {
    const response = await get(metricsPort(daemon), path)
    if (response.status === wanted) return response
    signal.throwIfAborted()
  }
}

test('the counts of all workers are added up, and go on when a worker is replaced', async () => {
  using dir = tempDir()
  await using daemon = await startEcho(dir, listen)
  for (let session = 1; session <= 6; session++) {
    using peer = await Peer.connect(daemon.port('imap'))
    await peer.line()
    await peer.send('refuse\r\n').expect(/refused/)
    await peer.send('quit\r\n').end()
    await daemon.waitFor('session.end', session)
  }
  const before = await samples(daemon)
  assert.equal(before.get('mailmux_sessions_total{proto="imap"}'), 6)
  assert.equal(before.get('mailmux_refused_total{proto="imap",reason="bad_commands"}'), 150)
  assert.equal(before.get('mailmux_logins_total{proto="imap",outcome="ok"}'), 6)
  assert.equal(before.get('mailmux_session_ends_total{proto="imap",end="logout"}'), 6)
  assert.equal(before.get('mailmux_workers{state="serving"}'), 2)
  for (const { pid } of daemon.eventsOf('worker.started')) process.kill(pid, 'SIGKILL')
  await daemon.waitFor('worker.started', 4)
  const after = await samples(daemon)
  for (const [name, value] of before) {
    if (!/^mailmux_\w+_total/.test(name)) continue
    assert.ok((after.get(name) ?? 0) >= value, `${name}: ${value}, then ${after.get(name)}`)
  }
  assert.equal(after.get('mailmux_worker_restarts'), 2)
})

test('Prometheus and OpenMetrics are written as they are asked for', async () => {
  using dir = tempDir()
  await using daemon = await startEcho(dir, listen)
  const port = metricsPort(daemon)
  const openAccept = 'application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5'
  const [open, plain, again] = [
    await get(port, '/metrics', openAccept),
    await get(port, '/metrics', 'text/plain'),
    await get(port, '/metrics?x=1', openAccept),
  ]
  assert.equal(open.type, 'application/openmetrics-text; version=1.0.0; charset=utf-8')
  assert.match(open.text, /^# TYPE mailmux_loop_stalls counter\nmailmux_loop_stalls_total \d+$/m)
  assert.ok(open.text.endsWith('# EOF\n'))
  assert.equal(plain.type, 'text/plain; version=0.0.4; charset=utf-8')
  assert.match(
    plain.text,
    /^# TYPE mailmux_loop_stalls_total counter\nmailmux_loop_stalls_total \d+$/m,
  )
  assert.match(plain.text, /^process_resident_memory_bytes \d+$/m)
  assert.match(plain.text, /^mailmux_info\{version="\d/m)
  assert.doesNotMatch(plain.text, /# EOF/)
  assert.match(again.text, /^mailmux_loop_stalls_total /m)
})

test('a front end is ready when a back-end answers, and not when none does or it drains', async () => {
  using dir = tempDir()
  await using fritz = await ScriptedBackend.start(probed)
  const backends = `backends: {fritz: {host: 127.0.0.1, imap: ${fritz.port}}}\n`
  const withFritz = (more = ''): string =>
    echoConfig(`${listen}${more}`).replace(/^backends: .*\n/m, backends)
  await using daemon = await startEcho(dir, listen, { config: withFritz() })
  const ready = await until(daemon, '/readyz', 200)
  assert.match(ready.text, /^ok {3}map: generation 1\n/m)
  assert.match(ready.text, /^ok {3}listeners: 1 address, 2 workers serve\n/m)
  assert.match(ready.text, /^ok {3}back-ends: 1 of 1 can be used\n/m)
  writeConfig(dir, echoConfig(`${listen}probe_interval: 1s\n`).replaceAll('imap: 143', 'imap: 1'))
  assert.equal((await daemon.command('reload')).code, 0)
  await daemon.waitFor('backend.state', 2)
  const down = await get(metricsPort(daemon), '/readyz', 'application/json')
  assert.equal(down.status, 503)
  assert.equal(down.type, 'application/json')
  const { ok, checks } = JSON.parse(down.text) as {
    ok: boolean
    checks: { name: string; ok: boolean }[]
  }
  assert.equal(ok, false)
  assert.deepEqual(
    checks.filter((check) => !check.ok).map(({ name }) => name),
    ['back-ends'],
  )
  assert.equal((await get(metricsPort(daemon), '/livez')).status, 200)
  using peer = await Peer.connect(daemon.port('imap'))
  await peer.send('stay\r\n').expect(/staying/)
  daemon.signal('SIGTERM')
  await peer.expect(/bye/)
  const draining = await get(metricsPort(daemon), '/readyz')
  assert.match(draining.text, /^FAIL serving: draining\n/)
  assert.equal((await get(metricsPort(daemon), '/livez')).status, 200)
  peer.send('quit\r\n')
  assert.equal((await daemon.exited).code, 0)
})

test('nothing but GET and HEAD of known pages is answered, and nothing ends the daemon', async () => {
  using dir = tempDir()
  await using daemon = await startEcho(dir, listen)
  const port = metricsPort(daemon)
  assert.equal((await get(port, '/')).status, 404)
  assert.equal((await get(port, '/__proto__')).status, 404)
  assert.equal((await get(port, '/metrics', '*/*', 'POST')).status, 405)
  const head = await get(port, '/livez', '*/*', 'HEAD')
  assert.deepEqual([head.status, head.text], [200, ''])
  for (const bytes of [
    '\x16\x03\x01\x02',
    'GET\r\n\r\n',
    `GET / HTTP/1.1\r\nX: ${'x'.repeat(9000)}`,
  ]) {
    using peer = await Peer.connect(port)
    assert.match(await peer.send(`${bytes}\r\n\r\n`).end(), /^(?:HTTP\/1\.1 4\d\d |$)/)
  }
  using gone = await Peer.connect(port)
  gone.send('GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n').socket.resetAndDestroy()
  const many = await Promise.all(Array.from({ length: 30 }, () => get(port, '/metrics')))
  assert.deepEqual(new Set(many.map(({ status }) => status)), new Set([200]))
  assert.deepEqual(daemon.eventsOf('internal'), [])
})

test('a metrics address that is in use keeps a daemon from starting, and a reload from being taken', async () => {
  using dir = tempDir()
  await using first = await startEcho(dir, listen)
  const taken = `listen: {imap: ["127.0.0.1:0"], metrics: ["127.0.0.1:${metricsPort(first)}"]}\n`
  using other = tempDir()
  await using second = await startEcho(other, listen)
  const before = metricsPort(second)
  writeConfig(other, echoConfig(taken))
  const { code, stderr } = await second.command('reload')
  assert.equal(code, 78)
  assert.match(stderr, /127\.0\.0\.1:\d+: /)
  assert.equal((await get(before, '/livez')).status, 200)
  await second.stop()
  await using third = launchEcho(other, taken)
  const exit = await third.exited
  assert.equal(exit.code, 69)
  assert.match(exit.stderr, /^LISTEN_FAILED: 127\.0\.0\.1:\d+: the port is in use\n$/)
})

test('metrics listeners come and go with the config', async () => {
  using dir = tempDir()
  await using daemon = await startEcho(dir, 'listen: {imap: ["127.0.0.1:0"]}\n')
  writeConfig(dir, echoConfig(listen))
  assert.equal((await daemon.command('reload')).code, 0)
  // The command may return before its line is read from the log.
  await daemon.waitFor('reload.done')
  const port = metricsPort(daemon)
  assert.equal((await get(port, '/livez')).status, 200)
  const { stdout } = await daemon.command('status')
  assert.match(stdout, new RegExp(`^metrics at 127\\.0\\.0\\.1:${port}$`, 'm'))
  writeConfig(dir, echoConfig('listen: {imap: ["127.0.0.1:0"]}\n'))
  assert.equal((await daemon.command('reload')).code, 0)
  await assert.rejects(get(port, '/livez'), /ECONNREFUSED/)
})

test('docs/metrics.md lists every metric with its labels, and no other', () => {
  const rows = readFileSync('docs/metrics.md', 'utf8').matchAll(
    /^\| `(mailmux_\w+)` \| (counter|gauge) \|(.*?)\| .+ \|$/gm,
  )
  const listed = [...rows].map(([, name, kind, labels = '']) => {
    return `${kind} ${name} ${[...labels.matchAll(/`(\w+)`/g)].map(([, label]) => label).join()}`
  })
  const declared = [
    ...[...Object.values(counterMetrics), stragglersMetric].map(
      ({ name, labels }) => `counter ${name} ${labels.join()}`,
    ),
    ...Object.values(gaugeMetrics).map(({ name, labels }) => `gauge ${name} ${labels.join()}`),
  ]
  assert.ok(declared.length > 20)
  assert.deepEqual(new Set(listed), new Set(declared))
})
