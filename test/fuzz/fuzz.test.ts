/** Parsers before and after the login, and inputs that nobody wrote: `script/fuzz` for many, and to keep them. */
import assert from 'node:assert/strict'
import { randomInt } from 'node:crypto'
import { test } from 'node:test'
import { ProxyHeaderReader, type ProxyRead } from '../../src/protocol/proxy-header.ts'
import { runs } from '../support/runs.ts'
import { backEnds } from './back-ends.ts'
import { checkedSession } from './checked-session.ts'
import { firstWords } from './client-hello.ts'
import { exchangeTargets } from './exchanges.ts'
import { explore, type Target } from './explore.ts'
import { imapFetches } from './fetches.ts'
import { frontEnds } from './front-ends.ts'
import { joinedTargets } from './joined.ts'

function readIn(chunks: readonly Buffer[]): { answer: ProxyRead | undefined; rest: Buffer } {
  const reader = new ProxyHeaderReader()
  for (const [index, chunk] of chunks.entries()) {
    const answer = reader.push(chunk)
    if (answer === undefined) continue
    const own = answer.kind === 'header' ? [answer.rest] : []
    return { answer, rest: Buffer.concat([...own, ...chunks.slice(index + 1)]) }
  }
  return { answer: undefined, rest: Buffer.alloc(0) }
}

const binary = '\r\n\r\n\0\r\nQUIT\n'
const proxyHeader: Target = {
  name: 'proxy-header',
  words: ['PROXY ', 'TCP4 ', 'TCP6 ', 'UNKNOWN', '192.0.2.7 ', '2001:db8::7 ', '25 ', '4242\r\n'],
  seeds: [
    'PROXY TCP4 192.0.2.7 198.51.100.1 40123 25\r\nEHLO x\r\n',
    'PROXY TCP6 2001:db8::7 ::1 40123 25\r\n',
    'PROXY UNKNOWN\r\n',
    `${binary}!\x11\0\x0c\xc0\0\x02\x07\xc6\x33\x64\x01\x9c\xbb\0\x19rest`,
    `${binary}!\x11\0\x13\xc0\0\x02\x07\xc6\x33\x64\x01\x9c\xbb\0\x19\x03\0\x04\0\0\0\0rest`,
    `${binary}!\x21\0\x24${'\0'.repeat(36)}`,
    `${binary}\x20\0\0\0`,
  ],
  play: (input) => {
    const bytes = Buffer.from(input, 'latin1')
    const whole = readIn([bytes])
    const cut = readIn(Array.from(bytes, (byte) => Buffer.of(byte)))
    assert.equal(cut.answer?.kind, whole.answer?.kind)
    const { answer } = whole
    if (answer?.kind !== 'header') return [answer?.fault ?? 'more']
    assert.ok(cut.answer?.kind === 'header')
    assert.deepEqual(cut.answer.header, answer.header)
    assert.deepEqual(cut.rest, whole.rest)
    return [answer.header.kind, input.startsWith('P') ? 'text' : 'binary']
  },
}

const seed = Number(process.env['SEED'] ?? randomInt(2 ** 32))
const keeps = process.env['FUZZ_KEEP'] === '1'

const targets = [
  ...frontEnds,
  ...backEnds,
  proxyHeader,
  ...joinedTargets,
  imapFetches,
  ...exchangeTargets,
  checkedSession,
  firstWords,
]

for (const target of targets) {
  test(`${target.name}: whatever comes, what is promised is kept`, () => {
    explore(target, { runs: runs(500).numRuns, seed, keeps })
  })
}
