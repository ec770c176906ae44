/**
 * What somebody does inside the old back-end when the last pass before the freeze is over, so that it
 * is found by the passes in it: no barrier of ours keeps `doveadm`, or a program that writes into the
 * store, from it. No daemon runs.
 */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { namedBackend } from '../../src/config/named-backend.ts'
import { MoveJournal, type MoveStep } from '../../src/map/state/move-journal.ts'
import { type SettledMove, sweepMoves } from '../../src/migrate/list-moves.ts'
import { describeMoved } from '../../src/migrate/move-report.ts'
import { type MoveReport, type MoveRequest, moveUser } from '../../src/migrate/move-user.ts'
import { MovingSite } from '../support/moving-site.ts'
import type { RawImap, RawMessage } from '../support/raw-imap.ts'
import { skipWithout } from '../support/tools.ts'

const asked = { order: 'begun', merge: false, maxBad: 0 } as const
const silent = { step: () => undefined, progress: () => undefined, note: () => undefined }
const { signal } = new AbortController()

function mail(text: string, bytes = 0): RawMessage {
  const body = `Subject: ${text}\r\n\r\n${`${'x'.repeat(70)}\r\n`.repeat(bytes / 72)}`
  return { flags: [], date: '17-Jul-1996 02:44:25 -0700', body: Buffer.from(body) }
}

async function fill(imap: RawImap): Promise<void> {
  for (const folder of ['work', 'work/letters', 'again', 'gone']) {
    await imap.command(`CREATE ${folder}`)
    await imap.append(folder, [mail(`${folder} 1`), mail(`${folder} 2`)])
  }
  await imap.append('INBOX', [mail('1'), mail('2'), mail('2')])
}

const errorOf = ({ record }: MoveReport) => record?.details.error?.code

function ofUser(name: string, all: readonly SettledMove[]): SettledMove[] {
  return all.filter(({ user }) => user === `${name}@example.com`)
}

