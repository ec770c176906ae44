import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { compareMessages, type SeenMessage } from '../../src/migrate/compare-messages.ts'

const seen = (uid: number, identity: string, date = 1, flags = ''): SeenMessage => ({
  uid,
  identity,
  sizeBytes: 1,
  date,
  flags,
})

test('what is missing, what is too many, and what differs is told by its UID', () => {
  const source = [seen(1, 'a'), seen(2, 'a'), seen(3, 'b', 1, 'x'), seen(4, 'c'), seen(5, 'd')]
  const target = [seen(11, 'a'), seen(13, 'b'), seen(14, 'c', 2, 'y'), seen(15, 'e'), seen(16, 'd')]
  assert.deepEqual(compareMessages(source, target), {
    missing: [{ uid: 2, sizeBytes: 1 }],
    extra: [{ uid: 15, sizeBytes: 1 }],
    differing: [
      { source: 3, target: 13, differs: ['flags'] },
      { source: 4, target: 14, differs: ['date', 'flags'] },
    ],
  })
})

test('keywords compare without case', () => {
  const { differing } = compareMessages([seen(1, 'a', 1, 'NonJunk')], [seen(2, 'a', 1, 'nonjunk')])
  assert.deepEqual(differing, [])
})

const message = fc.record({
  identity: fc.constantFrom('a', 'b', 'c'),
  date: fc.constantFrom(1, 2),
  flags: fc.constantFrom('', 'x'),
})
const folder = fc
  .array(message, { maxLength: 12 })
  .map((all) => all.map((one, index) => ({ ...one, uid: index + 1, sizeBytes: 1 })))

test('a folder is equal to itself in any order, and one less or more is seen', () => {
  fc.assert(
    fc.property(folder, fc.array(fc.nat()), (messages, order) => {
      const shuffled = messages
        .map((one, index) => [order[index] ?? 0, one] as const)
        .sort(([one], [other]) => one - other)
        .map(([, one]) => one)
      assert.deepEqual(compareMessages(messages, shuffled), {
        missing: [],
        extra: [],
        differing: [],
      })
      if (messages.length === 0) return
      assert.equal(compareMessages(messages, shuffled.slice(1)).missing.length, 1)
      assert.equal(compareMessages(shuffled.slice(1), messages).extra.length, 1)
    }),
  )
})

test('every message is told of once: paired, missing or extra', () => {
  fc.assert(
    fc.property(folder, folder, (source, target) => {
      const { missing, extra, differing } = compareMessages(source, target)
      const paired = source.length - missing.length
      assert.equal(paired, target.length - extra.length)
      assert.ok(differing.length <= paired)
      // As many of each octets as both have.
      for (const identity of ['a', 'b', 'c']) {
        const [here, there] = [source, target].map(
          (side) => side.filter((one) => one.identity === identity).length,
        )
        const lost = missing.filter(({ uid }) => source[uid - 1]?.identity === identity).length
        assert.equal(lost, Math.max(0, (here ?? 0) - (there ?? 0)))
      }
    }),
  )
})
