/** The messages of SASL mechanisms that are carried between client and back-end. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Mechanism } from '../../src/config/config.ts'
import { saslNames } from '../../src/protocol/probe.ts'
import { type ExchangeMechanism, ExchangeWatch } from '../../src/protocol/sasl/exchange.ts'
import { firstFor, readExchange } from '../../src/protocol/sasl/exchange.ts'
import { readExternal } from '../../src/protocol/sasl/external.ts'
import { commonMechanisms } from '../../src/protocol/sasl/mechanism.ts'
import { ScramClient, ScramServer } from '../support/scram.ts'
import { runs } from '../support/runs.ts'

/** RFC 5802 section 5 and RFC 7677 section 3: user `user`, password `pencil`. */
const vectors = {
  'SCRAM-SHA-1': {
    clientFirst: 'n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL',
    serverFirst: 'r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096',
    clientFinal:
      'c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=',
    serverFinal: 'v=rmF9pqV8S7suAoZWja4dJRkFsKQ=',
  },
  'SCRAM-SHA-256': {
    clientFirst: 'n,,n=user,r=rOprNGfwEbeRWgbNEkqO',
    serverFirst:
      'r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096',
    clientFinal:
      'c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=',
    serverFinal: 'v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=',
  },
} as const
type Scram = keyof typeof vectors
const scrams = Object.keys(vectors) as Scram[]

function exchangeOf(mechanism: ExchangeMechanism, first: string) {
  const read = readExchange(mechanism, first)
  assert.ok(read.kind === 'exchange', JSON.stringify(first))
  return read.exchange
}

function isRead(mechanism: ExchangeMechanism, first: string): boolean {
  return readExchange(mechanism, first).kind === 'exchange'
}

for (const mechanism of scrams) {
  const { clientFirst, serverFirst, clientFinal, serverFinal } = vectors[mechanism]

  test(`${mechanism}: the example of its RFC passes, in its order alone`, () => {
    const exchange = exchangeOf(mechanism, clientFirst)
    assert.equal(exchange.login, 'user')
    assert.equal(firstFor({ ...exchange, login: 'another' }), clientFirst)
    const watch = new ExchangeWatch(exchange)
    assert.ok(watch.isFresh && !watch.mayAccept)
    assert.equal(watch.challenge(serverFirst), 'pass')
    assert.equal(watch.serverFirst?.iterations, 4096)
    assert.equal(watch.challenge(serverFirst), 'wrong')
    assert.ok(!watch.mayAccept)
    assert.ok(watch.response(clientFinal))
    assert.ok(!watch.mayAccept)
    assert.equal(watch.challenge(serverFinal), 'pass')
    assert.ok(!watch.mayAccept)
    assert.ok(watch.response(''))
    assert.ok(watch.mayAccept)
    assert.equal(watch.challenge(serverFinal), 'wrong')
  })

  test(`${mechanism}: the client and the server of the tests say what the RFC's say`, () => {
    const client = new ScramClient(mechanism, 'user', 'pencil', clientFirst.split('r=')[1])
    assert.equal(client.first, clientFirst)
    const [, nonce = '', salt = ''] = /^r=([^,]+),s=([^,]+)/.exec(serverFirst) ?? []
    const server = new ScramServer(mechanism, 'pencil', {
      nonce,
      salt: Buffer.from(salt, 'base64'),
    })
    assert.equal(server.answer(clientFirst), serverFirst)
    assert.equal(client.answer(serverFirst), clientFinal)
    assert.equal(server.finish(clientFinal), serverFinal)
  })
}

test('SCRAM: names of any kind, and who may be meant besides', () => {
  for (const [first, login] of [
    ['n,,n=ann,r=x', 'ann'],
    ['y,,n=ann@example.com,r=x,a=later', 'ann@example.com'],
    ['n,a=Ann,n=ann,r=x', 'ann'],
    ['n,,n=a=2Cb=3Dc,r=x', 'a,b=c'],
    ['n,,n=\xc3\xa9ric,r=x', 'éric'],
  ] as const) {
    assert.equal(exchangeOf('SCRAM-SHA-256', first).login, login)
  }
})

