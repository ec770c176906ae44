/**
 * A daemon that dies, does not answer, comes back, or has its workers or settings replaced, while a
 * user is frozen for a move.
 */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { namedBackend } from '../../src/config/named-backend.ts'
import type { MoveStep } from '../../src/map/state/move-journal.ts'
import { type MoveReport, moveUser } from '../../src/migrate/move-user.ts'
import { delivered, Ledger, mailboxOf } from '../support/mail-traffic.ts'
import { password } from '../support/mailbox-pair.ts'
import { MovingSite } from '../support/moving-site.ts'
import { RawImap } from '../support/raw-imap.ts'
import { skipWithout } from '../support/tools.ts'

describe('a daemon in a move', { skip: skipWithout('dovecot') }, () => {
  let site: MovingSite

  before(async () => {
    site = await MovingSite.start({ users: ['ann', 'bob', 'carl', 'dora', 'emil'], serves: true })
  })
  after(() => site[Symbol.asyncDispose]())

  async function moveWith(user: string, onStep: (step: MoveStep) => void): Promise<MoveReport> {
    using source = await site.pair.login('source', user)
    const date = '17-Jul-1996 02:44:25 -0700'
    const body = Buffer.from('Subject: m1\r\n\r\nhello\r\n')
    await source.append('INBOX', [{ flags: ['\\Flagged'], date, body }])
    const to = namedBackend(site.config, 'ingrid')
    const request = { user, to, order: 'begun', merge: false, maxBad: 0 } as const
    const listener = {
      step: ({ step }: { readonly step: MoveStep }) => onStep(step),
      progress: () => undefined,
      note: () => undefined,
    }
    return await moveUser(site.config, request, listener, new AbortController().signal)
  }

  test('that dies while the user is frozen leaves a gap, after which all is done again', async () => {
    const steps: MoveStep[] = []
    const moved = await moveWith('ann', (step) => {
      steps.push(step)
      if (step === 'verifying' && steps.filter((one) => one === step).length === 1) {
        site.daemon?.signal('SIGKILL')
      }
    })
    await site.daemon?.exited
    assert.equal(moved.result, 'moved', JSON.stringify(moved.record?.details.error))
    assert.ok(steps.filter((one) => one === 'settling').length > 1, steps.join(' '))
    assert.deepEqual(
      (await mailboxOf(site.pair.target.ports.imap, 'ann')).map(({ number }) => number),
      [1],
    )
    const daemon = await site.serve()
    using login = await RawImap.login(daemon.port('imap'), 'ann@example.com', password)
    assert.deepEqual(await login.uids('INBOX'), [1])
    assert.equal((await daemon.status()).frozen, undefined)
  })

  test('that does not answer keeps the user where the mailbox is', async () => {
    const daemon = site.daemon
    assert.ok(daemon !== undefined)
    const limit = { ...site.config.move, freezeLimitMs: 500, freezeTargetMs: 60_000 }
    const before = site.config
    site.config = { ...before, move: limit }
    try {
      const failed = await moveWith('bob', (step) => {
        if (step === 'freezing') daemon.signal('SIGSTOP')
        if (step === 'giving_up') daemon.signal('SIGCONT')
      })
      assert.deepEqual(
        [failed.result, failed.record?.step, failed.record?.details.error?.code],
        ['failed', 'stopped', 'MOVE_OVER_BUDGET'],
      )
    } finally {
      daemon.signal('SIGCONT')
      site.config = before
    }
    using login = await RawImap.login(daemon.port('imap'), 'bob@example.com', password)
    assert.deepEqual(await login.uids('INBOX'), [1])
    assert.deepEqual(await mailboxOf(site.pair.target.ports.imap, 'bob'), [
      { number: 1, uid: 1, flags: '\\Flagged', folder: 'INBOX' },
    ])
  })

  /** Mail comes and is read from before until after the move, which `work` holds up. */
  async function whileFrozen(
    user: string,
    ledger: Ledger,
    work: () => Promise<void>,
  ): Promise<MoveStep[]> {
    let steps: MoveStep[] = []
    await site.whileUsed(user, ledger, async () => {
      await delivered(ledger, 20)
      steps = await site.moveHeldUp(user, 'ingrid', work)
      await delivered(ledger, ledger.delivered.size + 10)
    })
    return steps
  }

  test('that dies in a freeze, and is there again before its end, lets nothing be lost', async () => {
    const ledger = new Ledger()
    const steps = await whileFrozen('carl', ledger, async () => {
      const before = ledger.delivered.size
      site.daemon?.signal('SIGKILL')
      await site.daemon?.exited
      const daemon = await site.serve()
      // It knows of no freeze until it is asked again.
      await Promise.race([delivered(ledger, before + 5), daemon.waitFor('user.frozen')])
    })
    assert.ok(steps.filter((step) => step === 'settling').length > 1, steps.join(' '))
    ledger.check(await mailboxOf(site.pair.target.ports.imap, 'carl'), true)
    assert.equal((await site.daemon?.status())?.frozen, undefined)
  })

  for (const [user, command] of [
    ['dora', 'restart'],
    ['emil', 'reload'],
  ] as const) {
    test(`whose operator says ${command} in a freeze keeps it without a gap`, async () => {
      const ledger = new Ledger()
      const steps = await whileFrozen(user, ledger, async () => {
        const { code, stderr } = (await site.daemon?.command(command)) ?? {}
        assert.deepEqual([code, stderr], [0, ''])
        const { deferred, delivered: taken } = ledger
        const before = taken.size
        while (ledger.deferred < deferred + 5) await turn()
        assert.equal(taken.size, before)
        assert.equal((await site.daemon?.status())?.frozen, 1)
      })
      assert.equal(steps.filter((step) => step === 'settling').length, 1, steps.join(' '))
      ledger.check(await mailboxOf(site.pair.target.ports.imap, user))
      assert.equal(site.daemon?.eventsOf('user.thawed').at(-1)?.reason, 'asked')
    })
  }
})
