/** The freeze of a user as a move holds it, before a daemon that answers as it is told to. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openControl } from '../../src/control/server.ts'
import type { FreezeReport, FreezeRequest } from '../../src/control/session-messages.ts'
import { Barrier, endFreeze } from '../../src/migrate/barrier.ts'
import { tempDir } from '../support/temp-dir.ts'

const { signal } = new AbortController()
const user = 'ann@example.com'
const unasked = (): Promise<never> => Promise.reject(new Error('not asked'))

type Answer = (request: FreezeRequest) => Partial<FreezeReport>

/** A daemon that has frozen the user for ten seconds, but for what `answer` says otherwise. */
function startDaemon(runDir: string, answer: Answer = () => ({})): Promise<AsyncDisposable> {
  return openControl(runDir, {
    status: unasked,
    reload: unasked,
    queue: unasked,
    who: unasked,
    kick: unasked,
    drain: unasked,
    restart: unasked,
    freeze: async (request) => ({
      user,
      epoch: request.epoch,
      complete: true,
      frozen_ms: 10_000,
      expires_ms: request.ttl_ms,
      processes: [{ worker: 1, complete: true, sessions: 0, deliveries: 0 }],
      ...answer(request),
    }),
    thaw: async (request) => ({ ...request, thawed: true }),
  })
}

test('a freeze holds as long as the daemon says so', async () => {
  using dir = tempDir()
  await using _daemon = await startDaemon(dir.path)
  using barrier = await Barrier.raise({ runDir: dir.path, user, epoch: 3 }, signal)
  assert.equal(await barrier.holds(signal), true)
  assert.equal(barrier.isSure, true)
  await endFreeze({ runDir: dir.path, user, epoch: 3 })
})

test('a freeze that began with the question leaves a gap, until it is begun anew', async () => {
  using dir = tempDir()
  let frozenMs = 10_000
  await using _daemon = await startDaemon(dir.path, () => ({ frozen_ms: frozenMs }))
  using barrier = await Barrier.raise({ runDir: dir.path, user, epoch: 3 }, signal)
  frozenMs = 0
  assert.equal(await barrier.holds(signal), false)
  frozenMs = 500
  assert.equal(await barrier.holds(signal), false, 'what was in the gap is not known yet')
  assert.equal(barrier.isSure, false)
  barrier.mark()
  assert.equal(await barrier.holds(signal), true)
})

test('a daemon that comes, or goes, leaves a gap; where none runs there is none', async () => {
  using dir = tempDir()
  using barrier = await Barrier.raise({ runDir: dir.path, user, epoch: 3 }, signal)
  assert.equal(await barrier.holds(signal), true)
  {
    await using _daemon = await startDaemon(dir.path)
    assert.equal(await barrier.holds(signal), false)
    barrier.mark()
    assert.equal(await barrier.holds(signal), true)
  }
  assert.equal(await barrier.holds(signal), false)
})

test('one that is about to end is not sure enough', async () => {
  using dir = tempDir()
  await using _daemon = await startDaemon(dir.path, () => ({ expires_ms: 4_000 }))
  using barrier = await Barrier.raise({ runDir: dir.path, user, epoch: 3 }, signal)
  assert.deepEqual([await barrier.holds(signal), barrier.isSure], [true, false])
})

for (const [what, answer, message] of [
  [
    'a session that does not end',
    { complete: false, processes: [{ worker: 2, complete: false, sessions: 1, deliveries: 0 }] },
    /go on in workers 2/,
  ],
  ['a later move', { complete: false, superseded_by: 4 }, /frozen for another move \(4, not 3\)/],
] as const) {
  test(`${what} is no freeze`, async () => {
    using dir = tempDir()
    await using _daemon = await startDaemon(dir.path, () => answer)
    const raised = Barrier.raise({ runDir: dir.path, user, epoch: 3 }, signal)
    await assert.rejects(raised, { code: 'MOVE_UNFROZEN', message })
  })
}
