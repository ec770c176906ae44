/** What the check of a build says of aliases is what a lookup of each of them meets. */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { test } from 'node:test'
import fc from 'fast-check'
import { parseAddress } from '../../src/mail/address.ts'
import { buildMap } from '../../src/map/build.ts'
import { openMap } from '../../src/map/open.ts'
import { MapProblems } from '../../src/map/problems.ts'
import { configOf } from '../support/map-case.ts'
import { tempDir } from '../support/temp-dir.ts'

const names = ['a', 'b', 'c', 'd', 'e', 'f']
const target = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom(...names) },
  { weight: 3, arbitrary: fc.constantFrom('user1', 'user2') },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      'nobody',
      'a@example.net',
      'a+x',
      'b+x@example.com',
      'user1+x',
      'out@else.example',
    ),
  },
)
const aliases = fc.uniqueArray(
  fc.tuple(
    fc.constantFrom(...names, 'user1', 'a@example.net', 'a+x@example.com', 'b+x@example.net'),
    fc.array(target, { minLength: 1, maxLength: 3 }),
  ),
  { selector: ([name]) => name, minLength: 1 },
)

test('aliases without an error are without an error in every lookup, and the reverse', async () => {
  await fc.assert(
    fc.asyncProperty(aliases, async (drawn) => {
      using dir = tempDir()
      const text = drawn.map(([name, targets]) => `${name}: ${targets.join(', ')}\n`).join('')
      writeFileSync(dir.join('aliases'), text)
      writeFileSync(dir.join('user_map'), 'user1 fritz\nuser2 ingrid\nuser3 user2@example.com\n')
      const config = configOf(dir.path, dir.join('map.db'))
      const failure = await buildMap(config).then(
        () => undefined,
        (error: unknown) => error,
      )
      if (failure !== undefined) {
        assert.ok(failure instanceof MapProblems)
        // Each error stands at a line of an alias, and names what is there.
        for (const { at, severity } of failure.problems) {
          assert.ok(severity === 'warning' || (at.line >= 1 && at.line <= drawn.length))
        }
        return
      }
      const map = openMap(dir.join('map.db'))
      try {
        for (const [name] of drawn) {
          const address = parseAddress(name, config.naming)
          assert.ok(address)
          const { result } = map.resolve('delivery', address, config.naming)
          assert.equal(result, 'expand', `${name} of\n${text}`)
        }
      } finally {
        map.close()
      }
    }),
    { numRuns: 300 },
  )
})

test('a thousand lists of lists in ten floors are counted at once', async () => {
  using dir = tempDir()
  const floors = 9
  const width = 100
  const lines = Array.from({ length: floors * width }, (_, number) => {
    const floor = Math.floor(number / width)
    const next = Array.from({ length: width }, (_, one) =>
      floor + 1 === floors ? `user${one}` : `list${(floor + 1) * width + one}`,
    )
    return `list${number}: ${next.join(', ')}\n`
  })
  writeFileSync(dir.join('aliases'), lines.join(''))
  const users = Array.from({ length: width }, (_, number) => `user${number} fritz\n`)
  writeFileSync(dir.join('user_map'), users.join(''))
  const report = await buildMap(configOf(dir.path, dir.join('map.db')))
  assert.equal(report.aliases, floors * width)
})
