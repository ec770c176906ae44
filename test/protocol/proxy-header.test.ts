import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { canonicalHost } from '../../src/mail/network.ts'
import { crc32c } from '../../src/protocol/crc32c.ts'
import {
  formatProxyHeader,
  type ProxyHeader,
  ProxyHeaderReader,
  type ProxyRead,
} from '../../src/protocol/proxy-header.ts'
import { runs } from '../support/runs.ts'

const signature = Buffer.from('0d0a0d0a000d0a515549540a', 'hex')

function binary(command: number, family: number, ...parts: readonly (Buffer | string)[]): Buffer {
  const body = Buffer.concat(
    parts.map((part) => (typeof part === 'string' ? Buffer.from(part, 'hex') : part)),
  )
  const length = Buffer.alloc(2)
  length.writeUInt16BE(body.length)
  return Buffer.concat([signature, Buffer.from([command, family]), length, body])
}

function attribute(type: number, value: Buffer): Buffer {
  const head = Buffer.from([type, 0, 0])
  head.writeUInt16BE(value.length, 1)
  return Buffer.concat([head, value])
}

const ends4 = 'c0000207c63364011f900019'
const zeros = '00'.repeat(11)
const ends6 = `20010db8${zeros}0720010db8${zeros}011f900019`

function checked(wrong = 0): Buffer {
  const plain = binary(
    0x21,
    0x11,
    ends4,
    attribute(2, Buffer.from('mx')),
    attribute(3, Buffer.alloc(4)),
  )
  plain.writeUInt32BE((crc32c(plain) ^ wrong) >>> 0, plain.length - 4)
  return plain
}

/** Reads it in pieces; `rest` as text. */
function read(
  bytes: Buffer,
  cuts: readonly number[] = [],
): { answer: ProxyRead | undefined; used: number } {
  const reader = new ProxyHeaderReader()
  const at = [0, ...[...cuts].sort((a, b) => a - b), bytes.length]
  for (let index = 1; index < at.length; index++) {
    const answer = reader.push(bytes.subarray(at[index - 1], at[index]))
    if (answer !== undefined) return { answer, used: at[index] ?? 0 }
  }
  return { answer: undefined, used: bytes.length }
}

const ends = {
  kind: 'proxied',
  source: { address: '192.0.2.7', port: 8080 },
  destination: { address: '198.51.100.1', port: 25 },
} as const
const longEnds = {
  kind: 'proxied',
  source: { address: '2001:db8::7', port: 8080 },
  destination: { address: '2001:db8::1', port: 25 },
} as const

const valid: readonly [what: string, bytes: Buffer | string, header: ProxyHeader][] = [
  ['version 1, IPv4', 'PROXY TCP4 192.0.2.7 198.51.100.1 8080 25\r\n', ends],
  ['version 1, IPv6', 'PROXY TCP6 2001:DB8::7 2001:db8:0::1 8080 25\r\n', longEnds],
  ['version 1, IPv4 in IPv6', 'PROXY TCP6 ::ffff:192.0.2.7 ::ffff:198.51.100.1 8080 25\r\n', ends],
  ['version 1, unknown', 'PROXY UNKNOWN\r\n', { kind: 'unknown' }],
  [
    'version 1, unknown with more',
    'PROXY UNKNOWN ffff:f::1 ::2 65535 65535\r\n',
    { kind: 'unknown' },
  ],
  ['version 2, IPv4', binary(0x21, 0x11, ends4), ends],
  ['version 2, IPv6', binary(0x21, 0x21, ends6), longEnds],
  ['version 2, local', binary(0x20, 0x00), { kind: 'local' }],
  ['version 2, local with addresses', binary(0x20, 0x11, ends4), { kind: 'local' }],
  ['version 2, unspecified', binary(0x21, 0x00), { kind: 'unknown' }],
  ['version 2, a Unix socket', binary(0x21, 0x31, Buffer.alloc(216)), { kind: 'unknown' }],
  [
    'version 2, attributes',
    binary(0x21, 0x11, ends4, attribute(4, Buffer.alloc(9)), attribute(5, Buffer.from('id'))),
    ends,
  ],
  ['version 2, a right checksum', checked(), ends],
  [
    'version 2, all that is allowed',
    binary(0x21, 0x11, ends4, attribute(4, Buffer.alloc(4081))),
    ends,
  ],
]

for (const [what, bytes, header] of valid) {
  test(`${what}: is read, and what follows is left`, () => {
    const { answer } = read(Buffer.concat([Buffer.from(bytes), Buffer.from('EHLO x\r\n')]))
    assert.ok(answer?.kind === 'header', JSON.stringify(answer))
    assert.deepEqual(answer.header, header)
    assert.equal(answer.rest.toString(), 'EHLO x\r\n')
  })
}

