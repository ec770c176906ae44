import assert from 'node:assert/strict'
import { test } from 'node:test'
import { clientKey } from '../../src/mail/client-key.ts'

test('an IPv4 client is its address, an IPv6 client its /64, with its /48 as the site', () => {
  assert.deepEqual(clientKey('192.0.2.1'), { own: '192.0.2.1', site: undefined })
  assert.deepEqual(clientKey('2001:db8:a:b:c::1'), {
    own: '2001:db8:a:b/64',
    site: '2001:db8:a/48',
  })
  assert.deepEqual(clientKey('2001:db8::1'), { own: '2001:db8:0:0/64', site: '2001:db8:0/48' })
})
