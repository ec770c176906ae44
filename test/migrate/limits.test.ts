/** What a run takes of its servers: no more than it may, and less of one that says so. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { MigrateLimits } from '../../src/config/config.ts'
import { migrateUsers } from '../../src/migrate/migrate-users.ts'
import { exitCodeOf, type MigrationReport } from '../../src/migrate/migration-report.ts'
import { RunLimits } from '../../src/migrate/run-limits.ts'
import { doorTo, MailboxPair } from '../support/mailbox-pair.ts'
import type { RawMessage } from '../support/raw-imap.ts'
import { passTime, SimulatedClock } from '../support/simulated-clock.ts'
import { tempDir } from '../support/temp-dir.ts'
import { type Refuse, ThrottlingProxy } from '../support/throttling-proxy.ts'
import { skipWithout } from '../support/tools.ts'

const people = ['ann', 'bob', 'carl', 'dora', 'emil', 'fred', 'gina', 'hans', 'ida', 'karl', 'lena']
const none: MigrateLimits = {
  connections: undefined,
  bytesPerSecond: undefined,
  bytesPerDay: undefined,
}
const { signal } = new AbortController()

function mail(text: string, bytes: number): RawMessage {
  const body = `Subject: ${text}\r\n\r\n${`${'x'.repeat(70)}\r\n`.repeat(bytes / 72)}`
  return { flags: [], date: '17-Jul-1996 02:44:25 -0700', body: Buffer.from(body) }
}

const resultsOf = ({ users }: MigrationReport) => users.map(({ result }) => result)

const refusesAppend: Refuse = (command) =>
  command.startsWith('APPEND') ? 'NO [LIMIT] Account exceeded bandwidth limits' : undefined

describe('a migration within limits', { skip: skipWithout('dovecot') }, () => {
  const dir = tempDir()
  let pair: MailboxPair

  before(async () => {
    pair = await MailboxPair.start(dir, { users: people })
  })
  after(async () => {
    await pair[Symbol.asyncDispose]()
    dir[Symbol.dispose]()
  })

  async function fill(user: string, messages: number, bytes: number): Promise<void> {
    using source = await pair.login('source', user)
    const all = Array.from({ length: messages }, (_, index) => mail(`m${index}`, bytes))
    await source.append('INBOX', all)
    await source.command('CREATE more')
    await source.append('more', all)
  }

  async function checkEqual(user: string): Promise<void> {
    using source = await pair.login('source', user)
    using target = await pair.login('target', user)
    assert.deepEqual(await target.everything(), await source.everything())
  }

  interface Run {
    readonly users: readonly string[]
    readonly source?: Partial<MigrateLimits>
    readonly target?: Partial<MigrateLimits>
    readonly jobs?: number
    readonly refuse?: Refuse
    readonly isWhole?: boolean
    readonly clock?: SimulatedClock
  }

  /** A run through proxies; its time is what it waits for alone. */
  async function run({ users, source, target, jobs = 4, refuse, ...rest }: Run) {
    const { isWhole = true, clock = new SimulatedClock() } = rest
    await using here = await ThrottlingProxy.start(pair.source.ports.imap)
    await using there = await ThrottlingProxy.start(pair.target.ports.imap, refuse)
    const doors = {
      fritz: doorTo('fritz', here.port),
      ingrid: doorTo('ingrid', there.port, 'authzid'),
    }
    const backends = new Map([
      ['fritz', { ...doors.fritz.backend, migrate: { ...none, ...source } }],
      ['ingrid', { ...doors.ingrid.backend, migrate: { ...none, ...target } }],
    ])
    const stateDir = dir.join('state')
    const limits = new RunLimits({ backends, migrate: { outside: none }, stateDir }, clock)
    const plan = {
      doors: {
        source: await limits.through('fritz', doors.fritz),
        target: await limits.through('ingrid', doors.ingrid),
      },
      users: users.map((name) => {
        const user = `${name}@example.com`
        return { user, sourceLogin: user, targetLogin: user }
      }),
      jobs,
      limits,
      options: {
        stateDir,
        from: 'fritz',
        to: 'ingrid',
        dryRun: false,
        merge: false,
        maxBad: 0,
        verify: 'changed',
        lanes: Math.max(1, Math.floor(jobs / users.length)),
        ignores: [],
        renames: new Map<string, string>(),
      },
    } as const
    const startedAt = clock.now()
    const listener = { progress: () => undefined, ended: () => undefined }
    const report = await passTime(clock, migrateUsers(plan, listener, signal))
    if (isWhole) for (const user of users) await checkEqual(user)
    return { report, here, there, ms: clock.now() - startedAt }
  }

  test('takes no more octets a second than it may, over all of its mailboxes', async () => {
    await Promise.all(['ann', 'bob'].map((user) => fill(user, 20, 20_000)))
    const bytesPerSecond = 200_000
    const { report, there, ms } = await run({ users: ['ann', 'bob'], target: { bytesPerSecond } })
    assert.deepEqual(resultsOf(report), ['done', 'done'])
    // Stored, and read again to be compared.
    assert.ok(there.bytes > 2 * 80 * 20_000, `${there.bytes} octets`)
    // Some octets of logins are not counted.
    const least = ((there.bytes - 10_000) / bytesPerSecond - 1) * 1000
    assert.ok(ms >= least, `${there.bytes} octets in ${ms} ms`)
    assert.ok(ms <= least + 2_000, `${ms} ms: it waited for nothing`)
  })

  test('has no more connections than it may, and goes through all the same', async () => {
    const users = ['carl', 'dora', 'emil']
    await Promise.all(users.map((user) => fill(user, 5, 2_000)))
    const few = await run({ users, source: { connections: 4 }, target: { connections: 7 } })
    assert.deepEqual(resultsOf(few.report), ['done', 'done', 'done'])
    assert.ok(few.here.mostOpen <= 4, `${few.here.mostOpen}`)
    assert.ok(few.there.mostOpen <= 7 && few.there.mostOpen > 3, `${few.there.mostOpen}`)
  })

  test('copies folders of one mailbox at a time only as connections are left', async () => {
    await fill('fred', 5, 2_000)
    const lanes = { users: ['fred'], jobs: 4, target: { connections: 4 } }
    const { report, there } = await run(lanes)
    assert.deepEqual(resultsOf(report), ['done'])
    assert.ok(there.mostOpen <= 4, `${there.mostOpen}`)
  })

  test('takes less of a back-end that wants less, waits for it, and loses nothing', async () => {
    const users = ['gina', 'hans']
    await Promise.all(users.map((user) => fill(user, 10, 2_000)))
    let appends = 0
    const refuse: Refuse = (command, { open }) => {
      if (command.startsWith('APPEND') && ++appends === 2) return 'BYE [UNAVAILABLE] Too much'
      // As one does that has room for one mailbox.
      return command.startsWith('UID FETCH') && open > 3 ? 'NO [THROTTLED] Slow down' : undefined
    }
    const { report, there, ms } = await run({ users, jobs: 2, refuse })
    assert.deepEqual(resultsOf(report), ['done', 'done'], JSON.stringify(report.users))
    assert.ok(there.openAtRefusals.length >= 2, there.openAtRefusals.join())
    assert.ok(ms >= 750 && ms < 600_000, `${ms} ms`)
  })

  test('gives up a back-end that goes on wanting nothing, as one that may be run again', async () => {
    const users = ['ida']
    await fill('ida', 1, 100)
    const { report, ms } = await run({ users, refuse: refusesAppend, isWhole: false })
    const [{ result, error } = assert.fail()] = report.users
    assert.deepEqual([result, error?.code, exitCodeOf(report)], ['failed', 'BACKEND_THROTTLED', 75])
    // Ten times, with more time before each.
    assert.ok(ms > 500_000 && ms < 1_500_000, `${ms} ms`)
    assert.deepEqual(resultsOf((await run({ users })).report), ['done'])
  })

  test('ends at what may be copied in a day, and goes on the next, with nothing twice', async () => {
    const users = ['karl', 'lena']
    await Promise.all(users.map((user) => fill(user, 10, 10_000)))
    const clock = new SimulatedClock(new Date(2026, 2, 27, 12).getTime())
    const bytesPerDay = 300_000
    const days: number[] = []
    for (let isOver = false; !isOver; ) {
      assert.ok(days.length < 8, days.join())
      const { report, here } = await run({
        users,
        jobs: 1,
        clock,
        source: { bytesPerDay },
        isWhole: false,
      })
      days.push(here.bytes)
      // Logins are not counted, and one piece may be on its way.
      assert.ok(here.bytes < bytesPerDay + 20_000, days.join())
      isOver = exitCodeOf(report) === 0
      if (isOver) break
      const codes = report.users.map(({ error }) => error?.code ?? 'none')
      assert.deepEqual([codes.at(-1), exitCodeOf(report)], ['DAY_LIMIT_REACHED', 75])
      assert.equal(report.users.length + report.untouched, 2)
      const again = await run({ users, clock, source: { bytesPerDay }, isWhole: false })
      assert.equal(again.report.copied, 0, 'on the same day')
      clock.advance(86_400_000)
    }
    assert.ok(days.length >= 3, days.join())
    for (const user of users) await checkEqual(user)
  })
})