const invalid: readonly [what: string, bytes: Buffer | string, fault: string][] = [
  ['a client speaks at once', 'EHLO x\r\n', 'no_header'],
  ['TLS begins at once', Buffer.from('16030100', 'hex'), 'no_header'],
  ['another word', 'PROXXY TCP4', 'no_header'],
  ['lower case', 'proxy TCP4 1.2.3.4 1.2.3.4 1 1\r\n', 'no_header'],
  ['no family', 'PROXY \r\n', 'bad_syntax'],
  ['another family', 'PROXY UDP4 1.2.3.4 1.2.3.4 1 1\r\n', 'bad_syntax'],
  ['IPv6 as IPv4', 'PROXY TCP4 ::1 ::1 1 1\r\n', 'bad_syntax'],
  ['IPv4 as IPv6', 'PROXY TCP6 1.2.3.4 1.2.3.4 1 1\r\n', 'bad_syntax'],
  ['a name', 'PROXY TCP4 localhost 1.2.3.4 1 1\r\n', 'bad_syntax'],
  ['zeros before', 'PROXY TCP4 1.2.3.4 1.2.3.4 01 1\r\n', 'bad_syntax'],
  ['a port too high', 'PROXY TCP4 1.2.3.4 1.2.3.4 1 65536\r\n', 'bad_syntax'],
  ['two blanks', 'PROXY TCP4  1.2.3.4 1.2.3.4 1 1\r\n', 'bad_syntax'],
  ['a word more', 'PROXY TCP4 1.2.3.4 1.2.3.4 1 1 x\r\n', 'bad_syntax'],
  ['a bare LF', 'PROXY TCP4 1.2.3.4 1.2.3.4 1 1\n', 'bad_syntax'],
  ['NUL', 'PROXY UNKNOWN \0\r\n', 'bad_syntax'],
  ['107 octets without an end', `PROXY UNKNOWN ${'f'.repeat(93)}`, 'too_long'],
  ['another version', binary(0x11, 0x11, ends4), 'bad_syntax'],
  ['another command', binary(0x22, 0x11, ends4), 'bad_syntax'],
  ['UDP', binary(0x21, 0x12, ends4), 'bad_syntax'],
  ['too short for its family', binary(0x21, 0x21, ends4), 'bad_syntax'],
  ['half an attribute', binary(0x21, 0x11, ends4, '0400'), 'bad_syntax'],
  ['an attribute beyond the end', binary(0x21, 0x11, ends4, '04000501'), 'bad_syntax'],
  ['a wrong checksum', checked(1), 'bad_checksum'],
  ['a short checksum', binary(0x21, 0x11, ends4, attribute(3, Buffer.alloc(2))), 'bad_syntax'],
  ['more than is allowed', binary(0x21, 0x11, ends4, attribute(4, Buffer.alloc(4082))), 'too_long'],
  ['a length of 65535', Buffer.concat([signature, Buffer.from('2111ffff', 'hex')]), 'too_long'],
]

for (const [what, bytes, fault] of invalid) {
  test(`${what}: is a fault`, () => {
    const { answer } = read(Buffer.from(bytes))
    assert.deepEqual(answer, { kind: 'fault', fault })
  })
}

test('a header that has not all come is waited for', () => {
  for (const [, bytes] of valid) {
    const whole = Buffer.from(bytes)
    for (let length = 1; length < whole.length; length++) {
      assert.equal(read(whole.subarray(0, length)).answer, undefined)
    }
  }
})

test('any chunking gives the same header', () => {
  const all = [...valid, ...invalid].map(([, bytes]) =>
    Buffer.concat([Buffer.from(bytes), Buffer.from('x')]),
  )
  fc.assert(
    fc.property(
      fc.constantFrom(...all),
      fc.array(fc.nat(4200), { maxLength: 6 }),
      (bytes, cuts) => {
        const inside = cuts.filter((at) => at <= bytes.length)
        const whole = read(bytes).answer
        const { answer, used } = read(bytes, inside)
        assert.equal(answer?.kind, whole?.kind)
        if (answer?.kind === 'header' && whole?.kind === 'header') {
          assert.deepEqual(answer.header, whole.header)
          const rest = Buffer.concat([answer.rest, bytes.subarray(used)])
          assert.deepEqual(rest, whole.rest)
        } else assert.deepEqual(answer, whole)
      },
    ),
    runs(1000),
  )
})

test('no octets make the reader throw or keep more than a header', () => {
  const start = fc.constantFrom(Buffer.alloc(0), Buffer.from('PROXY TCP4 '), signature)
  fc.assert(
    fc.property(start, fc.array(fc.uint8Array({ maxLength: 300 })), (first, chunks) => {
      const reader = new ProxyHeaderReader()
      let answer = first.length > 0 ? reader.push(first) : undefined
      for (const chunk of chunks) answer ??= reader.push(Buffer.from(chunk))
      if (answer?.kind === 'header') assert.ok(answer.rest.length <= 300)
    }),
    runs(2000),
  )
})

test('what is written is what is read', () => {
  const host = fc.record(
    {
      address: fc.oneof(fc.ipV4(), fc.ipV6()).map((text) => canonicalHost(text) ?? '::'),
      port: fc.nat(65_535),
    },
    { noNullPrototype: true },
  )
  fc.assert(
    fc.property(
      fc.constantFrom(1 as const, 2 as const),
      host,
      host,
      (version, source, destination) => {
        const header = { kind: 'proxied', source, destination } as const
        const { answer } = read(formatProxyHeader(version, header))
        assert.deepEqual(answer, { kind: 'header', header, rest: Buffer.alloc(0) })
      },
    ),
  )
  for (const version of [1, 2] as const) {
    const { answer } = read(formatProxyHeader(version, { kind: 'unknown' }))
    assert.ok(answer?.kind === 'header' && answer.header.kind === 'unknown')
  }
  const { answer } = read(formatProxyHeader(2, { kind: 'local' }))
  assert.ok(answer?.kind === 'header' && answer.header.kind === 'local')
})

test('the checksum is that of RFC 9260', () => {
  assert.equal(crc32c(Buffer.from('123456789')), 0xe3069283)
})
