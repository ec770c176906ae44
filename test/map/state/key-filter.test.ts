import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { KeyFilter } from '../../../src/map/state/key-filter.ts'

function filterOf(keys: readonly string[]): KeyFilter {
  const known = new Map<string, true>()
  const filter = new KeyFilter(known)
  for (const key of keys) {
    filter.add(key)
    known.set(key, true)
  }
  return filter
}

test('every key that was added may be there', () => {
  fc.assert(
    fc.property(fc.array(fc.string({ unit: 'binary' })), (keys) => {
      const filter = filterOf(keys)
      assert.ok(keys.every((key) => filter.mayHave(key)))
    }),
  )
})

function name(number: number): string {
  return `user${String(number).padStart(8, '0')}@example.com`
}

test('of ten thousand keys none is forgotten, and of others few are taken for them', () => {
  const keys = Array.from({ length: 10_000 }, (_, number) => name(number))
  const filter = filterOf(keys)
  assert.ok(keys.every((key) => filter.mayHave(key)))
  const others = Array.from({ length: 10_000 }, (_, number) => name(number + 10_000))
  const taken = others.filter((key) => filter.mayHave(key)).length
  assert.ok(taken < 1_000, `${taken} of 10,000`)
})

test('a filter without keys has none', () => {
  assert.equal(filterOf([]).mayHave('ann@example.com'), false)
  assert.equal(filterOf([]).mayHave(''), false)
})