test('SCRAM: what a client may not say first', () => {
  for (const first of [
    'p=tls-unique,,n=ann,r=x',
    'p=tls-exporter,,n=ann,r=x',
    'n,a=bob,n=ann,r=x',
    'n,,m=ext,n=ann,r=x',
    'n,,n=,r=x',
    'n,,n=a=2cb,r=x',
    'n,,n=a=,r=x',
    'n,,n=ann,r=',
    'n,,n=ann,r=a b',
    'n,,n=ann,r=x\xc3\xa9',
    'n,,n=ann',
    'n,n=ann,r=x',
    'n,,n=a\0b,r=x',
    'n,,n=a\r\nb,r=x',
    'n,,n=\xc3,r=x',
    'n,,n=\xc0\x80,r=x',
    'n,,n=\xed\xa0\x80,r=x',
    'n,,n=ann,r=x,',
    ' n,,n=ann,r=x',
    '',
  ]) {
    assert.ok(!isRead('SCRAM-SHA-256', first), JSON.stringify(first))
  }
})

test('SCRAM: what a back-end may not say first', () => {
  for (const said of [
    'r=client,s=AAAA,i=4096',
    'r=another,s=AAAA,i=4096',
    'r=clientX,s=,i=4096',
    'r=clientX,s=AAA,i=4096',
    'r=clientX,s=AAAA,i=0',
    'r=clientX,s=AAAA,i=-1',
    'r=clientX,s=AAAA,i=9999999999',
    'r=clientX,s=AAAA',
    'm=x,r=clientX,s=AAAA,i=4096',
    'v=AAAA',
    '',
    '\0',
  ]) {
    const watch = new ExchangeWatch(exchangeOf('SCRAM-SHA-1', 'n,,n=ann,r=client'))
    assert.equal(watch.challenge(said), 'wrong', JSON.stringify(said))
    assert.ok(watch.isFresh)
  }
})

test('SCRAM: the last message belongs to the first two', () => {
  for (const [said, isFitting] of [
    ['c=biws,r=clientX,p=AAAA', true],
    ['c=biws,r=clientX,x=ext,p=AAAA', true],
    ['c=eSws,r=clientX,p=AAAA', false],
    ['c=cD10bHMtdW5pcXVlLCw=,r=clientX,p=AAAA', false],
    ['c=biws,r=client,p=AAAA', false],
    ['c=biws,r=clientY,p=AAAA', false],
    ['c=biws,r=clientX', false],
    ['c=biws,r=clientX,p=AAA', false],
    ['c=biws,r=clientX,p=AAAA,x=ext', false],
    ['', false],
  ] as const) {
    const watch = new ExchangeWatch(exchangeOf('SCRAM-SHA-1', 'n,,n=ann,r=client'))
    assert.equal(watch.challenge('r=clientX,s=AAAA,i=4096'), 'pass')
    assert.equal(watch.response(said), isFitting, said)
  }
})

test('SCRAM: an error is a refusal, at either step, and is not passed on', () => {
  const watch = new ExchangeWatch(exchangeOf('SCRAM-SHA-1', 'n,,n=ann,r=client'))
  assert.equal(watch.challenge('e=unknown-user'), 'refused')
  assert.ok(watch.isFresh)
  assert.equal(watch.challenge('r=clientX,s=AAAA,i=4096'), 'pass')
  assert.ok(watch.response('c=biws,r=clientX,p=AAAA'))
  assert.equal(watch.challenge('e=invalid-proof'), 'refused')
})

/** RFC 7628 section 4.1, with another token. */
const bearer =
  'n,a=user@example.com,\x01host=server.example.com\x01port=143\x01auth=Bearer vF9dft4qmT==\x01\x01'
const xoauth2 = 'user=user@example.com\x01auth=Bearer vF9dft4qmT==\x01\x01'

test('a token is found by its name, and reaches the back-end as it was', () => {
  const exchange = exchangeOf('OAUTHBEARER', bearer)
  assert.equal(exchange.login, 'user@example.com')
  assert.equal(firstFor(exchange), bearer)
  const renamed = firstFor({ ...exchange, login: 'a,b=é$&' })
  assert.equal(
    renamed,
    bearer.replace('user@example.com', () => 'a=2Cb=3D\xc3\xa9$&'),
  )
  assert.equal(exchangeOf('OAUTHBEARER', renamed).login, 'a,b=é$&')
  const other = exchangeOf('XOAUTH2', xoauth2)
  assert.equal(other.login, 'user@example.com')
  assert.equal(
    firstFor({ ...other, login: '$&' }),
    xoauth2.replace('user@example.com', () => '$&'),
  )
})

