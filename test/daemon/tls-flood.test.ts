/** Clients that mean the handshakes of a daemon no good: old versions, weak ciphers, and countless ones. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { connect as connectRaw } from 'node:net'
import { after, before, test } from 'node:test'
import { type ConnectionOptions, connect } from 'node:tls'
import { makeAuthority } from '../support/certificates.ts'
import { clientHello } from '../support/client-hello.ts'
import { type Daemon, startDaemon } from '../support/daemon.ts'
import { writeEmptyMap } from '../support/map-file.ts'
import { OldTlsClient } from '../support/old-tls-client.ts'
import { Peer } from '../support/peer.ts'
import { tempDir } from '../support/temp-dir.ts'

const stack = new AsyncDisposableStack()
const authority = makeAuthority()
let daemon: Daemon

before(async () => {
  const dir = stack.use(tempDir())
  const { cert, key } = authority.issue(['mx1.example.com'])
  writeFileSync(dir.join('cert.pem'), cert)
  writeFileSync(dir.join('key.pem'), key)
  await writeEmptyMap(dir.join('state', 'map.db'), 1)
  const config = `hostname: mx1.example.com
domains: [example.com]
client_names: none
probe_interval: 0s
backends: {fritz: {host: 127.0.0.1, imap: 1}}
tls: {certificates: [{cert: cert.pem, key: key.pem}]}
listen: {imap: [{address: "127.0.0.1:0", tls: implicit}]}
workers: 1
`
  daemon = stack.use(await startDaemon({ dir, config }))
})

after(() => stack.disposeAsync())

/** The greeting, or why there is none. */
async function greeted(options: ConnectionOptions = {}): Promise<string> {
  const own = { host: '127.0.0.1', servername: 'mx1.example.com', ca: authority.ca }
  const socket = connect({ port: daemon.port('imap'), ...own, ...options })
  try {
    const [greeting] = (await once(socket, 'data')) as [Buffer]
    return String(greeting)
  } catch (error) {
    return error instanceof Error && 'code' in error ? String(error.code) : ''
  } finally {
    socket.destroy()
  }
}

async function refused(): Promise<number> {
  const [imap] = (await daemon.status()).services
  return imap?.refused.tls_handshake ?? 0
}

async function sessions(): Promise<number> {
  return (await daemon.status()).services[0]?.sessions ?? 0
}

/** Clients may know it before the worker has counted them. */
async function becomes(count: number): Promise<void> {
  const signal = AbortSignal.timeout(10_000)
  while ((await refused()) < count) signal.throwIfAborted()
  assert.equal(await refused(), count)
}

const lax = '@SECLEVEL=0'

test('old versions, and ciphers that prove or hide nothing, get no session', async () => {
  const tried: readonly ConnectionOptions[] = [
    { minVersion: 'TLSv1', maxVersion: 'TLSv1', ciphers: `DEFAULT${lax}` },
    { minVersion: 'TLSv1.1', maxVersion: 'TLSv1.1', ciphers: `DEFAULT${lax}` },
    ...['aNULL', 'eNULL', 'AES128-SHA', 'ECDHE-ECDSA-AES128-SHA'].map((ciphers) => ({
      maxVersion: 'TLSv1.2' as const,
      ciphers: `${ciphers}${lax}`,
    })),
  ]
  const before = await refused()
  for (const options of tried) {
    const what = JSON.stringify(options)
    assert.match(await greeted(options), /^ERR_SSL_.*ALERT_/, what)
  }
  await becomes(before + tried.length)
  assert.match(await greeted({ maxVersion: 'TLSv1.2' }), /^\* OK /)
})

test('SSL 3 and what was before it are refused by their first words', async () => {
  const before = await refused()
  // A hello of SSL 3 with one cipher that everybody had, and one of SSL 2.
  const hello = `0300${'72'.repeat(32)}000002000a0100`
  const message = `01${(hello.length / 2).toString(16).padStart(6, '0')}${hello}`
  const third = `160300${(message.length / 2).toString(16).padStart(4, '0')}${message}`
  const second = `8025010002000c0000001001008003000080060040020080${'72'.repeat(16)}`
  for (const octets of [third, second]) {
    const socket = connectRaw(daemon.port('imap'), '127.0.0.1')
    socket.on('error', () => undefined)
    let heard = Buffer.alloc(0)
    socket.on('data', (chunk: Buffer) => {
      heard = Buffer.concat([heard, chunk])
    })
    socket.write(Buffer.from(octets, 'hex'))
    await once(socket, 'close')
    // An alert at most.
    assert.match(heard.toString('hex'), /^(?:15[0-9a-f]{12})?$/)
  }
  await becomes(before + 2)
})

test('ten thousand wishes for another handshake get none, and others are served', async () => {
  using client = await OldTlsClient.connect(daemon.port('imap'), authority.ca, 'mx1.example.com')
  for (let times = 0; times < 100; times++) {
    client.askAnew(100)
    if (times % 10 === 0) assert.match(await greeted(), /^\* OK /)
  }
  client.say('a NOOP\r\n')
  assert.equal(await client.hears(1), true, 'its session goes on as it was')
  // Each is answered by an alert, none by a handshake.
  const alerts = client.heard.filter((type) => type === 21).length
  assert.deepEqual([alerts, client.heard.length], [10_000, 10_001])
})

test('who is silent in a handshake takes the place of a session', async () => {
  using open = new DisposableStack()
  for (let count = 0; count < 50; count++) open.use(await Peer.connect(daemon.port('imap')))
  const signal = AbortSignal.timeout(10_000)
  while ((await sessions()) < 50) signal.throwIfAborted()
  assert.equal(await sessions(), 50)
})

/** Of the worker, in MiB. */
function residentMib(): number {
  const { pid } = daemon.eventsOf('worker.started')[0] ?? { pid: 0 }
  const [, kib] = /^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? []
  return Number(kib) / 1024
}

/** So many clients that begin a handshake and reset the connection, some at once. */
async function leaveHalfway(hello: Buffer, times: number): Promise<void> {
  const numbers = Array.from({ length: times }, (_, number) => number).values()
  const work = async (): Promise<void> => {
    for (const number of numbers) {
      const socket = connectRaw(daemon.port('imap'), '127.0.0.1')
      socket.on('error', () => undefined)
      await once(socket, 'connect')
      const half = hello.subarray(0, 1 + (number % (hello.length - 1)))
      await new Promise((resolve) => socket.write(half, resolve))
      socket.resetAndDestroy()
      await once(socket, 'close')
    }
  }
  await Promise.all(Array.from({ length: 50 }, work))
}

test('ten thousand clients that leave within their first words leave nothing behind', async () => {
  const hello = await clientHello({ servername: 'mx1.example.com' })
  await leaveHalfway(hello, 2_000)
  const earlyMib = residentMib()
  await leaveHalfway(hello, 8_000)
  assert.match(await greeted(), /^\* OK /)
  await daemon.idle()
  const grownMib = residentMib() - earlyMib
  assert.ok(grownMib < 32, `${grownMib} MiB`)
  assert.deepEqual([daemon.eventsOf('internal'), daemon.eventsOf('worker.exited')], [[], []])
})
