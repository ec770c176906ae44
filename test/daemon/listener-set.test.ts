import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { test } from 'node:test'
import type { Connection } from '../../src/net/connection.ts'
import { MailmuxError } from '../../src/base/error.ts'
import type { ListenerConfig } from '../../src/config/config.ts'
import { bindListeners } from '../../src/daemon/bind-listeners.ts'
import { ListenerSet } from '../../src/daemon/listener-set.ts'
import { Peer } from '../support/peer.ts'

const any: ListenerConfig = {
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

async function freeListeners(count: number): Promise<ListenerConfig[]> {
  const { bound } = await bindListeners(
    Array.from({ length: count }, () => any),
    [],
  )
  return bound.map(({ config }) => config)
}

/** A set whose sessions say what they were accepted with. */
function greeter(): ListenerSet & Disposable {
  const sockets = new Set<Connection>()
  const set = new ListenerSet((socket, { service, tls }) => {
    sockets.add(socket)
    socket.write(`${service} ${tls}\r\n`)
  })
  return Object.assign(set, {
    [Symbol.dispose]() {
      set.close()
      for (const socket of sockets) socket.destroy()
    },
  })
}

async function isRefused(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1')
  const outcome = await Promise.race([
    once(socket, 'connect').then(() => false),
    once(socket, 'error').then(() => true),
  ]).catch(() => true)
  socket.destroy()
  return outcome
}

test('who connects before the settings are in force is served when they are', async () => {
  const [first] = await freeListeners(1)
  assert.ok(first)
  using set = greeter()
  await set.prepare([first])
  using early = await Peer.connect(first.port)
  assert.equal(early.received, '')
  set.commit()
  assert.equal(await early.line(), 'imap none')
})

test('a change of service keeps the address open and its sessions too', async () => {
  const [first] = await freeListeners(1)
  assert.ok(first)
  using set = greeter()
  await set.prepare([first])
  set.commit()
  using old = await Peer.connect(first.port)
  assert.equal(await old.line(), 'imap none')
  await set.prepare([{ ...first, service: 'pop3', tls: 'starttls' }])
  using between = await Peer.connect(first.port)
  assert.equal(await between.line(), 'imap none')
  set.commit()
  using fresh = await Peer.connect(first.port)
  assert.equal(await fresh.line(), 'pop3 starttls')
  assert.equal(old.closed, false)
})

test('addresses that are wanted no more are closed, those that are new opened', async () => {
  const [first, second] = await freeListeners(2)
  assert.ok(first && second)
  using set = greeter()
  await set.prepare([first])
  set.commit()
  await set.prepare([second])
  set.commit()
  using peer = await Peer.connect(second.port)
  assert.equal(await peer.line(), 'imap none')
  assert.ok(await isRefused(first.port))
})

test('one address that fails leaves everything as it was', async () => {
  const [first, second, third] = await freeListeners(3)
  assert.ok(first && second && third)
  using other = greeter()
  await other.prepare([third])
  using set = greeter()
  await set.prepare([first])
  set.commit()
  await assert.rejects(
    set.prepare([second, third]),
    (error) => error instanceof MailmuxError && error.code === 'LISTEN_FAILED',
  )
  assert.ok(await isRefused(second.port))
  using peer = await Peer.connect(first.port)
  assert.equal(await peer.line(), 'imap none')
})

test('what is given up before it is in force closes, with who had connected', async () => {
  const [first] = await freeListeners(1)
  assert.ok(first)
  using set = greeter()
  await set.prepare([first])
  using early = await Peer.connect(first.port)
  set.abort()
  assert.equal(await early.end(), '')
  assert.ok(await isRefused(first.port))
})
