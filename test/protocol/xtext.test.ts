import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { decodeXtext, encodeXtext } from '../../src/protocol/smtp/xtext.ts'

test('any printable text survives xtext, which needs no quoting in a command', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme-ascii' }), (text) => {
      const encoded = encodeXtext(text)
      assert.match(encoded, /^[!-<>-~]*$/)
      assert.equal(decodeXtext(encoded), text)
    }),
  )
})

test('what stands for controls, or is no xtext, is not read', () => {
  for (const text of [
    '+00',
    '+0D',
    '+0A',
    '+7F',
    '+80',
    '+FF',
    '+2b',
    '+2',
    '+',
    'a b',
    'a=b',
    'ä',
  ])
    assert.equal(decodeXtext(text), undefined, text)
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      const decoded = decodeXtext(text)
      if (decoded !== undefined) assert.match(decoded, /^[ -~]*$/)
    }),
  )
})
