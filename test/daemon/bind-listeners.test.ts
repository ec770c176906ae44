import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { test } from 'node:test'
import type { ListenerConfig } from '../../src/config/config.ts'
import { bindListeners } from '../../src/daemon/bind-listeners.ts'
import { openListener } from '../../src/net/listener.ts'

const listener: ListenerConfig = {
  service: 'imap',
  host: '127.0.0.1',
  port: 0,
  tls: 'none',
  greetingDelayMs: 0,
  bareNewline: 'reject',
  authAllowCleartext: true,
  asksCertificate: true,
  hasProxyHeader: false,
}

async function takenPort(): Promise<AsyncDisposable & { readonly port: number }> {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      server.close()
      await once(server, 'close')
    },
  }
}

test('free ports are found, distinct, and free again afterwards', async () => {
  const { bound, problems } = await bindListeners([listener, listener], [])
  assert.deepEqual(problems, [])
  const ports = bound.map(({ config }) => config.port)
  assert.equal(new Set(ports).size, 2)
  for (const port of ports) (await openListener({ host: '127.0.0.1', port }, () => {})).close()
})

test('every address that cannot be had is a problem of its own that names it', async () => {
  await using taken = await takenPort()
  const { problems } = await bindListeners(
    [
      { ...listener, port: taken.port },
      listener,
      { ...listener, host: '203.0.113.77', port: 4143 },
    ],
    [],
  )
  assert.deepEqual(
    problems.map(({ code, message }) => [code, message]),
    [
      ['LISTEN_FAILED', `127.0.0.1:${taken.port}: the port is in use`],
      ['LISTEN_FAILED', '203.0.113.77:4143: this host does not have the address'],
    ],
  )
})

test('two listeners cannot have the same address', async () => {
  const [free] = (await bindListeners([listener], [])).bound
  const port = free?.config.port ?? 0
  const { problems } = await bindListeners(
    [
      { ...listener, port },
      { ...listener, service: 'pop3', port },
    ],
    [],
  )
  assert.equal(problems.length, 1)
})

test('what is open already is not tried again and keeps its port', async () => {
  await using taken = await takenPort()
  await using free = await takenPort()
  const inForce = [
    { config: { ...listener, port: taken.port }, askedPort: taken.port },
    { config: { ...listener, port: free.port }, askedPort: 0 },
  ]
  const wanted = [
    { ...listener, tls: 'starttls' as const },
    { ...listener, service: 'pop3' as const, port: taken.port },
  ]
  const { bound, problems } = await bindListeners(wanted, inForce)
  assert.deepEqual(problems, [])
  assert.deepEqual(
    bound.map(({ config: { service, port, tls } }) => [service, port, tls]),
    [
      ['imap', free.port, 'starttls'],
      ['pop3', taken.port, 'none'],
    ],
  )
})

test('a free port of one service is not taken for one of another', async () => {
  await using open = await takenPort()
  const inForce = [{ config: { ...listener, port: open.port }, askedPort: 0 }]
  const { bound } = await bindListeners([{ ...listener, service: 'pop3' }], inForce)
  assert.notEqual(bound[0]?.config.port, open.port)
})
