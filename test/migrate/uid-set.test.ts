import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { UidSet } from '../../src/migrate/uid-set.ts'

const uids = fc.uniqueArray(fc.integer({ min: 1, max: 60 })).map((all) => all.sort((a, b) => a - b))

test('a set is written as IMAP has it, and read back in any order', () => {
  assert.equal(UidSet.of([1, 2, 3, 5, 8, 9]).toString(), '1:3,5,8:9')
  assert.equal(UidSet.parse('9:8,5,1,2:3').toString(), '1:3,5,8:9')
  assert.equal(UidSet.parse('').toString(), '')
  assert.equal(UidSet.parse('x,0,4').toString(), '4')
})

test('it is the set that its numbers are', () => {
  fc.assert(
    fc.property(uids, uids, (one, other) => {
      const [set, less] = [UidSet.of(one), UidSet.of(other)]
      assert.deepEqual([...set], one)
      assert.equal(set.size, one.length)
      assert.equal(set.isEmpty, one.length === 0)
      assert.deepEqual([...UidSet.parse(set.toString())], one)
      for (let uid = 1; uid <= 60; uid++) assert.equal(set.has(uid), one.includes(uid))
      assert.deepEqual(
        [...set.minus(less)],
        one.filter((uid) => !other.includes(uid)),
      )
    }),
  )
})

test('its parts are it, in order, each full but the last', () => {
  fc.assert(
    fc.property(uids, fc.integer({ min: 1, max: 9 }), (all, count) => {
      const parts = [...UidSet.of(all).chunks(count)]
      assert.deepEqual(
        parts.flatMap((part) => [...part]),
        all,
      )
      for (const part of parts.slice(0, -1)) assert.equal(part.size, count)
      assert.ok(parts.every(({ size }) => size > 0 && size <= count))
    }),
  )
})

test('a hundred thousand UIDs take no more room than their gaps', () => {
  assert.equal(UidSet.parse('1:100000').ranges.length, 1)
  assert.equal([...UidSet.parse('1:100000').chunks(1000)].length, 100)
})
