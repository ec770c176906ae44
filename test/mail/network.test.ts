import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { canonicalHost, isHost, NetworkList, parseNetwork } from '../../src/mail/network.ts'

const hosts: readonly [written: string, canonical: string | undefined][] = [
  ['192.0.2.7', '192.0.2.7'],
  ['::1', '::1'],
  ['2001:DB8:0:0:0:0:0:7', '2001:db8::7'],
  ['::ffff:192.0.2.7', '192.0.2.7'],
  ['::ffff:c000:207', '192.0.2.7'],
  ['192.0.2.07', undefined],
  ['192.0.2', undefined],
  ['192.0.2.256', undefined],
  ['192.0.2.7.', undefined],
  ['0x7f.0.0.1', undefined],
  ['2130706433', undefined],
  ['fe80::1%eth0', undefined],
  ['[::1]', undefined],
  ['::1::', undefined],
  ['mx.example.com', undefined],
  ['', undefined],
]

for (const [written, canonical] of hosts) {
  test(`${JSON.stringify(written)} is ${canonical ?? 'no address'}`, () => {
    assert.equal(canonicalHost(written), canonical)
  })
}

test('a back-end may be at any address, or at a name of DNS', () => {
  for (const host of ['192.0.2.7', '2001:db8::7', 'fe80::1%eth0', 'fritz', 'fritz.example.com.']) {
    assert.ok(isHost(host), host)
  }
})

const lists: readonly [network: string, inside: readonly string[], outside: readonly string[]][] = [
  ['10.0.1.0/24', ['10.0.1.0', '10.0.1.255', '::ffff:10.0.1.9'], ['10.0.2.0', '::', 'fd00::1']],
  ['192.0.2.7', ['192.0.2.7'], ['192.0.2.8', '::ffff:192.0.2.8']],
  ['2001:db8::/32', ['2001:db8::1'], ['2001:db9::1', '32.1.13.184']],
  ['0.0.0.0/0', ['1.2.3.4', '::ffff:1.2.3.4'], ['::1']],
  ['::/0', ['::1', '2001:db8::1'], ['1.2.3.4']],
]

for (const [network, inside, outside] of lists) {
  test(`${network} holds what is in it and nothing else`, () => {
    const list = new NetworkList(['203.0.113.0/31', network])
    for (const host of inside) assert.equal(list.has(host), true, host)
    for (const host of [...outside, '', 'x']) assert.equal(list.has(host), false, host)
  })
}

test('what is no network is not taken for one', () => {
  for (const text of [
    '10.0.0.0/33',
    '10.0.0.0/',
    '10.0.0/8',
    '::/129',
    '::ffff:10.0.0.0/104',
    'a/8',
  ])
    assert.equal(parseNetwork(text), undefined, text)
  for (const text of ['10.0.0.0/08', '10.0.0.0/8/8', '10.0.0.0/-1', '10.0.0.0/ 8'])
    assert.equal(parseNetwork(text), undefined, text)
})

test('a canonical address is its own canonical form', () => {
  fc.assert(
    fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), (text) => {
      const once = canonicalHost(text)
      assert.ok(once !== undefined)
      assert.equal(canonicalHost(once), once)
    }),
  )
})
