import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { formatAddress, makeAddress, type Naming, parseAddress } from '../../src/mail/address.ts'
import { canonicalDomain } from '../../src/mail/domain.ts'
import { parseLogin } from '../../src/mail/login-name.ts'
import { runs } from '../support/runs.ts'

const naming: Naming = {
  domains: new Set(['example.com', 'xn--bcher-kva.example']),
  defaultDomain: 'example.com',
  recipientDelimiter: '+',
  foldCase: true,
}

const valid: readonly [text: string, key: string, detail?: string][] = [
  ['ann@example.com', 'ann@example.com'],
  ['ann', 'ann@example.com'],
  ['ANN@EXAMPLE.COM', 'ann@example.com'],
  ['ann@example.com.', 'ann@example.com'],
  ['ann+news@example.com', 'ann@example.com', 'news'],
  ['ann+News+More@example.com', 'ann@example.com', 'news+more'],
  ['ann+@example.com', 'ann@example.com', ''],
  ['ann+../../etc@example.com', 'ann@example.com', '../../etc'],
  ['+ann@example.com', '+ann@example.com'],
  ['++ann@example.com', '+@example.com', 'ann'],
  ['two words@example.com', 'two words@example.com'],
  ['ann%example.com@example.com', 'ann%example.com@example.com'],
  ['ann@bücher.example', 'ann@xn--bcher-kva.example'],
  ['ann@BÜCHER.example', 'ann@xn--bcher-kva.example'],
  ['ann@xn--bcher-kva.example', 'ann@xn--bcher-kva.example'],
  ['ann@XN--BCHER-KVA.example', 'ann@xn--bcher-kva.example'],
  ['ann@example。com', 'ann@example.com'],
  ['ann@ｅｘａｍｐｌｅ.com', 'ann@example.com'],
  ['jos\u00e9@example.com', 'jos\u00e9@example.com'],
  ['jose\u0301@example.com', 'jos\u00e9@example.com'],
  ['ﬁn@example.com', 'ﬁn@example.com'],
  ['ſam@example.com', 'ſam@example.com'],
  ['İ@example.com', 'İ@example.com'],
  ['É@example.com', 'É@example.com'],
  ['ɑdmin@example.com', 'ɑdmin@example.com'],
  ['a\u200db@example.com', 'a\u200db@example.com'],
  ['__proto__', '__proto__@example.com'],
  ['constructor@example.com', 'constructor@example.com'],
  ['ann＠example.com', 'ann＠example.com@example.com'],
]

for (const [text, key, detail] of valid) {
  test(`${JSON.stringify(text)} is ${key}`, () => {
    const address = parseAddress(text, naming)
    assert.equal(address?.key, key)
    assert.equal(address?.detail, detail)
  })
}

const invalid = [
  '',
  '@',
  '@example.com',
  'ann@',
  'ann@.',
  'ann@@example.com',
  'ann@b@example.com',
  'ann@example..com',
  'ann@.example.com',
  'ann@example.com..',
  'ann@[127.0.0.1]',
  'ann@[IPv6:::1]',
  'ann@example.com ',
  'ann@ example.com',
  'ann@-example.com',
  'ann@exa mple.com',
  'ann@example.com\0.elsewhere.example',
  'ann\0@example.com',
  'ann\r\n@example.com',
  'ann\x7f@example.com',
  '\ud800@example.com',
  `ann@${'a'.repeat(64)}.com`,
  `ann@${'a.'.repeat(130)}com`,
  'ann@xn--\u00fc.com',
  'ann@a\u200db.example',
  'ann@\u202eexample.com',
]

for (const text of invalid) {
  test(`${JSON.stringify(text)} is no address`, () => {
    assert.equal(parseAddress(text, naming), undefined)
  })
}

test('a label of 63 bytes and a domain of 253 are accepted', () => {
  assert.ok(canonicalDomain(`${'a'.repeat(63)}.com`))
  const longest = `${'a'.repeat(61)}.`.repeat(4)
  assert.ok(canonicalDomain(`${longest}${'b'.repeat(253 - longest.length)}`))
  assert.equal(canonicalDomain(`${longest}${'b'.repeat(254 - longest.length)}`), undefined)
})

test('look-alikes stay different users', () => {
  const keys = ['fin', 'ﬁn', 'sam', 'ſam', 'i', 'İ', 'ı', 'admin', 'ɑdmin', 'a-b', 'a\u2010b'].map(
    (local) => parseAddress(local, naming)?.key,
  )
  assert.equal(new Set(keys).size, keys.length)
})

test('without fold_case the letters of a local part stay, those of a domain do not', () => {
  const strict = { ...naming, foldCase: false }
  assert.equal(parseAddress('Ann@Example.COM', strict)?.key, 'Ann@example.com')
})

test('without a delimiter there are no details; with a longer one, it divides as a whole', () => {
  assert.equal(parseAddress('ann+x', { ...naming, recipientDelimiter: '' })?.user, 'ann+x')
  const dashes = parseAddress('ann-b--x', { ...naming, recipientDelimiter: '--' })
  assert.deepEqual([dashes?.user, dashes?.detail], ['ann-b', 'x'])
})

const text = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 20 }),
  fc.string({ maxLength: 20 }),
  fc.constantFrom(...valid.map(([one]) => one)),
)

test('canonicalising twice is canonicalising once', () => {
  fc.assert(
    fc.property(text, text, (local, domain) => {
      const once = canonicalDomain(domain)
      if (once !== undefined) assert.equal(canonicalDomain(once), once)
      const address = makeAddress(local, 'example.com', naming)
      if (address === undefined) return
      const whole =
        address.detail === undefined ? address.user : `${address.user}+${address.detail}`
      const again = makeAddress(whole, address.domain, naming)
      assert.deepEqual([again?.key, again?.detail], [address.key, address.detail])
    }),
    runs(2000),
  )
})

test('what is sent on is what was looked up: the spelling as it came, the domain canonical', () => {
  const address = parseAddress('Ann+News@Example.COM.', naming)
  assert.ok(address)
  assert.equal(formatAddress(address.local, address.domain), 'Ann+News@example.com')
  assert.equal(formatAddress('two words', 'example.com'), '"two words"@example.com')
  assert.equal(formatAddress('a"b\\c', 'example.com'), String.raw`"a\"b\\c"@example.com`)
})

test('a login that is ambiguous is refused', () => {
  for (const login of [
    'ann*master',
    'DOMAIN\\ann',
    'ann ',
    ' ann',
    'ann@b@example.com',
    'ann@',
    '@x',
  ]) {
    assert.equal(parseLogin(login, naming), undefined, login)
  }
  assert.equal(parseLogin('a'.repeat(321), naming), undefined)
  assert.equal(parseLogin('Ann', naming)?.key, 'ann@example.com')
})
