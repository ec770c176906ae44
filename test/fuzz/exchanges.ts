/** SASL as targets: what clients say until we know who they are, and exchanges that are carried. */
import assert from 'node:assert/strict'
import { decodeBase64, encodeBase64, readPlain, writePlain } from '../../src/protocol/sasl.ts'
import { type DialogueStep, SaslDialogue } from '../../src/protocol/sasl/dialogue.ts'
import {
  type Exchange,
  ExchangeWatch,
  firstFor,
  readExchange,
} from '../../src/protocol/sasl/exchange.ts'
import { allMechanisms, givesPassword } from '../../src/protocol/sasl/mechanism.ts'
import { writeServerFirst } from '../../src/protocol/sasl/scram.ts'
import type { Target } from './explore.ts'
import { pause } from './front-ends.ts'

const isName = /^[^\p{Cc}]+$/u
const another = 'other,=é@example.com'

/** Nobody but who was named may be logged in, under that name or under the one we know it by. */
function checkExchange(exchange: Exchange): void {
  const { mechanism, login, first } = exchange
  assert.match(login.replace(/[\x80-\x9f]/g, ''), isName)
  const read = readExchange(mechanism, firstFor(exchange))
  assert.deepEqual(read, { kind: 'exchange', exchange: { ...exchange, first: firstFor(exchange) } })
  const renamed = firstFor({ ...exchange, login: another })
  if (mechanism.startsWith('SCRAM')) {
    assert.equal(renamed, first)
    return
  }
  const other = readExchange(mechanism, renamed)
  assert.ok(other.kind === 'exchange')
  assert.equal(other.exchange.login, another)
  assert.equal(behindName(renamed), behindName(first), 'the token and its words as they were')
}

function behindName(message: string): string {
  return message.slice(message.indexOf('\x01'))
}

/** What is seen of it. */
function checkStep(step: DialogueStep): string {
  switch (step.kind) {
    case 'credentials': {
      const { login, password } = step.credentials
      assert.match(login.replace(/[\x80-\x9f]/g, ''), isName)
      assert.match(password, /^[^\0\r\n]+$/)
      assert.deepEqual(readPlain(writePlain(step.credentials)), step, 'it is read as it is written')
      return step.kind
    }
    case 'exchange':
      checkExchange(step.exchange)
      return `${step.kind} ${step.exchange.mechanism}`
    case 'claim':
      if (step.login !== '') assert.match(step.login.replace(/[\x80-\x9f]/g, ''), isName)
      return `${step.kind} ${step.login !== ''}`
    case 'unusable':
      return `${step.kind} ${step.hasControl}`
    default:
      return step.kind
  }
}

/** The first octet says which mechanism; what follows are lines, in base64 or, after `!`, not yet. */
function playDialogue(input: string): readonly string[] {
  const mechanism = allMechanisms[(input.charCodeAt(0) || 0) % allMechanisms.length] ?? 'PLAIN'
  const dialogue = new SaslDialogue(mechanism)
  const seen: string[] = [mechanism]
  for (const line of input.slice(1).split(pause)) {
    const said = line.startsWith('!') ? encodeBase64(line.slice(1)) : line
    const step = dialogue.answer(said)
    if (decodeBase64(said) === undefined && !(mechanism === 'EXTERNAL' && said === '=')) {
      assert.equal(step.kind, 'malformed')
    }
    if (step.kind === 'credentials') assert.ok(givesPassword(mechanism))
    seen.push(checkStep(step))
    if (step.kind !== 'ask') break
  }
  return seen
}

const beginnings: readonly Exchange[] = (
  [
    ['SCRAM-SHA-256', 'n,,n=ann,r=client'],
    ['SCRAM-SHA-1', 'y,a=ann,n=ann,r=client'],
    ['OAUTHBEARER', 'n,a=ann,\x01auth=Bearer ttt\x01\x01'],
    ['XOAUTH2', 'user=ann\x01auth=Bearer ttt\x01\x01'],
  ] as const
).map(([mechanism, first]) => ({ mechanism, first, login: 'ann' }))

/**
 * An exchange, of which the first octet says which it is, and each turn who speaks: `s` the server, and
 * else the client. A wrong word ends it.
 */