describe('late in a move', { skip: skipWithout('dovecot') }, () => {
  let site: MovingSite

  before(async () => {
    const users = ['ann', 'bob', 'carl', 'dora', 'emma', 'frank', { name: 'poor', quotaKib: 20 }]
    site = await MovingSite.start({ users })
  })
  after(() => site[Symbol.asyncDispose]())

  /** `work` is done once, as that step begins. */
  function moveWith(
    user: string,
    at: MoveStep,
    work: () => void,
    changes: Partial<MoveRequest> = {},
  ): Promise<MoveReport> {
    let isDone = false
    const step = (move: { readonly step: MoveStep }): void => {
      if (move.step !== at || isDone) return
      isDone = true
      work()
    }
    return site.move(user, 'ingrid', { ...changes, step })
  }

  for (const [user, at] of [
    ['ann', 'freezing'],
    ['bob', 'verifying'],
    ['carl', 'flipping'],
  ] as const) {
    test(`folders made anew, renamed, filled and emptied as it is ${at} come along as they are`, async () => {
      using source = await site.pair.login('source', user)
      await fill(source)
      const moved = await moveWith(user, at, () => {
        site.inside(user, ['mailbox delete', '-s', 'again'])
        site.inside(user, ['mailbox create', 'again'])
        site.inside(user, ['save', '-m', 'again'], 'Subject: again 3\r\n\r\n')
        site.inside(user, ['mailbox rename', 'work/letters', 'work/post'])
        site.inside(user, ['mailbox delete', '-s', 'gone'])
        site.inside(user, ['flags add', '\\Flagged', 'mailbox', 'INBOX', 'uid', '1'])
        site.inside(user, ['expunge', 'mailbox', 'INBOX', 'uid', '2'])
        site.inside(user, ['save', '-m', 'INBOX'], 'Subject: late\r\n\r\n')
      })
      assert.equal(moved.result, 'moved', JSON.stringify(moved.record?.details.error))
      using target = await site.pair.login('target', user)
      using seen = await site.pair.login('source', user)
      assert.deepEqual(await target.everything(), await seen.everything())
      assert.deepEqual((await target.folders()).sort(), ['INBOX', 'again', 'work', 'work/post'])
    })
  }

  test('a mailbox that becomes too large for the new back-end stays, thawed, until there is room', async () => {
    using source = await site.pair.login('source', 'poor')
    await source.append('INBOX', [mail('1', 9_000)])
    using target = await site.pair.login('target', 'poor')
    await target.append('INBOX', [mail('2', 9_000)])
    const late = (): void =>
      site.inside('poor', ['save', '-m', 'INBOX'], String(mail('3', 9_000).body))
    const full = await moveWith('poor', 'freezing', late, { merge: true })
    assert.deepEqual(
      [full.result, errorOf(full), full.record?.step],
      ['failed', 'TARGET_FULL', 'stopped'],
    )
    assert.match(
      describeMoved(full)[0] ?? '',
      /failed: ingrid: INBOX: .*poor@example\.com lives at fritz; give the user more room there/,
    )
    assert.equal((await source.contents('INBOX')).length, 2)
    await target.command('SELECT INBOX')
    await target.command('STORE 1 +FLAGS (\\Deleted)')
    await target.command('EXPUNGE')
    assert.equal((await site.move('poor', 'ingrid')).result, 'moved')
    assert.deepEqual(await target.everything(), await source.everything())
  })

  test('a second command for the same user is refused while the first is under way', async () => {
    using source = await site.pair.login('source', 'dora')
    await fill(source)
    const second: Promise<unknown>[] = []
    const first = await moveWith('dora', 'copying', () => {
      for (const order of ['begun', 'aborted'] as const) {
        const asked = site.move('dora', 'ingrid', { order })
        second.push(assert.rejects(asked, { code: 'MIGRATION_BUSY' }))
      }
    })
    await Promise.all(second)
    assert.deepEqual([first.result, second.length], ['moved', 2])
  })

  test('ways back that are given up do no harm to the next', async () => {
    using source = await site.pair.login('source', 'emma')
    using target = await site.pair.login('target', 'emma')
    await fill(source)
    assert.equal((await site.move('emma', 'ingrid')).result, 'moved')
    const back = { source: 'ingrid', target: 'fritz', isReturn: true } as const
    await giveUp('emma', back)
    await target.command('SELECT INBOX')
    await target.command('STORE 1 FLAGS (\\Flagged)')
    await target.append('again', [mail('again 3')])
    const limit = { ...site.config.move, freezeLimitMs: 0 }
    const config = { ...site.config, move: limit }
    const request = { ...asked, user: 'emma', to: namedBackend(config, 'fritz') }
    const stopped = await moveUser(config, request, silent, signal)
    assert.equal(errorOf(stopped), 'MOVE_OVER_BUDGET')
    assert.deepEqual(await source.everything(), await target.everything())
    assert.equal((await site.move('emma', 'fritz', { order: 'aborted' })).result, 'aborted')
    // As the last move that was done has left it, and otherwise than the one that was given up.
    await target.command('SELECT INBOX')
    await target.command('STORE 1 FLAGS ()')
    await target.append('again', [mail('again 4')])
    assert.deepEqual(ofUser('emma', await sweepMoves(site.config, signal)), [])
    assert.equal((await site.move('emma', 'fritz')).result, 'moved')
    assert.deepEqual(await source.everything(), await target.everything())
    assert.equal((await source.contents('again')).length, 4)
  })

  test('a way on that is given up keeps nobody from sweeping', async () => {
    assert.equal((await site.move('frank', 'ingrid')).result, 'moved')
    await giveUp('frank', { source: 'ingrid', target: 'ulla', isReturn: false })
    site.inside('frank', ['save', '-m', 'INBOX'], 'Subject: later\r\n\r\n')
    const swept = await sweepMoves(site.config, signal)
    assert.deepEqual(ofUser('frank', swept), [
      { user: 'frank@example.com', source: 'fritz', target: 'ingrid', swept: 1, problems: [] },
    ])
  })

  /** A move that nothing was done of. */
  async function giveUp(
    name: string,
    way: { readonly source: string; readonly target: string; readonly isReturn: boolean },
  ): Promise<void> {
    using journal = await MoveJournal.open(site.config.stateDir)
    const user = `${name}@example.com`
    const plan = { user, login: user, value: way.target, merge: false, maxBad: 0 }
    journal.enter(journal.begin({ ...plan, ...way }), { step: 'aborted' })
  }
})
