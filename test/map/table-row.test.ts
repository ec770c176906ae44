/** Rows of a database as lines, whatever is in them. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { divideKeyedLine } from '../../src/map/sources/line-grammar.ts'
import { RowDigest } from '../../src/map/sources/row-digest.ts'
import { checkRow, lineOf } from '../../src/map/sources/table-row.ts'

/** What a database may hold, and a line can. */
const cell = fc
  .string({ unit: 'grapheme', minLength: 1, maxLength: 20 })
  .filter((text) => 'row' in checkRow({ key: text, value: 'x' }))
  .map((text) => text.trim())
const plainCell = cell.filter((text) => !text.startsWith('"'))
const row = fc.record({ key: plainCell, value: cell })

for (const separator of ['blank', 'colon'] as const) {
  test(`a row with a ${separator} between is read back as it was`, () => {
    fc.assert(
      fc.property(row, (one) => {
        const divided = divideKeyedLine(lineOf(one, separator).slice(0, -1), separator)
        assert.deepEqual([divided?.key, divided?.value], [one.key, one.value])
      }),
    )
  })
}

test('a row is one line, and never a comment', () => {
  fc.assert(
    fc.property(row, (one) => {
      const line = lineOf(one, 'blank')
      assert.equal(line.indexOf('\n'), line.length - 1)
      assert.doesNotMatch(line, /^[\s#]/)
    }),
  )
})

test('a name that is quoted already stays as it is', () => {
  const line = lineOf({ key: '"c d"@example.com', value: 'fritz' }, 'blank')
  assert.equal(line, '"c d"@example.com fritz\n')
})

test('what no line can hold is refused', () => {
  for (const text of [null, '', '  ', 'a\nb', 'a\rb', 'a\u0000b', 'a\u2028b', 'a\ufffdb']) {
    assert.ok('refused' in checkRow({ key: text, value: 'x' }), JSON.stringify(text))
    assert.ok('refused' in checkRow({ key: 'x', value: text }), JSON.stringify(text))
  }
})

function digestOf(rows: readonly { readonly key: string; readonly value: string }[]): string {
  const digest = new RowDigest()
  for (const { key, value } of rows) digest.add(key, value)
  return digest.text
}

test('the digest of rows does not depend on their order, and tells every other difference', () => {
  const rows = fc.array(row, { minLength: 1, maxLength: 30 })
  fc.assert(
    fc.property(rows, fc.nat(), row, (all, at, other) => {
      assert.equal(digestOf(all.toReversed()), digestOf(all))
      const index = at % all.length
      const changed = all.with(index, other)
      const isSame = all[index]?.key === other.key && all[index]?.value === other.value
      assert.equal(digestOf(changed) === digestOf(all), isSame)
      assert.notEqual(digestOf([...all, other]), digestOf(all))
    }),
  )
})
