/** Targets that do not become like the source, behind a running daemon, while mail comes and is read. */
import assert from 'node:assert/strict'
import { chmodSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import type { MoveStep } from '../../src/map/state/move-journal.ts'
import { describeMoved } from '../../src/migrate/move-report.ts'
import { delivered, Ledger, mailboxOf } from '../support/mail-traffic.ts'
import { MovingSite } from '../support/moving-site.ts'
import { skipWithout } from '../support/tools.ts'

describe('a new home', { skip: skipWithout('dovecot') }, () => {
  let site: MovingSite

  before(async () => {
    site = await MovingSite.start({ users: ['ann', 'bob', 'carl'], serves: true })
  })
  after(() => site[Symbol.asyncDispose]())

  /**
   * A move that fails, as `onStep` sees to it, while mail comes and is read; the user is let in again
   * at the old home and works on there, and moves when `mend` has been called. What was said.
   */
  async function failing(
    user: string,
    onStep: (step: MoveStep) => void,
    mend: () => void = () => undefined,
  ): Promise<string> {
    const ledger = new Ledger()
    let said = ''
    await site.whileUsed(user, ledger, async () => {
      await delivered(ledger, 20)
      const failed = await site.move(user, 'ingrid', { step: ({ step }) => onStep(step) })
      assert.deepEqual([failed.result, failed.record?.step], ['failed', 'stopped'])
      said = describeMoved(failed)[0] ?? ''
      assert.match(said, /example\.com lives at fritz; /)
      assert.equal((await site.daemon?.status())?.frozen, undefined)
      await delivered(ledger, ledger.delivered.size + 10)
      mend()
      const moved = await site.move(user, 'ingrid')
      assert.equal(moved.result, 'moved', JSON.stringify(moved.record?.details.error))
      await delivered(ledger, ledger.delivered.size + 5)
    })
    ledger.check(await mailboxOf(site.pair.target.ports.imap, user))
    return said
  }

  test('that differs whenever it is compared leaves the user where the mailbox was', async () => {
    const messages = ['mailbox', 'INBOX', 'all']
    const changes = [
      ['flags add', '\\Answered', ...messages],
      ['expunge', ...messages],
      ['flags add', '\\Draft', ...messages],
    ]
    let count = 0
    const said = await failing('ann', (step) => {
      const change = changes[count]
      if (step !== 'verifying' || change === undefined) return
      count++
      site.inside('ann', change, '', 'ingrid')
    })
    assert.equal(count, changes.length)
    assert.match(said, /the copy differs from the mailbox, found 3 times \(MOVE_UNEQUAL\)/)
  })

  /** Gives the folders of a user at ingrid that mode, until what is returned is disposed of. */
  function withMode(user: string, mode: number): Disposable {
    const root = site.dir.join('target', 'mail', `${user}@example.com`)
    const folders = readdirSync(root, { withFileTypes: true, recursive: true })
      .filter((entry) => entry.isDirectory())
      .map((entry) => join(entry.parentPath, entry.name))
    const change = (to: number): void => {
      for (const folder of [root, ...folders]) chmodSync(folder, to)
    }
    change(mode)
    return { [Symbol.dispose]: () => change(0o700) }
  }

  for (const { user, at, mode, is, words } of [
    { user: 'bob', at: 'planned', mode: 0, is: 'unreadable', words: /failed: ingrid, IMAP: / },
    {
      user: 'carl',
      at: 'freezing',
      mode: 0o500,
      is: 'read-only',
      words: /failed: ingrid: /,
    },
  ] as const) {
    test(`that is ${is} from ${at} on does so, too`, async () => {
      await mailboxOf(site.pair.target.ports.imap, user)
      site.inside(user, ['mailbox create', 'Late'])
      using stack = new DisposableStack()
      const said = await failing(
        user,
        (step) => {
          if (step !== at || stack.disposed) return
          site.inside(user, ['save', '-m', 'Late'], 'Subject: late\r\n\r\nlate\r\n')
          stack.use(withMode(user, mode))
        },
        () => stack.dispose(),
      )
      assert.match(said, words)
      using target = await site.pair.login('target', user)
      assert.equal((await target.contents('Late')).length, 1)
    })
  }
})
