import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import fc from 'fast-check'
import { parseConfig } from '../../src/config/parse.ts'

const oddPieces = ['[', '{', '&a ', '*a', '!!binary ', '"', '|\n', '? ', '- ', '\t', '\0', '<<: ']
oddPieces.push('---\n', 'null', '1e999', '-1', '2001-01-01', '__proto__: {}\n', '\u2028', '\ud800')

test('damaged text of a config is answered with places, whatever the damage', () => {
  const [, example = ''] = /```yaml\n(.*?)```/s.exec(readFileSync('docs/config.md', 'utf8')) ?? []
  assert.ok(example.length > 500)
  const odd = fc.constantFrom(...oddPieces)
  const piece = fc.oneof(odd, fc.string({ unit: 'binary', maxLength: 8 }))
  const damage = fc.record({
    at: fc.nat(example.length),
    gone: fc.oneof(fc.nat(3), fc.nat(example.length)),
    piece,
  })
  fc.assert(
    fc.property(fc.array(damage, { minLength: 1, maxLength: 4 }), (damages) => {
      let text = example
      for (const { at, gone, piece: put } of damages) {
        text = text.slice(0, at) + put + text.slice(at + gone)
      }
      const parsed = parseConfig(text, '/etc/mailmux/mailmux.yaml')
      for (const { at, message } of 'problems' in parsed ? parsed.problems : parsed.warnings) {
        assert.ok(at.line >= 1 && at.column >= 1 && message !== '')
      }
    }),
    { numRuns: 300 },
  )
})
