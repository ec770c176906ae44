import assert from 'node:assert/strict'
import { test } from 'node:test'
import { nearest } from '../../src/base/nearest.ts'
import { parseDurationMs, parseListenAddress, parseSizeBytes } from '../../src/config/unit.ts'

test('durations have units', () => {
  const cases = [
    ['250ms', 250],
    ['30s', 30_000],
    ['5 m', 300_000],
    ['2h', 7_200_000],
    ['1d', 86_400_000],
  ] as const
  for (const [text, milliseconds] of cases) assert.equal(parseDurationMs(text), milliseconds, text)
})

test('sizes are bytes or have units', () => {
  const cases = [
    [1024, 1024],
    ['10B', 10],
    ['50MiB', 52_428_800],
    ['1 GB', 1_000_000_000],
    ['8k', 8192],
  ] as const
  for (const [text, bytes] of cases) assert.equal(parseSizeBytes(text), bytes, String(text))
})

test('an address to listen on is host and port, or a port', () => {
  const cases = [
    ['[::]:25', { host: '::', port: 25 }],
    ['127.0.0.1:0', { host: '127.0.0.1', port: 0 }],
    ['localhost:143', { host: 'localhost', port: 143 }],
    ['110', { host: '::', port: 110 }],
    ['::1:25', undefined],
    ['host', undefined],
    ['host:70000', undefined],
    ['', undefined],
  ] as const
  for (const [text, address] of cases) assert.deepEqual(parseListenAddress(text), address, text)
})

test('the nearest word is one within reach', () => {
  assert.equal(
    nearest('recipient_delimeter', ['hostname', 'recipient_delimiter']),
    'recipient_delimiter',
  )
  assert.equal(nearest('xyzzy', ['hostname', 'domains']), undefined)
})
