/** The first words of a TLS client as a target: each of its beginnings must be taken alike. */
import assert from 'node:assert/strict'
import { type ClientHello, readClientHello } from '../../src/net/direct/client-hello.ts'
import type { Target } from './explore.ts'

type Read = ClientHello | 'incomplete' | 'other'

/** RFC 8446 5.1, with the header of a record. */
const longestRecord = 16_384 + 5
/** Of what is read again with each octet. */
const longest = 400

function octets(text: string): Buffer {
  return Buffer.from(text, 'latin1')
}

/** As it is read when it comes in pieces of such a size: the first answer counts. */
function inPieces(bytes: Buffer, size: number): Read {
  for (let end = size; end < bytes.length; end += size) {
    const read = readClientHello(bytes.subarray(0, end))
    if (read !== 'incomplete') return read
  }
  return readClientHello(bytes)
}

function play(input: string): readonly string[] {
  const bytes = octets(input)
  const read = readClientHello(bytes)
  for (const size of [bytes.length < longest ? 1 : 97, 61, 1460]) {
    assert.deepEqual(inPieces(bytes, size), read, 'in whatever pieces')
  }
  // No more is waited for than one record.
  if (read === 'incomplete') assert.ok(bytes.length < longestRecord)
  if (typeof read === 'string') return [read, String(bytes.length > 5)]
  assert.match(read.serverName, /^[!-~]{0,255}$/)
  assert.ok(input.includes(read.serverName), 'nothing but what it has said')
  return ['hello', String(read.serverName !== ''), String(read.offersProtocols)]
}

/** Two octets of a number. */
function number(value: number): string {
  return String.fromCharCode(value >> 8, value & 255)
}

function vector(text: string): string {
  return number(text.length) + text
}

function extension(type: number, content: string): string {
  return number(type) + vector(content)
}

function serverName(name: string, type = 0): string {
  return extension(0, vector(String.fromCharCode(type) + vector(name)))
}

/** `extensions`: undefined where there are none at all, as in old clients. */
function hello(extensions: string | undefined): string {
  const fields = `\x03\x03${'r'.repeat(32)}\x02id${vector('\x13\x01\x13\x02')}\x01\0`
  const message = `\x03${fields}${extensions === undefined ? '' : vector(extensions)}`.slice(1)
  return `\x16\x03\x01${vector(`\x01\0${vector(message)}`)}`
}

const protocols = extension(16, vector('\x04imap'))

export const firstWords: Target = {
  name: 'client-hello',
  words: [
    '\x16\x03\x01',
    '\x01\0',
    '\0\0',
    '\0\x10',
    '\0\x01',
    '\xff\xff',
    '\0',
    '\x01',
    'mx1.example.com',
    '\r\n',
    'x'.repeat(256),
    protocols,
    serverName('mx1.example.com'),
  ],
  seeds: [
    hello(serverName('mx1.example.com') + protocols),
    hello(protocols + serverName('\x01\x02', 3) + serverName('a'.repeat(255))),
    hello(serverName('a'.repeat(256))),
    hello(serverName('../x\\\0')),
    hello(''),
    hello(undefined),
    'a1 LOGIN ann secret\r\n',
    `${hello('')}${hello('')}`,
  ],
  play,
}
