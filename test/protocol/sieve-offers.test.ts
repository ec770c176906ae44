import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { createSieveFrontEnd } from '../../src/protocol/sieve/front-end.ts'
import { commonOffers, leastOffers } from '../../src/protocol/sieve/offers.ts'

const full = ['SASL PLAIN', 'SIEVE fileinto reject enotify', 'NOTIFY mailto', 'VERSION 1.0']

function told(backends: readonly (readonly string[])[]): readonly string[] {
  const options = { hostname: 'mx', secure: true, offersTls: false, allowsCleartext: false }
  return createSieveFrontEnd(options, commonOffers(backends)).greeting.split('\r\n').slice(2, -2)
}

const cases: readonly [what: string, backends: readonly (readonly string[])[], told: string[]][] = [
  [
    'one back-end says it all',
    [full],
    ['"SIEVE" "fileinto reject enotify"', '"NOTIFY" "mailto"', '"VERSION" "1.0"'],
  ],
  [
    'what one of them lacks is not told',
    [full, ['SIEVE enotify fileinto vacation', 'NOTIFY xmpp mailto']],
    ['"SIEVE" "fileinto enotify"', '"NOTIFY" "mailto"'],
  ],
  [
    'without a common way to notify there is no extension for it',
    [full, ['SIEVE enotify fileinto', 'NOTIFY xmpp']],
    ['"SIEVE" "fileinto"'],
  ],
  [
    'as many redirects as the strictest allows',
    [
      ['SIEVE a', 'MAXREDIRECTS 10'],
      ['sieve a', 'maxredirects 4'],
    ],
    ['"SIEVE" "a"', '"MAXREDIRECTS" "4"'],
  ],
  [
    'redirects that one of them does not number are not promised',
    [
      ['SIEVE a', 'MAXREDIRECTS 10'],
      ['SIEVE a', 'MAXREDIRECTS -1'],
    ],
    ['"SIEVE" "a"'],
  ],
  ['nothing in common', [['SIEVE a'], ['SIEVE b']], ['"SIEVE" ""']],
  ['no back-end', [], ['"SIEVE" "fileinto"']],
  ['words that would break out of their quotes', [['SIEVE a" b\\ c\xe9 \x07 d']], ['"SIEVE" "d"']],
]

for (const [what, backends, lines] of cases) {
  test(`sieve: ${what}`, () => assert.deepEqual(told(backends), lines))
}

/** In an order of their own. */
function words(line: string): string[] {
  return line.split(/[" ]+/).sort()
}

test('sieve: whatever back-ends say, what is told is lines of quoted text, the same in any order', () => {
  const word = fc.constantFrom('fileinto', 'reject', 'a"b', 'enotify', '\\', '', '\r\n', 'é')
  const value = fc.array(word, { maxLength: 6 }).map((parts) => parts.join(' '))
  const line = fc
    .tuple(fc.constantFrom('SIEVE', 'NOTIFY', 'VERSION', 'MAXREDIRECTS', ''), value)
    .map((parts) => parts.join(' '))
  fc.assert(
    fc.property(fc.array(fc.array(line, { maxLength: 5 }), { maxLength: 3 }), (backends) => {
      const lines = told(backends)
      for (const text of lines) assert.match(text, /^"[A-Z]+" "[!#-[\]-~ ]*"$/)
      assert.deepEqual(told(backends.toReversed()).map(words), lines.map(words))
    }),
  )
})

test('sieve: while nothing is known, no more is told than that files can be filed', () => {
  assert.deepEqual(commonOffers([]), leastOffers)
})
