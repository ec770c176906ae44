/** What a run takes of its servers: no more than it may, and less of one that says so. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { parseWindow, type Window } from '../../src/base/window.ts'
import type { MigrateLimits } from '../../src/config/config.ts'
import { migrateUsers } from '../../src/migrate/migrate-users.ts'
import { exitCodeOf, type MigrationReport } from '../../src/migrate/migration-report.ts'
import { describeMoment } from '../../src/migrate/moment.ts'
import { RunLimits } from '../../src/migrate/run-limits.ts'
import { doorTo, MailboxPair, unlimited } from '../support/mailbox-pair.ts'
import type { RawMessage } from '../support/raw-imap.ts'
import { passTime, SimulatedClock } from '../support/simulated-clock.ts'
import { tempDir } from '../support/temp-dir.ts'
import { type Refuse, ThrottlingProxy } from '../support/throttling-proxy.ts'
import { skipWithout } from '../support/tools.ts'

const people =
  'ann bob carl dora emil fred gina hans ida karl lena mia nils olga paul qara rolf sven tina uwe vera wim xena'.split(
    ' ',
  )
const { signal } = new AbortController()

function mail(text: string, bytes: number): RawMessage {
  const body = `Subject: ${text}\r\n\r\n${`${'x'.repeat(70)}\r\n`.repeat(bytes / 72)}`
  return { flags: [], date: '17-Jul-1996 02:44:25 -0700', body: Buffer.from(body) }
}

const resultsOf = ({ users }: MigrationReport) => users.map(({ result }) => result)

function windowsOf(texts: readonly string[]): Window[] {
  return texts.map((text) => parseWindow(text) ?? assert.fail(text))
}

const refusesAppend: Refuse = (command) =>
  command.startsWith('APPEND') ? 'NO [LIMIT] Account exceeded bandwidth limits' : undefined

describe('a migration within limits', { skip: skipWithout('dovecot') }, () => {
  const dir = tempDir()
  let pair: MailboxPair

  before(async () => {
    const source = ['protocol imap {', '  mail_max_userip_connections = 3', '}']
    pair = await MailboxPair.start(dir, { users: people, source })
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
    readonly windows?: readonly string[]
    readonly waits?: boolean
  }

  /** A run through proxies; its time is what it waits for alone. */
  async function run({ users, source, target, jobs = 4, refuse, ...rest }: Run) {
    const { isWhole = true, clock = new SimulatedClock(), windows = [], waits = true } = rest
    await using here = await ThrottlingProxy.start(pair.source.ports.imap)
    await using there = await ThrottlingProxy.start(pair.target.ports.imap, refuse)
    const doors = {
      fritz: doorTo('fritz', here.port),
      ingrid: doorTo('ingrid', there.port, 'authzid'),
    }
    const backends = new Map([
      ['fritz', { ...doors.fritz.backend, migrate: { ...unlimited, ...source } }],
      ['ingrid', { ...doors.ingrid.backend, migrate: { ...unlimited, ...target } }],
    ])
    const stateDir = dir.join('state')
    const limits = new RunLimits(
      { backends, migrate: { windows: [], outside: unlimited }, stateDir },
      clock,
      windowsOf(windows),
    )
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
      waits,
      options: {
        stateDir,
        from: 'fritz',
        to: 'ingrid',
        dryRun: false,
        merge: false,
        maxBad: 0,
        verify: 'changed',
        lanes: Math.max(1, Math.floor(jobs / users.length)),
        appends: 2,
        ignores: [],
        renames: new Map<string, string>(),
      },
    } as const
    const startedAt = clock.now()
    const opens: string[] = []
    const listener = {
      progress: () => undefined,
      ended: () => undefined,
      closed: (at: number) => void opens.push(describeMoment(at).slice(0, 16)),
    }
    const report = await passTime(clock, migrateUsers(plan, listener, signal))
    if (isWhole) for (const user of users) await checkEqual(user)
    return { report, opens, here, there, ms: clock.now() - startedAt }
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

  test('sends no more commands a second than it may, over all of its mailboxes', async () => {
    await Promise.all(['qara', 'rolf'].map((user) => fill(user, 3, 200)))
    const { report, there, ms } = await run({
      users: ['qara', 'rolf'],
      target: { commandsPerSecond: 2 },
    })
    assert.deepEqual(resultsOf(report), ['done', 'done'])
    // Logins, and the ends of connections, wait for nothing.
    const least = ((there.commands - 30) / 2 - 1) * 1000
    assert.ok(there.commands > 60 && ms >= least, `${there.commands} commands in ${ms} ms`)
    assert.ok(ms <= (there.commands / 2 + 1) * 1000, `${ms} ms: it waited for nothing`)
  })

  test('asks less of a back-end that answers slowly, of fewer mailboxes at once', async () => {
    const users = ['sven', 'tina', 'uwe', 'vera', 'wim', 'xena']
    await Promise.all(users.map((user) => fill(user, 10, 2_000)))
    const clock = new SimulatedClock()
    const openAtAppends: number[] = []
    const refuse: Refuse = (command, { open }) => {
      if (command.startsWith('APPEND')) openAtAppends.push(open)
      clock.advance(4_000)
      return undefined
    }
    const slow = { users, jobs: 3, refuse, clock, target: { latencyLimitMs: 1_000 } }
    const { report } = await run(slow)
    assert.deepEqual(
      resultsOf(report),
      users.map(() => 'done'),
    )
    assert.equal(openAtAppends.length, 12)
    assert.ok(Math.max(...openAtAppends.slice(0, 6)) > 3, openAtAppends.join())
    assert.ok(Math.max(...openAtAppends.slice(-4)) <= 3, openAtAppends.join())
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

  test('makes do with the connections that Dovecot lets a user have', async () => {
    await fill('paul', 3, 2_000)
    {
      using source = await pair.login('source', 'paul')
      for (const folder of ['a', 'b', 'c', 'd']) {
        await source.command(`CREATE ${folder}`)
        await source.append(folder, [mail(folder, 2_000)])
      }
    }
    const { report, here, ms } = await run({ users: ['paul'], jobs: 4 })
    assert.deepEqual(resultsOf(report), ['done'], JSON.stringify(report.users))
    assert.ok(here.mostOpen > 3 && ms > 500, `${here.mostOpen} connections: none was refused`)
  })

  test('gives up a back-end that goes on wanting nothing, as one that may be run again', async () => {
    const users = ['ida', 'olga']
    await Promise.all(users.map((user) => fill(user, 1, 100)))
    const { report, ms } = await run({ users, jobs: 1, refuse: refusesAppend, isWhole: false })
    assert.deepEqual(
      report.users.map(({ error }) => error?.code),
      ['BACKEND_THROTTLED', 'BACKEND_THROTTLED'],
    )
    assert.equal(exitCodeOf(report), 75)
    // Ten times, with 1 s to 256 s between them, a quarter less or more; and once for the next.
    assert.ok(ms > 380_000 && ms < 645_000, `${ms} ms`)
    assert.deepEqual(resultsOf((await run({ users })).report), ['done', 'done'])
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

  test('works within its windows alone, and goes on in the next with nothing twice', async () => {
    const users = ['mia']
    await fill('mia', 20, 20_000)
    const clock = new SimulatedClock(new Date(2026, 11, 4, 12).getTime())
    // Some 1.6 MB come, of which a night has room for 600 kB.
    const slow = { windows: ['22:00-22:10'], source: { bytesPerSecond: 1_000 }, clock, jobs: 1 }
    const { report, opens, ms } = await run({ users, ...slow })
    assert.deepEqual(resultsOf(report), ['done'])
    assert.deepEqual(opens.slice(0, 2), ['2026-12-04 22:00', '2026-12-05 22:00'])
    assert.ok(ms >= (10 + 24 * (opens.length - 1)) * 3_600_000, `${ms} ms, ${opens.join()}`)
  })

  test('ends where it would wait for a window and is not to', async () => {
    const users = ['nils']
    await fill('nils', 20, 20_000)
    const clock = new SimulatedClock(new Date(2026, 11, 4, 12).getTime())
    const limits = { bytesPerSecond: 1_000, bytesPerDay: 1_000_000_000 }
    const slow = { windows: ['22:00-22:02'], source: limits, jobs: 1 }
    const given = { users, ...slow, clock, waits: false, isWhole: false }
    const outside = await run(given)
    assert.deepEqual([outside.opens, outside.ms], [['2026-12-04 22:00'], 0])
    const { users: nobody, untouched } = outside.report
    assert.deepEqual([nobody.length, untouched, exitCodeOf(outside.report)], [0, 1, 75])
    clock.advance(10 * 3_600_000)
    const begun = await run(given)
    const [{ error } = assert.fail()] = begun.report.users
    assert.deepEqual([error?.code, exitCodeOf(begun.report)], ['WINDOW_CLOSED', 75])
    assert.match(error?.message ?? '', /the next begins 2026-12-05 22:00 /)
    const whole = await run({ users })
    assert.deepEqual(resultsOf(whole.report), ['done'])
    assert.ok(whole.report.copied < 40, `${whole.report.copied}: it went on`)
  })
})
