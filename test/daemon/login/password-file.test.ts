import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { test } from 'node:test'
import { MailmuxError } from '../../../src/base/error.ts'
import { readPasswords } from '../../../src/daemon/login/password-file.ts'
import { readHash } from '../../../src/daemon/login/hash-form.ts'
import { isPassword } from '../../../src/daemon/login/password-hash.ts'
import { PasswordThread } from '../../../src/daemon/login/password-thread.ts'

const naming = {
  domains: new Set(['example.com']),
  defaultDomain: 'example.com',
  recipientDelimiter: '+',
  foldCase: true,
}

/** As crypt(3) makes them. */
const crypt = (form: '-5' | '-6', password: string): string =>
  execFileSync('openssl', ['passwd', form, '-salt', 'abcdefgh', '-stdin'], {
    input: password,
  })
    .toString()
    .trim()

/** Of `password`: the reference vector of Argon2, and ones that Dovecot and htpasswd made. */
const known = {
  argon2id: '$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4',
  bcrypt: '$2y$05$bvIG6Nmid91Mu9RcmmWZfO5HJIMCT8riNW0hEp8f6/FuA2/mHZFpe',
}

test('hashes that others made are those of their password, and of no other', async () => {
  const umlaut = Buffer.from('pässwörd', 'utf8').toString('latin1')
  const cases: [string, string][] = [
    [crypt('-5', 'password'), 'password'],
    [crypt('-6', 'password'), 'password'],
    [crypt('-6', 'pässwörd'), umlaut],
    [known.argon2id, 'password'],
    [known.bcrypt, 'password'],
  ]
  for (const [hash, password] of cases) {
    assert.equal(readHash(hash), hash)
    assert.equal(await isPassword(hash, password), true, hash)
    for (const other of [`${password} `, 'Password', 'p', '\xff\xfe']) {
      assert.equal(await isPassword(hash, other), false, `${hash} ${other}`)
    }
  }
})

test('weak schemes, passwords in clear and damaged hashes are refused', () => {
  const six = crypt('-6', 'x')
  assert.equal(readHash(`{SHA512-CRYPT}${six}`), six)
  assert.equal(readHash(`{crypt}${six}`), six)
  for (const text of [
    'secret',
    '{PLAIN}secret',
    '{SSHA}xyz',
    '{SHA256-CRYPT}' + six,
    '{BLF-CRYPT}' + six,
    '$1$salt$qJH7.N4xYta3aEG/dfqo/0',
    'rl0uE0e2WKBek',
    six.slice(0, 20),
    '$2y$05$short',
    '$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$',
    '$6$rounds=1$abcdefgh$x',
  ]) {
    assert.equal(readHash(text), undefined, text)
  }
})

test('a passwd-file names users as logins do, and locks those without a hash', () => {
  const six = crypt('-6', 'x')
  const hashes = readPasswords(
    `# users\n\nann:${six}\r\nBob@Example.com:{SHA512-CRYPT}${six}:1000:1000::/home/bob::userdb_quota=1G\n` +
      `carol:!${six}\ndave::::\n`,
    '/etc/passwd',
    naming,
  )
  assert.deepEqual(
    [...hashes],
    [
      ['ann@example.com', six],
      ['bob@example.com', six],
      ['carol@example.com', ''],
      ['dave@example.com', ''],
    ],
  )
})

test('a line that can not be kept to is refused with its place, and no hash is told', () => {
  const six = crypt('-6', 'x')
  for (const [line, what] of [
    [`ann:${six}\nANN@example.com:${six}`, /^\/p:3: .*already$/],
    [`a*b:${six}`, /^\/p:2: the name/],
    ['ann:secret', /^\/p:2: no hash/],
    [`ann:${six}::::::nologin`, /^\/p:2: extra fields/],
    [`ann:${six}::::/home::allow_nets=10.0.0.0/8`, /^\/p:2: extra fields/],
  ] as const) {
    assert.throws(
      () => readPasswords(`# first\n${line}\n`, '/p', naming),
      (error) =>
        error instanceof MailmuxError &&
        error.code === 'SECRET_UNREADABLE' &&
        what.test(error.message) &&
        !error.message.includes('secret') &&
        !error.message.includes(six),
      line,
    )
  }
})

test('passwords are compared in a thread, several at a time, and a fault of one is no answer', async () => {
  const thread = new PasswordThread()
  const six = crypt('-6', 'x')
  assert.deepEqual(
    await Promise.all([
      thread.isPassword(six, 'x'),
      thread.isPassword(known.bcrypt, 'x'),
      thread.isPassword(known.argon2id.replace('m=256', 'm=1'), 'password'),
      thread.isPassword(known.argon2id, 'password'),
    ]),
    [true, false, undefined, true],
  )
})
