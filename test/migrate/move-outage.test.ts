/**
 * A back-end that dies at a step of a move, the old one or the new one, behind a running daemon, while
 * mail arrives and is read; others go on with theirs.
 */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { MoveStep } from '../../src/map/state/move-journal.ts'
import { isFlipped } from '../../src/migrate/move-machine.ts'
import { describeMoved } from '../../src/migrate/move-report.ts'
import type { MoveReport } from '../../src/migrate/move-user.ts'
import { runCommand } from '../support/command.ts'
import { delivered, Ledger, mailboxOf, sendMail } from '../support/mail-traffic.ts'
import { password } from '../support/mailbox-pair.ts'
import { MovingSite } from '../support/moving-site.ts'
import { RawImap } from '../support/raw-imap.ts'
import { skipWithout } from '../support/tools.ts'

type Home = 'fritz' | 'ingrid'

interface Outage {
  readonly step: MoveStep
  readonly end: 'source' | 'target'
  /** What the command is told next. */
  readonly order: 'begun' | 'aborted'
}

const steps = 'planned copying freezing settling verifying flipping flipped sweeping'.split(
  ' ',
) as MoveStep[]
const all: readonly Outage[] = steps.flatMap((step) =>
  (['aborted', 'begun'] as const).flatMap((order) => [
    { step, end: 'source', order } as const,
    { step, end: 'target', order } as const,
  ]),
)
const some: readonly Outage[] = [
  { step: 'planned', end: 'source', order: 'begun' },
  { step: 'planned', end: 'target', order: 'aborted' },
  { step: 'settling', end: 'target', order: 'aborted' },
  { step: 'verifying', end: 'source', order: 'aborted' },
  { step: 'flipping', end: 'target', order: 'begun' },
  { step: 'flipped', end: 'target', order: 'aborted' },
  { step: 'copying', end: 'target', order: 'begun' },
  { step: 'sweeping', end: 'source', order: 'begun' },
]
/** `MOVE_KILLS=all` for each of them at each step, gone on with and given up. */
const outages = process.env['MOVE_KILLS'] === 'all' ? all : some

describe('a back-end that dies', { skip: skipWithout('dovecot') }, () => {
  let site: MovingSite
  let home: Home = 'fritz'
  const ledger = new Ledger()
  /** Who lives where all the time. */
  const neighbours = { fritz: 'karl', ingrid: 'nora' } as const

  before(async () => {
    site = await MovingSite.start({
      users: ['ann', 'karl', 'nora'],
      homes: { nora: 'ingrid' },
      serves: true,
    })
  })
  after(() => site[Symbol.asyncDispose]())

  /** Mail comes at once, and logins are let in. */
  async function isUnharmed(user: string): Promise<void> {
    const own = new Ledger()
    const ended = new AbortController()
    const port = site.daemon?.port('smtp') ?? 0
    const sending = sendMail({ port, user, ledger: own, signal: ended.signal })
    await delivered(own, 1)
    ended.abort()
    await sending
    assert.equal(own.deferred, 0, `${user} was put off`)
    using imap = await RawImap.login(
      site.daemon?.port('imap') ?? 0,
      `${user}@example.com`,
      password,
    )
    assert.ok((await imap.uids('INBOX')).length >= own.delivered.size)
  }

  /** The back-end dies as that step begins; the command ends, and says so. */
  async function strike({ step, end }: Outage, from: Home, to: Home): Promise<MoveReport> {
    const down = end === 'source' ? from : to
    let isDown = false
    const failed = await site.move('ann', to, {
      step: (move) => {
        if (move.step !== step || isDown) return
        isDown = true
        site.strikeDown(down)
      },
    })
    assert.ok(isDown, `it never came to ${step}`)
    assert.equal(failed.result, 'failed')
    const { record } = failed
    assert.ok(record !== undefined)
    assert.equal(record.details.error?.code, 'BACKEND_UNREACHABLE')
    const lives = isFlipped(record.step) ? to : from
    assert.equal(isFlipped(record.step), step === 'flipped' || step === 'sweeping')
    const [said = ''] = describeMoved(failed)
    assert.match(said, new RegExp(`: failed: ${down}, .*; ann@example\\.com lives at ${lives}; `))
    assert.match(said, /check that the back-end is up/)
    assert.ok((record.details.freezeMs ?? 0) < site.config.move.freezeLimitMs)
    assert.equal((await site.daemon?.status())?.frozen, undefined)
    await isUnharmed(neighbours[down === 'fritz' ? 'ingrid' : 'fritz'])
    home = lives
    return failed
  }

  for (const outage of outages) {
    const { step, end, order } = outage
    const then = order === 'begun' ? 'goes on when it is back' : 'may be given up meanwhile'
    test(`the ${end}, at ${step}, leaves one home and all mail; the move ${then}`, async () => {
      const from = home
      const to = from === 'fritz' ? 'ingrid' : 'fritz'
      const down = site.dovecot(end === 'source' ? from : to)
      await site.whileUsed('ann', ledger, async () => {
        await delivered(ledger, ledger.delivered.size + 10)
        const { record } = await strike(outage, from, to)
        if (order === 'aborted') {
          const givenUp = await site.move('ann', to, { order })
          if (home === from) assert.equal(givenUp.result, 'aborted')
          else assert.equal(givenUp.record?.details.error?.code, 'MOVE_FLIPPED')
        }
        await down.stop()
        await down.start()
        if (order === 'begun' || isFlipped(record?.step ?? 'planned')) {
          const done = await site.move('ann', to)
          assert.equal(done.result, 'moved', JSON.stringify(done.record?.details.error))
          home = to
        }
        await delivered(ledger, ledger.delivered.size + 5)
      })
      ledger.check(await mailboxOf(site.dovecot(home).ports.imap, 'ann'), true)
      const looked = await runCommand(['lookup', 'ann', '--config', site.configFile])
      assert.match(looked.stdout, new RegExp(`\\b${home}\\b`))
    })
  }

  test('one that stands still keeps the user frozen for the limit at most', async () => {
    const [from, to] =
      home === 'fritz' ? (['fritz', 'ingrid'] as const) : (['ingrid', 'fritz'] as const)
    const before = site.config
    site.config = { ...before, move: { ...before.move, freezeLimitMs: 4_000 } }
    const group = -(site.dovecot(to).pid ?? 0)
    await site.whileUsed('ann', ledger, async () => {
      let frozenAt = 0
      let thawedAt = 0
      try {
        const failed = await site.move('ann', to, {
          step: ({ step }) => {
            if (step === 'freezing') frozenAt = performance.now()
            if (step === 'settling') process.kill(group, 'SIGSTOP')
            if (step === 'stopped') thawedAt = performance.now()
          },
        })
        const { record } = failed
        assert.deepEqual(
          [record?.step, record?.details.error?.code],
          ['stopped', 'MOVE_OVER_BUDGET'],
        )
        assert.match(describeMoved(failed)[0] ?? '', new RegExp(`lives at ${from}; `))
        assert.ok(thawedAt - frozenAt < 6_000, `frozen for ${thawedAt - frozenAt} ms`)
        assert.equal((await site.daemon?.status())?.frozen, undefined)
        await delivered(ledger, ledger.delivered.size + 5)
      } finally {
        process.kill(group, 'SIGCONT')
        site.config = before
      }
      const done = await site.move('ann', to)
      assert.equal(done.result, 'moved', JSON.stringify(done.record?.details.error))
      home = to
      await delivered(ledger, ledger.delivered.size + 5)
    })
    ledger.check(await mailboxOf(site.dovecot(home).ports.imap, 'ann'), true)
  })
})
