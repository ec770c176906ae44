import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { makeChooser } from '../../src/map/rendezvous.ts'

const users = Array.from({ length: 4000 }, (_, number) => `user${number}@example.com`)
const share = fc.record({
  backend: fc.stringMatching(/^[a-z]{1,8}$/),
  weight: fc.integer({ min: 1, max: 9 }),
})
const shares = fc.uniqueArray(share, {
  minLength: 1,
  maxLength: 6,
  selector: ({ backend }) => backend,
})

test('a back-end that is added takes users to itself only', () => {
  fc.assert(
    fc.property(shares, fc.integer({ min: 1, max: 9 }), (before, weight) => {
      const choose = makeChooser(before)
      const chooseAfter = makeChooser([...before, { backend: 'NEW', weight }])
      for (const user of users.slice(0, 300)) {
        const after = chooseAfter(user)
        assert.ok(after === 'NEW' || after === choose(user), user)
      }
    }),
    { numRuns: 100 },
  )
})

test('the order of the back-ends has no influence', () => {
  fc.assert(
    fc.property(shares, (list) => {
      const [choose, chooseReversed] = [makeChooser(list), makeChooser(list.toReversed())]
      for (const user of users.slice(0, 50)) assert.equal(choose(user), chooseReversed(user))
    }),
    { numRuns: 50 },
  )
})

test('every back-end gets the share of its weight', () => {
  const choose = makeChooser([
    { backend: 'fritz', weight: 2 },
    { backend: 'ingrid', weight: 1 },
    { backend: 'otto', weight: 1 },
  ])
  const count = (backend: string): number => users.filter((user) => choose(user) === backend).length
  for (const [backend, part] of [
    ['fritz', 0.5],
    ['ingrid', 0.25],
    ['otto', 0.25],
  ] as const) {
    const portion = count(backend) / users.length
    assert.ok(Math.abs(portion - part) < 0.03, `${backend} has ${portion}`)
  }
})

test('users stay where they are from version to version', () => {
  const choose = makeChooser([
    { backend: 'fritz', weight: 2 },
    { backend: 'ingrid', weight: 1 },
  ])
  const chosen = users
    .slice(0, 12)
    .map((user) => choose(user)[0])
    .join('')
  assert.equal(chosen, 'fiiiffiiffii')
})
