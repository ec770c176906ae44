import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { formatAttributes, parseAttributes } from '../../src/protocol/smtp/client-attributes.ts'

const good: readonly [text: string, read: object][] = [
  ['ADDR=192.0.2.7', { address: '192.0.2.7' }],
  ['addr=ipv6:2001:DB8::7', { address: '2001:db8::7' }],
  ['ADDR=IPV6:::ffff:192.0.2.7', { address: '192.0.2.7' }],
  ['ADDR=[UNAVAILABLE]', { address: undefined }],
  ['NAME=[TEMPUNAVAIL] PORT=25', { name: undefined, port: 25 }],
  ['NAME=mx_1.example.com', { name: 'mx_1.example.com' }],
  ['HELO=[192.0.2.7]', { hello: '[192.0.2.7]' }],
  ['HELO=a+2Bb', { hello: 'a+b' }],
  ['PROTO=smtp LOGIN=ann', { protocol: 'SMTP' }],
  ['DESTADDR=192.0.2.1 DESTPORT=25', { destinationAddress: '192.0.2.1', destinationPort: 25 }],
]

for (const [text, read] of good) {
  test(`XCLIENT ${text} is read`, () => {
    assert.deepEqual(parseAttributes('XCLIENT', text), read)
  })
}

test('what cannot be an attribute is not taken for one', () => {
  const texts = [
    '',
    'ADDR',
    'ADDR=',
    '=192.0.2.7',
    'ADDR=192.0.2.07',
    'ADDR=mx.example.com',
    'ADDR=fe80::1%eth0',
    'NAME=a..b',
    'NAME=-a',
    'NAME=a+0D+0AXCLIENT',
    'NAME=a b',
    'NAME=%s%n$',
    `NAME=${'a.'.repeat(128)}`,
    'PORT=65536',
    'PORT=-1',
    'PROTO=LMTP',
    'HELO=a+20b',
    'IDENT=1',
    '__proto__=1',
  ]
  for (const text of texts) assert.equal(parseAttributes('XCLIENT', text), undefined, text)
})

test('what is written is read, whatever a client calls itself, on lines of 512 octets at most', () => {
  const label = fc.stringMatching(/^[a-z0-9_-]{1,40}$/).filter((text) => !text.startsWith('-'))
  const client = fc.record(
    {
      name: fc.array(label, { minLength: 1, maxLength: 5 }).map((labels) => labels.join('.')),
      address: fc.ipV4(),
      port: fc.nat(65_535),
      hello: fc.oneof(fc.stringMatching(/^[!-~]{1,255}$/), fc.stringMatching(/^[+=]{1,255}$/)),
      protocol: fc.constantFrom('SMTP' as const, 'ESMTP' as const),
    },
    { noNullPrototype: true },
  )
  const names = new Set(['NAME', 'ADDR', 'PORT', 'HELO', 'PROTO', 'OTHER'])
  fc.assert(
    fc.property(client, (attributes) => {
      const lines = formatAttributes('XCLIENT', attributes, names)
      let read = {}
      for (const line of lines) {
        assert.ok(line.length <= 512 && line.endsWith('\r\n'))
        read = { ...read, ...parseAttributes('XCLIENT', line.slice(8, -2)) }
      }
      // Of octets that need three each, a line may hold too few.
      const { hello } = attributes
      const isLong = hello.length + 2 * hello.replace(/[^+=]/g, '').length > 497
      assert.deepEqual(read, isLong ? { ...attributes, hello: undefined } : attributes)
    }),
  )
})

test('only what the other side takes is told, and nothing where it takes nothing', () => {
  const client = { address: '2001:db8::7', ident: '1-7' }
  assert.deepEqual(formatAttributes('XFORWARD', client, new Set(['ADDR', 'NAME', 'SOURCE'])), [
    'XFORWARD NAME=[UNAVAILABLE] ADDR=IPV6:2001:db8::7 SOURCE=REMOTE\r\n',
  ])
  assert.deepEqual(formatAttributes('XCLIENT', client, new Set(['IDENT', 'TTL'])), [])
})
