/** What servers say of folders, and how they refuse. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { failureOf, Refusal, stateOf } from '../../src/migrate/imap-answers.ts'
import { doorTo } from '../support/mailbox-pair.ts'

const access = doorTo('fritz', 143).accessTo('ann@example.com')

const said = (responseText: string, serverResponseCode: string) => ({
  responseStatus: 'NO',
  responseText,
  serverResponseCode,
  executedCommand: 'A1 SELECT "Throttling"',
})

// RFC 7162 section 3.1.7: of a folder that keeps none, STATUS tells 0.
test('a HIGHESTMODSEQ of nought is none: no two of them say that nothing has changed', () => {
  const status = { messages: 1, uidNext: 2, uidValidity: 3n }
  assert.equal(stateOf({ ...status, highestModseq: 0n }).modseq, '')
  assert.equal(stateOf(status).modseq, '')
  const large = 2n ** 63n - 1n
  assert.equal(stateOf({ ...status, highestModseq: large }).modseq, '9223372036854775807')
})

test('what cannot be written in a command is refused, and no fault of the connection', () => {
  for (const code of ['InvalidStringValue', 'InvalidTokenValue']) {
    const failure = failureOf(access, Object.assign(new Error('Line terminator'), { code }))
    assert.ok(failure instanceof Refusal)
  }
})

test('a folder that is called as what is too much is called is not too much', () => {
  const gone = failureOf(access, said("Mailbox doesn't exist: Throttling", 'NONEXISTENT'))
  assert.ok(gone instanceof Refusal)
  const limited = failureOf(access, said('Request is throttled', ''))
  assert.equal((limited as { code?: string }).code, 'BACKEND_THROTTLED')
})
