import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readClientHello } from '../../src/net/direct/client-hello.ts'
import { clientHello } from '../support/client-hello.ts'
import { randomOf } from '../support/random.ts'

test('what a client asks for is read, when all of it is there', async () => {
  for (const [options, expected] of [
    [{ servername: 'mx1.example.com' }, { serverName: 'mx1.example.com', offersProtocols: false }],
    [{}, { serverName: '', offersProtocols: false }],
    [
      { servername: 'a.b', ALPNProtocols: ['imap'] },
      { serverName: 'a.b', offersProtocols: true },
    ],
    [{ maxVersion: 'TLSv1.2' as const }, { serverName: '', offersProtocols: false }],
  ] as const) {
    const hello = await clientHello(options)
    for (let length = 0; length < hello.length; length++) {
      assert.equal(readClientHello(hello.subarray(0, length)), 'incomplete', `${length}`)
    }
    assert.deepEqual(readClientHello(hello), expected)
    // What follows it is not looked at.
    assert.deepEqual(readClientHello(Buffer.concat([hello, hello])), expected)
  }
})

test('what is no hello, or not in one record, is left to others', async () => {
  const hello = await clientHello({ servername: 'mx1.example.com' })
  const changed = (at: number, octet: number): Buffer => {
    const copy = Buffer.from(hello)
    copy[at] = octet
    return copy
  }
  for (const octets of [
    Buffer.from('a1 LOGIN ann secret\r\n'),
    Buffer.from('802e0100020015', 'hex'),
    changed(0, 21),
    changed(1, 2),
    changed(5, 2),
    // Longer than a record may be, and than its own.
    changed(3, 0x50),
    changed(6, 1),
  ]) {
    assert.equal(readClientHello(octets), 'other', octets.toString('hex', 0, 12))
  }
  const start = hello.indexOf('mx1.example.com')
  for (const octet of [0, 10, 32, 127, 255]) {
    assert.equal(readClientHello(changed(start + 3, octet)), 'other', `${octet}`)
  }
})

test('no octets make it throw', async () => {
  const hello = await clientHello({ servername: 'mx1.example.com', ALPNProtocols: ['imap'] })
  const seed = Math.floor(Math.random() * 1e9)
  const random = randomOf(seed)
  for (let round = 0; round < 20_000; round++) {
    const octets = Buffer.from(hello.subarray(0, Math.floor(random() * (hello.length + 1))))
    for (let change = Math.floor(random() * 8); change > 0 && octets.length > 0; change--) {
      octets[Math.floor(random() * octets.length)] = Math.floor(random() * 256)
    }
    const read = readClientHello(octets)
    if (typeof read === 'string') assert.ok(['incomplete', 'other'].includes(read))
    else assert.ok(read.serverName.length < 256, `seed ${seed}, round ${round}`)
  }
})
