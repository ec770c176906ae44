import assert from 'node:assert/strict'
import { test } from 'node:test'
import { clientTls, ticketKeyAt } from '../../src/daemon/client-tls.ts'
import { createServerTls } from '../../src/net/tls.ts'
import { makeAuthority } from '../support/certificates.ts'
import { TestRuntime } from '../support/test-runtime.ts'

const services = ['smtp', 'lmtp', 'imap', 'pop3', 'sieve', 'submission'] as const
const config =
  'hostname: mx1.example.com\ndomains: [example.com]\nbackends: {fritz: {host: ::1, imap: 143}}\n'

test('workers come to the same key for tickets without asking each other, and others to none', () => {
  const now = 1_800_000_000_000
  const secret = Buffer.alloc(32, 1)
  const keys = services.map((service) => ticketKeyAt(now, secret, service))
  assert.ok(keys.every(({ length }) => length === 48))
  assert.equal(new Set(keys.map((key) => key.toString('hex'))).size, services.length)
  assert.deepEqual(ticketKeyAt(now + 1000, Buffer.from(secret), 'imap'), keys[2])
  assert.notDeepEqual(ticketKeyAt(now, Buffer.alloc(32, 2), 'imap'), keys[2])
  // It changes, and does not come back.
  const later = [4, 8, 12].map((hours) => ticketKeyAt(now + hours * 3_600_000, secret, 'imap'))
  assert.equal(new Set([keys[2], ...later].map((key) => key?.toString('hex'))).size, 4)
})

test('each service goes by the name that ALPN has for it', () => {
  const serverTls = createServerTls([makeAuthority().issue(['mx1.example.com'])], 'TLSv1.2')
  const runtime = new TestRuntime({ config, serverTls })
  assert.deepEqual(
    services.map((service) => clientTls(runtime, service)?.alpn),
    ['smtp', 'lmtp', 'imap', 'pop3', 'managesieve', 'smtp'],
  )
  assert.notEqual(clientTls(runtime, 'smtp'), clientTls(runtime, 'submission'))
  assert.equal(clientTls(runtime, 'imap'), clientTls(runtime, 'imap'))
  assert.equal(clientTls(new TestRuntime({ config }), 'imap'), undefined)
})