test('what is no token of anyone is not carried', () => {
  for (const first of [
    bearer.replace('a=user@example.com', ''),
    bearer.replace('n,', 'p=tls-unique,'),
    bearer.replace('Bearer', 'Basic'),
    bearer.replace('Bearer vF9dft4qmT==', 'Bearer '),
    bearer.slice(0, -1),
    bearer.replace('143', '14\r\n3'),
    bearer.replace('vF9', 'v\0F9'),
    bearer.replace('user@', 'us\ner@'),
    '',
    '\x01',
    xoauth2,
  ]) {
    assert.ok(!isRead('OAUTHBEARER', first), JSON.stringify(first))
  }
  for (const first of [xoauth2.replace('user@example.com', ''), xoauth2.slice(0, -1), bearer]) {
    assert.ok(!isRead('XOAUTH2', first), JSON.stringify(first))
  }
})

test('a token that was refused for a reason is not accepted after it', () => {
  const watch = new ExchangeWatch(exchangeOf('OAUTHBEARER', bearer))
  assert.ok(watch.mayAccept)
  assert.equal(watch.challenge('{"status":"invalid_token"}'), 'pass')
  assert.ok(!watch.mayAccept)
  assert.ok(watch.response('\x01'))
  assert.equal(watch.challenge('{}'), 'wrong')
  assert.ok(!watch.mayAccept)
})

test('whatever octets come first, reading them gives an answer, and a name without control', () => {
  const octets = fc
    .uint8Array({ maxLength: 60 })
    .map((bytes) => Buffer.from(bytes).toString('latin1'))
  const parts = fc.array(
    fc.oneof(
      octets,
      fc.constantFrom('n,', 'a=', ',', 'n=', 'r=x', 'user=', '\x01', 'auth=Bearer x'),
    ),
    { maxLength: 12 },
  )
  const mechanisms = ['SCRAM-SHA-1', 'SCRAM-SHA-256', 'OAUTHBEARER', 'XOAUTH2'] as const
  fc.assert(
    fc.property(parts, fc.constantFrom(...mechanisms), (pieces, mechanism) => {
      const read = readExchange(mechanism, pieces.join(''))
      const login = read.kind === 'exchange' ? read.exchange.login : 'none'
      assert.ok(login !== '' && !/[\p{Cc}--[\u{80}-\u{9f}]]/v.test(login), login)
    }),
    runs(2000),
  )
})

test('an exchange is offered where every back-end can carry it, and passwords always', () => {
  const all = ['PLAIN', 'SCRAM-SHA-256', 'OAUTHBEARER', 'X-OWN']
  for (const [backends, offered] of [
    [[], 'PLAIN LOGIN'],
    [[all], 'PLAIN LOGIN SCRAM-SHA-256 OAUTHBEARER'],
    [[all, all], 'PLAIN LOGIN SCRAM-SHA-256 OAUTHBEARER'],
    [[all, ['PLAIN', 'OAUTHBEARER']], 'PLAIN LOGIN OAUTHBEARER'],
    [[all, []], 'PLAIN LOGIN'],
    // A certificate is shown to us alone.
    [[['PLAIN', 'EXTERNAL']], 'PLAIN LOGIN'],
    // Its users could log in, but not from a client that can bind channels.
    [[[...all, 'SCRAM-SHA-256-PLUS']], 'PLAIN LOGIN OAUTHBEARER'],
  ] as const) {
    const names: readonly Mechanism[] = commonMechanisms(backends.map((list) => new Set(list)))
    assert.equal(names.join(' '), offered)
  }
})

test('EXTERNAL: a name or nothing, and no name that could become another', () => {
  for (const [message, login] of [
    ['', ''],
    ['ann@example.com', 'ann@example.com'],
    ['a\u00c3\u00b1n', 'a\u00f1n'],
  ] as const) {
    assert.deepEqual(readExternal(message), { kind: 'claim', login })
  }
  for (const [message, hasControl] of [
    ['ann\0', true],
    ['\0', true],
    ['ann\r\nx', true],
    ['a\u00ffn', false],
  ] as const) {
    assert.deepEqual(readExternal(message), { kind: 'unusable', hasControl })
  }
})

test('mechanisms are found among capabilities in the words of each protocol', () => {
  const imap = ['IMAP4rev1', 'AUTH=PLAIN', 'auth=scram-sha-256', 'AUTH=PLAIN', 'SASL-IR']
  assert.deepEqual(saslNames('imap', imap), ['PLAIN', 'SCRAM-SHA-256'])
  const pop3 = ['TOP', 'SASL PLAIN oauthbearer', 'USER']
  assert.deepEqual(saslNames('pop3', pop3), ['PLAIN', 'OAUTHBEARER'])
  assert.deepEqual(saslNames('sieve', ['SASL PLAIN login', 'SIEVE x']), ['PLAIN', 'LOGIN'])
  assert.deepEqual(saslNames('smtp', ['AUTH PLAIN LOGIN', 'SIZE']), ['PLAIN', 'LOGIN'])
})