function playExchange(input: string): readonly string[] {
  const exchange = beginnings[(input.charCodeAt(0) || 0) % beginnings.length]
  assert.ok(exchange !== undefined)
  const isScram = exchange.mechanism.startsWith('SCRAM')
  const watch = new ExchangeWatch(exchange)
  const seen: string[] = [exchange.mechanism]
  let passed = ''
  for (const turn of input.slice(1).split(pause)) {
    const [isServer, message] = [turn.startsWith('s'), turn.slice(1)]
    // A login is over where all was said that there is to say, in order, and nothing else.
    const isDone = isScram ? passed === 'scsc' : passed === ''
    assert.equal(watch.mayAccept, isDone)
    const verdict = isServer ? watch.challenge(message) : watch.response(message)
    if (verdict !== 'pass' && verdict !== true) {
      seen.push(`${isServer} ${verdict}`)
      break
    }
    passed += isServer ? 's' : 'c'
    if (isScram) checkScram(watch, passed, message)
    seen.push(passed.slice(-4))
  }
  assert.ok(isScram ? 'scsc'.startsWith(passed) : /^(?:sc*)?$/.test(passed), passed)
  return seen
}

function checkScram(watch: ExchangeWatch, passed: string, message: string): void {
  const { serverFirst } = watch
  assert.ok(serverFirst !== undefined)
  if (passed === 's') {
    assert.ok(serverFirst.nonce.startsWith('client') && serverFirst.iterations > 0)
    // Read alike by everybody: what comes of it, with what was read alone in it, is its beginning.
    const own = new ExchangeWatch({
      mechanism: 'SCRAM-SHA-1',
      first: 'n,,n=x,r=client',
      login: 'x',
    })
    assert.equal(own.challenge(writeServerFirst(serverFirst)), 'pass')
    assert.deepEqual(own.serverFirst, serverFirst)
    assert.ok(message.startsWith(writeServerFirst(serverFirst)))
  }
  if (passed === 'sc') assert.ok(message.includes(`,r=${serverFirst.nonce},`))
  if (passed === 'scs') assert.match(message, /^v=[A-Za-z0-9+/]+=*(?:,|$)/)
  if (passed === 'scsc') assert.equal(message, '')
}

const words: readonly string[] = [
  pause,
  '!',
  '=',
  '*',
  '\0',
  '\r\n',
  '\x01',
  ',',
  'AGFubgBzZWNyZXQ=',
  'YW5u',
  '\xc3\xa9',
  '\xc3',
  'n,',
  'y,',
  'p=tls-exporter,',
  'a=ann,',
  'n=ann',
  ',r=client',
  '=2C',
  '=3D',
  'user=ann',
  'auth=Bearer ttt',
  'host=x\x01',
  's',
  'c',
  'sr=clientX,s=AAAA,i=4096',
  'cc=biws,r=clientX,p=AAAA',
  'cc=eSxhPWFubiw=,r=clientX,p=AAAA',
  'sv=AAAA',
  'se=other-error',
  ',x=y',
  's{"status":"401"}',
]

export const exchangeTargets: readonly Target[] = [
  {
    name: 'sasl-dialogue',
    words,
    seeds: [
      '\x00AGFubgBzZWNyZXQ=',
      '\x00!ann\0ann\0secret',
      `\x01YW5u${pause}c2VjcmV0`,
      '\x02!n,,n=ann,r=client',
      '\x03!y,a=Ann,n=ann,r=client,x=y',
      '\x04!n,a=ann,\x01host=x\x01auth=Bearer ttt\x01\x01',
      '\x05!user=ann\x01auth=Bearer ttt\x01\x01',
      '\x06=',
      '\x06!ann@example.com',
    ],
    play: playDialogue,
  },
  {
    name: 'sasl-exchange',
    words,
    seeds: [
      `\x00sr=clientX,s=AAAA,i=4096${pause}cc=biws,r=clientX,p=AAAA${pause}sv=AAAA${pause}c${pause}s`,
      `\x01sr=clientX,s=AAAA,i=1,x=y${pause}cc=eSxhPWFubiw=,r=clientX,x=y,p=AAAA${pause}se=no`,
      `\x02s{"status":"401"}${pause}c\x01${pause}s`,
      '\x03c',
    ],
    play: playExchange,
  },
]
