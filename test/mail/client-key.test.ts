import assert from 'node:assert/strict'
import { test } from 'node:test'
import { clientKey, networkOf } from '../../src/mail/client-key.ts'

test('an IPv4 client is its address, an IPv6 client its /64, with its /48 as the site', () => {
  assert.deepEqual(clientKey('192.0.2.1'), { own: '192.0.2.1', site: undefined })
  assert.deepEqual(clientKey('2001:db8:a:b:c::1'), {
    own: '2001:db8:a:b/64',
    site: '2001:db8:a/48',
  })
  assert.deepEqual(clientKey('2001:db8::1'), { own: '2001:db8:0:0/64', site: '2001:db8:0/48' })
})

test('a network is a /24, or a /48', () => {
  for (const [address, network] of [
    ['192.0.2.1', '192.0.2.0/24'],
    ['::ffff:192.0.2.255', '192.0.2.0/24'],
    ['2001:db8:a:b:c::1', '2001:db8:a::/48'],
    ['fe80::1%eth0', 'fe80::/48'],
    ['', 'unknown'],
  ] as const) {
    assert.equal(networkOf(address), network)
  }
})
