/**
 * A command that is killed as it writes a step of a move down, before or after that, by SIGKILL: gone on
 * with, or given up, it ends in one home. Each run tries every step, one of the ways by turns: all of
 * them in four days, or with `MOVE_KILLS=all`.
 */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { parseAddress } from '../../src/mail/address.ts'
import { homeOf } from '../../src/map/edit/flip-user.ts'
import { openMapInForce } from '../../src/map/open.ts'
import { MoveJournal, type MoveStep } from '../../src/map/state/move-journal.ts'
import { purgeMoves } from '../../src/migrate/list-moves.ts'
import { isFlipped } from '../../src/migrate/move-machine.ts'
import { killAt } from '../support/killed-at.ts'
import { MovingSite } from '../support/moving-site.ts'
import type { RawMessage } from '../support/raw-imap.ts'
import { skipWithout } from '../support/tools.ts'

interface Kill {
  readonly user: string
  readonly step: MoveStep
  readonly when: 'before' | 'after'
  readonly order: 'begun' | 'aborted'
}

const today = Number(process.env['MOVE_DAY'] ?? Math.floor(Date.now() / 86_400_000))
const orders = ['begun', 'aborted'] as const
const steps: readonly MoveStep[] = [
  'planned',
  'copying',
  'waiting',
  'freezing',
  'settling',
  'verifying',
  'flipping',
  'giving_up',
  'stopped',
  'flipped',
  'sweeping',
  'kept',
]
const all: readonly Kill[] = steps.flatMap((step) =>
  (['before', 'after'] as const).flatMap((when) =>
    orders.map((order) => ({ user: `${step}-${when}-${order}`, step, when, order })),
  ),
)
const isAll = process.env['MOVE_KILLS'] === 'all'
/** One of the four of each step. */
const kills = all.filter((_, at) => isAll || at % 4 === (today + (at >> 2)) % 4)
const purges = (['purging', 'purged'] as const)
  .flatMap((step) =>
    (['before', 'after'] as const).map((when) => ({ user: `${step}-${when}`, step, when })),
  )
  .filter((_, at) => isAll || at % 2 === today % 2)
/** Commands at a time. */
const atOnce = 3
const { signal } = new AbortController()

function mail(text: string): RawMessage {
  const body = Buffer.from(`Subject: ${text}\r\n\r\n${text}\r\n`)
  return { flags: ['\\Flagged'], date: '17-Jul-1996 02:44:25 -0700', body }
}

describe('a command that is killed', { skip: skipWithout('dovecot') }, () => {
  let site: MovingSite

  before(async () => {
    const users = [...kills, ...purges].map(({ user }) => user)
    site = await MovingSite.start({ users, serves: true })
  })
  after(() => site[Symbol.asyncDispose]())

  async function fill(user: string): Promise<void> {
    using source = await site.pair.login('source', user)
    await source.command('CREATE work')
    await source.append('INBOX', [mail('1'), mail('2')])
    await source.append('work', [mail('3')])
  }

  const kill = (one: Omit<Kill, 'order'>): Promise<void> =>
    killAt({ configFile: site.configFile, ...one })

  async function stepOf(user: string): Promise<MoveStep | undefined> {
    using journal = await MoveJournal.open(site.config.stateDir)
    return journal.lastOf(`${user}@example.com`)?.step
  }

  function homeNow(user: string): 'source' | 'target' {
    const map = openMapInForce(site.config, undefined, 'few questions')
    try {
      const address = parseAddress(`${user}@example.com`, site.config.naming) ?? assert.fail()
      return homeOf(map, site.config, address).backend === 'ingrid' ? 'target' : 'source'
    } finally {
      map.close()
    }
  }

  /** Everything of a user is there, and what came since the kill. */
  async function checkHome(user: string, end: 'source' | 'target', late: number): Promise<void> {
    assert.equal(homeNow(user), end)
    using home = await site.pair.login(end, user)
    const found = await home.everything()
    const [inbox, work] = [found['INBOX']?.length, found['work']?.length]
    assert.deepEqual([Object.keys(found), inbox, work], [['INBOX', 'work'], 2 + late, 1])
    assert.ok(
      Object.values(found).every((list) => list.every(({ flags }) => /Flagged/.test(flags))),
    )
  }

  async function goOn({ user, order, step }: Kill): Promise<void> {
    const wasFlipped = isFlipped((await stepOf(user)) ?? assert.fail())
    const home = homeNow(user)
    assert.equal(home, wasFlipped ? 'target' : 'source')
    {
      using imap = await site.pair.login(home, user)
      await imap.append('INBOX', [mail('late')])
    }
    if (order === 'aborted') {
      const { result, record } = await site.move(user, 'ingrid', { order })
      if (wasFlipped) assert.equal(record?.details.error?.code, 'MOVE_FLIPPED')
      else assert.equal(result, 'aborted', JSON.stringify(record?.details.error))
      await checkHome(user, home, 1)
    }
    const at = step === 'waiting' && order === 'begun' ? { at: 'now' as const } : {}
    const { result, record } = await site.move(user, 'ingrid', at)
    assert.match(result, /^(?:moved|there)$/, JSON.stringify(record?.details.error))
    await checkHome(user, 'target', 1)
  }

  test('while it purges goes on with that, and takes away nothing of the new home', async () => {
    for (const purge of purges) {
      const { user } = purge
      await fill(user)
      assert.equal((await site.move(user, 'ingrid')).result, 'moved')
      await kill(purge)
      const late = await site.move(user, 'ingrid', { order: 'aborted' })
      assert.equal(late.record?.details.error?.code, 'MOVE_FLIPPED')
      await purgeMoves(site.config, Date.now() + 2e9, signal)
      assert.equal(await stepOf(user), 'purged')
      await checkHome(user, 'target', 0)
      using source = await site.pair.login('source', user)
      assert.deepEqual(await source.everything(), { INBOX: [] })
    }
  })

  test('at any step of a move leaves one home, gone on with or given up', async () => {
    const waiting = [...kills]
    const work = async (): Promise<void> => {
      for (let one = waiting.shift(); one !== undefined; one = waiting.shift()) {
        try {
          await fill(one.user)
          await kill(one)
          await goOn(one)
        } catch (error) {
          throw new Error(`${one.user}, MOVE_DAY=${today}`, { cause: error })
        }
      }
    }
    await Promise.all(Array.from({ length: atOnce }, work))
    assert.equal((await site.daemon?.status())?.frozen, undefined)
  })
})
