/** Pages that list what the code fixes say just that. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { errorCatalogue } from '../src/base/error.ts'

test('docs/errors.md lists every error code with its exit status and hint, and no other', () => {
  const rows = readFileSync('docs/errors.md', 'utf8').matchAll(/^\| `(\w+)` \| (\d+) \| (.+) \|$/gm)
  const listed = Object.fromEntries(
    [...rows].map(([, code, exit, hint]) => [code, { exit: Number(exit), hint }]),
  )
  assert.deepEqual(listed, { ...errorCatalogue })
})
