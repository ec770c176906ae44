import assert from 'node:assert/strict'
import { test } from 'node:test'
import { OutsideDoor } from '../../src/backend/outside-door.ts'
import { parseSource, readCredentials } from '../../src/migrate/outside-source.ts'

const naming = {
  domains: new Set(['example.com']),
  defaultDomain: 'example.com',
  recipientDelimiter: '+',
  foldCase: true,
}
const limits = { connectTimeoutMs: 1, loginTimeoutMs: 1 } as never

test('a source is a host, with TLS from the beginning or by STARTTLS, never without', () => {
  assert.deepEqual(parseSource('imaps://imap.example.net'), {
    host: 'imap.example.net',
    port: 993,
    tls: 'implicit',
  })
  assert.deepEqual(parseSource('imap://[::1]:1143/'), { host: '::1', port: 1143, tls: 'starttls' })
  for (const text of [
    'imap.example.net',
    'https://imap.example.net',
    'imaps://ann:secret@imap.example.net',
    'imaps://imap.example.net/INBOX',
    'imaps://imap.example.net?tls=none',
    'imaps://',
  ]) {
    assert.throws(() => parseSource(text), { code: 'USAGE' }, text)
  }
})

test('credentials are read by line, the secret up to its end', () => {
  const text = '# old\nANN  ann@old  password correct horse \r\n\nbob@example.com bob token x.y==\n'
  const { users, secrets } = readCredentials(text, 'file', naming)
  assert.deepEqual(users, [
    { user: 'ann@example.com', sourceLogin: 'ann@old', targetLogin: 'ann@example.com' },
    { user: 'bob@example.com', sourceLogin: 'bob', targetLogin: 'bob@example.com' },
  ])
  assert.deepEqual(secrets.get('ann@old'), { kind: 'password', secret: 'correct horse ' })
  assert.deepEqual(secrets.get('bob'), { kind: 'token', secret: 'x.y==' })
})

for (const line of ['ann ann@old secret', 'ann password secret', 'a@b@c x password secret']) {
  test(`of a line like “${line}” only its place is told`, () => {
    assert.throws(
      () => readCredentials(`# x\n${line}\n`, 'file', naming),
      (error: Error) =>
        error.message.startsWith('file:2: write ') && !error.message.includes('secret'),
    )
  })
}

test('a password logs in as it is, and a token by OAUTHBEARER', () => {
  const secrets = new Map([
    ['ann', { kind: 'password', secret: 'ü' }],
    ['b=o,b', { kind: 'token', secret: 'x.y' }],
  ] as const)
  const door = new OutsideDoor({ host: 'h', port: 143, tls: 'none' }, limits, secrets)
  assert.deepEqual(door.accessTo('ann').proof, { login: 'ann', password: '\xc3\xbc' })
  assert.deepEqual(door.accessTo('b=o,b').proof, {
    mechanism: 'OAUTHBEARER',
    login: 'b=o,b',
    first: 'n,a=b=3Do=2Cb,\u0001auth=Bearer x.y\u0001\u0001',
  })
})
