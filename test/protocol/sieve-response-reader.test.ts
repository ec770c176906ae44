import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { ResponseReader } from '../../src/protocol/sieve/response-reader.ts'

const said =
  '"a" ACTIVE\r\n"b"\r\nOK\r\n{10}\r\nOK\r\n"x"\r\nx\r\nOK (WARNINGS) {3}\r\na\r\n\r\nNO "no"\r\n'
const text = (value: string) => ({ kind: 'string', text: value })
const word = (value: string) => ({ kind: 'atom', text: value })

function read(chunks: readonly Buffer[]): unknown[] {
  const reader = new ResponseReader()
  return chunks
    .flatMap((chunk) => reader.push(chunk))
    .map((one) => (one.kind === 'response' ? one.tokens : one.kind))
}

test('a response is a line, or lines with literals between them, whatever is in those', () => {
  assert.deepEqual(read([Buffer.from(said)]), [
    [text('a'), word('ACTIVE')],
    [text('b')],
    [word('OK')],
    [text('OK\r\n"x"\r\nx')],
    [word('OK'), { kind: 'open' }, word('WARNINGS'), { kind: 'close' }, text('a\r\n')],
    [word('NO'), text('no')],
  ])
})

test('however the bytes come, the responses are the same', () => {
  const whole = read([Buffer.from(said)])
  fc.assert(
    fc.property(fc.nat(said.length), fc.nat(said.length), (one, other) => {
      const [first, second] = [Math.min(one, other), Math.max(one, other)]
      const parts = [said.slice(0, first), said.slice(first, second), said.slice(second)]
      assert.deepEqual(read(parts.map((part) => Buffer.from(part))), whole)
    }),
  )
})

test('after what is no response, nothing is read', () => {
  assert.deepEqual(read([Buffer.from('"a\r\nOK\r\n')]), ['malformed'])
  assert.deepEqual(read([Buffer.from('{99999999999}\r\n'), Buffer.from('OK\r\n')]), ['malformed'])
})
