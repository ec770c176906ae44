import assert from 'node:assert/strict'
import { test } from 'node:test'
import { commonExtensions } from '../../src/protocol/smtp/submission-offers.ts'

const cases: readonly (readonly [string, readonly (readonly string[])[], readonly string[]])[] = [
  ['nobody was asked: nothing', [], []],
  ['one that offers nothing takes all away', [['8BITMIME', 'SIZE 10'], []], []],
  [
    'what all offer is told, in one order and in capitals',
    [
      ['dsn', 'SMTPUTF8', 'PIPELINING', '8BITMIME', 'XCLIENT ADDR', 'STARTTLS', 'AUTH PLAIN'],
      ['PIPELINING', '8BITMIME', 'DSN', 'ETRN', 'STARTTLS', 'AUTH PLAIN', 'XCLIENT ADDR'],
    ],
    ['PIPELINING', '8BITMIME', 'DSN'],
  ],
  ['the least size counts', [['SIZE 30'], ['SIZE 20']], ['SIZE 20']],
  ['no size is no limit', [['SIZE'], ['SIZE 0'], ['SIZE 20']], ['SIZE 20']],
  ['no limit anywhere is none', [['SIZE'], ['SIZE 0']], ['SIZE']],
  ['one without sizes takes none', [['SIZE 30'], ['DSN']], []],
  ['a size that is none is no limit', [['SIZE x'], ['SIZE 1e9']], ['SIZE']],
  [
    'BINARYMIME needs CHUNKING',
    [
      ['BINARYMIME', 'CHUNKING'],
      ['BINARYMIME', 'CHUNKING'],
    ],
    ['CHUNKING', 'BINARYMIME'],
  ],
  ['and is nothing without it', [['BINARYMIME', 'CHUNKING'], ['BINARYMIME']], []],
  ['of BURL the kinds that all take', [['BURL imap pop'], ['BURL imap']], ['BURL imap']],
  ['of BURL perhaps none', [['BURL'], ['BURL imap']], ['BURL']],
  ['what is not printable is no word', [['BURL im\u00e4p \x7f', '8BITMIME']], ['8BITMIME', 'BURL']],
]

for (const [name, backends, told] of cases) {
  test(name, () => assert.deepEqual(commonExtensions(backends), told))
}
