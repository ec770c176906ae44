import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { ByteSearch } from '../../../src/map/database/byte-search.ts'
import { canonicalLocal } from '../../../src/mail/address.ts'

function mayFind(names: readonly string[], text: string): boolean {
  const bytes = Buffer.from(`##${text}##`)
  return new ByteSearch(names).mayFind(bytes, 2, bytes.length - 2)
}

for (const [names, text, found] of [
  [['ann'], 'bob@ ["carl","ann@example.com"]', true],
  [['ann'], 'bob@ ["carl","ANN@example.com"]', true],
  [['ann', 'bo'], 'list@ ["carl","an@example.com"]', false],
  [['#'], 'list@ ["carl"]', false],
  [['carl"'], 'list@ ["carl', false],
  [['k'], 'list@ ["\u212a"]', true],
  [['ann'], String.raw`list@ ["\u0061nn"]`, true],
  [['bücher'], 'bücher@', true],
  [['ann'], '@example.net %1@example.com', true],
  [['ann'], '', false],
  [[], 'ann@', false],
] as const) {
  test(`of ${names.join(', ')} ${found ? 'one may be' : 'none is'} in ${text}`, () => {
    assert.equal(mayFind(names, text), found)
  })
}

test('a name that is there is never passed over', () => {
  const part = fc.string({ unit: 'binary', maxLength: 6 })
  fc.assert(
    fc.property(
      part,
      fc.string({ unit: 'grapheme', minLength: 1 }),
      part,
      (before, name, after) => {
        assert.ok(mayFind(['x', canonicalLocal(name, true)], before + name + after))
      },
    ),
  )
})
