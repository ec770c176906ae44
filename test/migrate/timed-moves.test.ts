/** Moves that are to freeze their users at a time, and moves within limits. No daemon runs. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { systemClock } from '../../src/backend/system-clock.ts'
import { parseWindow, type Window } from '../../src/base/window.ts'
import type { Config } from '../../src/config/config.ts'
import { namedBackend } from '../../src/config/named-backend.ts'
import { type Move, MoveJournal, type MoveStep } from '../../src/map/state/move-journal.ts'
import { dueMoves } from '../../src/migrate/due-moves.ts'
import { listMoves } from '../../src/migrate/list-moves.ts'
import { describeMoment } from '../../src/migrate/moment.ts'
import { type MoveReport, type MoveRequest, moveUser } from '../../src/migrate/move-user.ts'
import { RunLimits } from '../../src/migrate/run-limits.ts'
import { runCommand } from '../support/command.ts'
import { MovingSite } from '../support/moving-site.ts'
import type { RawMessage } from '../support/raw-imap.ts'
import { passTime, SimulatedClock } from '../support/simulated-clock.ts'
import { type Refuse, ThrottlingProxy } from '../support/throttling-proxy.ts'
import { skipWithout } from '../support/tools.ts'

const hour = 3_600_000

function mail(text: string, bytes = 0): RawMessage {
  const body = `Subject: ${text}\r\n\r\n${`${'x'.repeat(70)}\r\n`.repeat(bytes / 72)}`
  return { flags: [], date: '17-Jul-1996 02:44:25 -0700', body: Buffer.from(body) }
}

/** A time of day, so many hours from now. */
function time(ahead: number): string {
  return new Date(Date.now() + ahead * hour).toTimeString().slice(0, 5)
}

interface Asked extends Partial<MoveRequest> {
  readonly config?: Config
  readonly clock?: SimulatedClock
  readonly signal?: AbortSignal
  readonly onStep?: (step: MoveStep) => void
  readonly notes?: string[]
  readonly windows?: readonly Window[]
}

describe('a move with a time', { skip: skipWithout('dovecot') }, () => {
  let site: MovingSite

  before(async () => {
    const users = 'ann bob carl dora emil fred gina hans ida jan karl lena mia'.split(' ')
    site = await MovingSite.start({ users })
  })
  after(() => site[Symbol.asyncDispose]())

  async function move(user: string, asked: Asked): Promise<MoveReport> {
    const {
      config = site.config,
      clock = systemClock,
      notes = [],
      onStep,
      windows,
      ...rest
    } = asked
    const { signal = new AbortController().signal } = asked
    using limits = new RunLimits(config, clock, windows)
    const listener = {
      step: ({ step }: Move) => onStep?.(step),
      progress: () => undefined,
      note: (text: string) => void notes.push(text),
    }
    const to = namedBackend(config, 'ingrid')
    const wanted = { user, to, order: 'begun', merge: false, maxBad: 0, limits } as const
    return await moveUser(config, { ...wanted, ...rest }, listener, signal)
  }

  async function fill(user: string, messages: readonly RawMessage[]): Promise<void> {
    using source = await site.pair.login('source', user)
    await source.append('INBOX', messages)
  }

  async function checkEqual(user: string, count: number): Promise<void> {
    using source = await site.pair.login('source', user)
    using target = await site.pair.login('target', user)
    assert.deepEqual(await target.everything(), await source.everything())
    assert.equal((await target.contents('INBOX')).length, count)
  }

  const command = (...words: string[]) => runCommand([...words, '--config', site.configFile])
  const stepOf = async (user: string) =>
    (await listMoves(site.config)).findLast((one) => one.user === `${user}@example.com`)

  test('copies at once, freezes nobody before, and brings what has come meanwhile', async () => {
    await fill('ann', [mail('1')])
    const clock = new SimulatedClock()
    const at = clock.wall() + 5 * hour
    const frozen: number[] = []
    const waited: Promise<void>[] = []
    const onStep = (step: MoveStep): void => {
      if (step === 'freezing') frozen.push(clock.wall())
      if (step === 'waiting') waited.push(fill('ann', [mail(`2 ${waited.length}`)]))
    }
    const moved = await passTime(clock, move('ann', { at, clock, onStep }))
    await Promise.all(waited)
    assert.equal(moved.result, 'moved', JSON.stringify(moved.record?.details.error))
    // Each hour, and shortly before.
    assert.equal(waited.length, 6)
    assert.deepEqual(frozen, [at])
    await checkEqual('ann', 1 + waited.length)
  })

  test('is shown with its time, and can be given up while it waits', async () => {
    await fill('bob', [mail('1')])
    const clock = new SimulatedClock()
    const at = clock.wall() + 5 * hour
    const begun = Promise.withResolvers<void>()
    const onStep = (step: MoveStep): void => void (step === 'waiting' && begun.resolve())
    const moving = move('bob', { at, clock, onStep })
    await begun.promise
    const listed = await stepOf('bob')
    assert.deepEqual([listed?.step, listed?.at], ['waiting', new Date(at).toISOString()])
    assert.equal(listed?.awaits, `moves at ${describeMoment(at)}`)
    const aborted = await command('user', 'move', 'bob', '--to', 'ingrid', '--abort')
    assert.deepEqual([aborted.code, aborted.stderr], [0, ''])
    assert.match(aborted.stdout, /given up; bob@example\.com lives at fritz\n$/)
    assert.equal((await passTime(clock, moving)).result, 'aborted')
    assert.ok(clock.wall() < at)
    assert.equal((await stepOf('bob'))?.at, undefined)
  })

  test('that is interrupted keeps its time; run again when that is past, it says so', async () => {
    await fill('carl', [mail('1')])
    const clock = new SimulatedClock()
    const at = clock.wall() + hour
    const interrupted = new AbortController()
    const onStep = (step: MoveStep): void => void (step === 'waiting' && interrupted.abort())
    const { signal } = interrupted
    const stopped = await move('carl', { at, clock, onStep, signal })
    assert.deepEqual([stopped.result, stopped.record?.step], ['failed', 'stopped'])
    assert.match(
      (await stepOf('carl'))?.awaits ?? '',
      /^it was interrupted; run .* --to ingrid`; to move at 20/,
    )
    // Nobody has left it to that.
    assert.deepEqual(await dueMoves(site.config, at + 1, new AbortController().signal), [])
    await fill('carl', [mail('2')])
    clock.advance(2 * hour)
    const notes: string[] = []
    // As it was typed before.
    const moved = await passTime(clock, move('carl', { at, clock, notes }))
    assert.equal(moved.result, 'moved')
    assert.match(notes.join(), /^carl@example\.com: the time of the move, .*, is past: it goes on$/)
    await checkEqual('carl', 2)
  })

  test('may be left to others, who go on when it is time, and not before', async () => {
    await fill('dora', [mail('1')])
    const far = new Date(Date.now() + 48 * hour).toISOString()
    const words = ['user', 'move', 'dora', '--to', 'ingrid', '--at', far.replace(/\.\d+/, '')]
    const left = await command(...words, '--no-wait')
    assert.equal(left.code, 0, left.stderr)
    assert.match(
      left.stderr,
      /^dora@example\.com: moves at 20\d\d-.* [+-]\d\d:\d\d, in (?:1 d 23 h|2 d 0 h)\n$/,
    )
    assert.match(left.stdout, /: fritz → ingrid: copied; moves at 20/)
    const { signal } = new AbortController()
    assert.deepEqual(await dueMoves(site.config, Date.now(), signal), [])
    await fill('dora', [mail('2')])
    using journal = await MoveJournal.open(site.config.stateDir)
    const waiting = journal.lastOf('dora@example.com') ?? assert.fail()
    journal.enter(waiting, { details: { ...waiting.details, at: Date.now() - 1 } })
    const due = await command('user', 'moves', '--due')
    assert.deepEqual([due.code, due.stderr], [0, ''])
    assert.match(due.stdout, /^dora@example\.com: lives at ingrid now\n$/)
    await checkEqual('dora', 2)
    assert.equal((await command('user', 'moves', '--due')).stdout, '')
  })

  test('that others give up or put off, while those before it go on, is let alone', async () => {
    const now = Date.now()
    using journal = await MoveJournal.open(site.config.stateDir)
    const waiting = async (user: string): Promise<Move> => {
      await fill(user, [mail('1')])
      const { record } = await move(user, { at: now + hour, waits: false })
      if (record?.step !== 'waiting') assert.fail(user)
      return journal.enter(record, { details: { ...record.details, at: now - 1 } })
    }
    const ida = await waiting('ida')
    const jan = await waiting('jan')
    const karl = await waiting('karl')
    const going = dueMoves(site.config, now, new AbortController().signal)
    while (journal.read(ida.id).step === 'waiting') await turn()
    journal.enter(jan, { step: 'aborted' })
    journal.enter(karl, { details: { ...karl.details, at: now + hour } })
    const settled = await going
    assert.deepEqual(
      settled.map(({ user, moved }) => [user, moved]),
      [['ida@example.com', 'ingrid']],
    )
    const left = [jan, karl].map(({ user }) => journal.lastOf(user))
    assert.deepEqual(
      left.map((one) => [one?.id, one?.step]),
      [
        [jan.id, 'aborted'],
        [karl.id, 'waiting'],
      ],
    )
  })

  test('refuses a time that is past, or none', async () => {
    for (const [text, said] of [
      ['2020-01-01T10:00', /2020-01-01 10:00 .* is past: give a later time/],
      ['soon', /soon: write 22:30/],
      ['2026-02-30T10:00', /no such date/],
    ] as const) {
      const { code, stderr } = await command('user', 'move', 'emil', '--to', 'ingrid', '--at', text)
      assert.equal(code, 2)
      assert.match(stderr, said)
    }
    assert.equal(await stepOf('emil'), undefined)
  })

  test('no limit holds while a user is frozen', async () => {
    await fill(
      'fred',
      Array.from({ length: 20 }, (_, index) => mail(`m${index}`, 20_000)),
    )
    const bytes = { bytesPerSecond: 100, bytesPerDay: 10_000_000 }
    const migrate = {
      ...bytes,
      connections: 3,
      commandsPerSecond: 1,
      latencyLimitMs: 1,
      compress: true,
    }
    const backends = new Map(
      [...site.config.backends].map(([name, one]) => [name, { ...one, migrate }]),
    )
    const clock = new SimulatedClock()
    const seen = { isFrozen: false, isOver: false, frozenAt: 0, thawedAt: 0 }
    const onStep = (step: MoveStep): void => {
      seen.isFrozen = /^(?:freezing|settling|verifying|flipping|flipped)$/.test(step)
      if (step === 'freezing') seen.frozenAt = clock.now()
      if (step === 'sweeping') seen.thawedAt = clock.now()
    }
    const freezeTargetMs = 60_000
    const config = { ...site.config, backends, move: { ...site.config.move, freezeTargetMs } }
    const moving = move('fred', { config, clock, onStep }).finally(() => (seen.isOver = true))
    while (!seen.isOver) {
      await turn()
      // No time passes while the user waits.
      if (!seen.isFrozen && Number.isFinite(clock.nextDueMs)) {
        clock.advance(clock.nextDueMs - clock.now())
      }
    }
    assert.equal((await moving).result, 'moved')
    assert.ok(clock.now() > 4_000_000, 'it was limited before')
    assert.equal(seen.thawedAt, seen.frozenAt)
    await checkEqual('fred', 20)
  })

  /** The config, with another port for IMAP of ingrid. */
  function targetAt(port: number): Config {
    const backends = new Map(site.config.backends)
    const ingrid = backends.get('ingrid') ?? assert.fail()
    const imap = { host: '127.0.0.1', port, tls: 'none' } as const
    backends.set('ingrid', { ...ingrid, endpoints: { ...ingrid.endpoints, imap } })
    return { ...site.config, backends }
  }

  test('a message that is not answered for keeps its user frozen for the limit at most', async () => {
    await fill('mia', [mail('1')])
    let isFrozen = false
    const refuse: Refuse = (command) => (isFrozen && command.startsWith('APPEND') ? '' : undefined)
    await using proxy = await ThrottlingProxy.start(site.pair.target.ports.imap, refuse)
    const config = targetAt(proxy.port)
    const short = { ...config, move: { ...config.move, freezeLimitMs: 2_000 } }
    let frozenAt = 0
    const onStep = (step: MoveStep): void => {
      isFrozen = step === 'settling'
      if (step !== 'freezing') return
      frozenAt = performance.now()
      site.inside('mia', ['save', '-m', 'INBOX'], 'Subject: 2\r\n\r\n')
    }
    const stopped = await move('mia', { config: short, onStep })
    assert.deepEqual(
      [stopped.record?.step, stopped.record?.details.error?.code, proxy.openAtRefusals.length],
      ['stopped', 'MOVE_OVER_BUDGET', 1],
    )
    assert.ok(performance.now() - frozenAt < 4_000)
    assert.equal((await move('mia', {})).result, 'moved')
    await checkEqual('mia', 2)
  })

  test('a back-end that wants less while a user is frozen is not asked again and again', async () => {
    await fill('hans', [mail('1')])
    let isFrozen = false
    const refuse: Refuse = () => (isFrozen ? 'NO [THROTTLED] Slow down' : undefined)
    await using proxy = await ThrottlingProxy.start(site.pair.target.ports.imap, refuse)
    const config = targetAt(proxy.port)
    const onStep = (step: MoveStep): void => void (isFrozen = step === 'settling')
    const stopped = await move('hans', { config, onStep })
    assert.deepEqual(
      [stopped.result, stopped.record?.step, stopped.record?.details.error?.code],
      ['failed', 'stopped', 'BACKEND_THROTTLED'],
    )
    assert.ok(proxy.openAtRefusals.length <= 4, `${proxy.openAtRefusals.length} refusals`)
    assert.equal((await move('hans', {})).result, 'moved')
    await checkEqual('hans', 1)
  })

  test('no user is frozen who could not be thawed within the window', async () => {
    await fill('gina', [mail('1')])
    const windows = [parseWindow('22:00-06:00') ?? assert.fail()]
    const { freezeLimitMs } = site.config.move
    const late = new Date(2026, 11, 5, 6).getTime() - freezeLimitMs
    const steps: MoveStep[] = []
    const onStep = (step: MoveStep): void => void steps.push(step)
    const clock = new SimulatedClock(late)
    const stopped = await move('gina', { clock, windows, onStep })
    assert.deepEqual(
      [stopped.result, stopped.record?.step, stopped.record?.details.error?.code],
      ['failed', 'stopped', 'WINDOW_CLOSED'],
    )
    assert.ok(!steps.includes('freezing'), steps.join())
    clock.stepWall(-1_000)
    assert.equal((await move('gina', { clock, windows })).result, 'moved')
    await checkEqual('gina', 1)
  })

  test('is not waited for by a migration, which does not move its user before', async () => {
    await fill('lena', [mail('1')])
    await move('lena', { at: Date.now() + hour, waits: false })
    const words = ['--from', 'fritz', '--to', 'ingrid', '--users', 'lena', '--then', 'move']
    const { code, stdout, stderr } = await command('migrate', ...words)
    assert.deepEqual([code, stderr], [0, ''])
    assert.match(stdout, /moves at 20/)
    assert.deepEqual((await stepOf('lena'))?.step, 'waiting')
  })

  test('the command says when the next window begins, and refuses what is none', async () => {
    const words = ['migrate', '--from', 'fritz', '--to', 'ingrid', '--users', 'emil', '--no-wait']
    const closed = await command(...words, '--window', `${time(2)}-${time(3)}`, '--json')
    assert.equal(closed.code, 75, closed.stderr)
    assert.match(
      closed.stderr,
      /^outside of its windows until 20\d\d-\d\d-\d\d \d\d:\d\d [+-]\d\d:\d\d\n$/,
    )
    assert.equal((JSON.parse(closed.stdout) as { untouched: number }).untouched, 1)
    const looked = await command(...words, '--window', `${time(2)}-${time(3)}`, '--dry-run')
    assert.deepEqual([looked.code, looked.stderr], [0, ''])
    const wrong = await command(...words, '--window', 'nightly')
    assert.deepEqual([wrong.code, wrong.stdout], [2, ''])
    assert.match(wrong.stderr, /--window nightly: write 22:00-06:00 or mon-fri 22:00-06:00/)
    const open = await command(...words, '--window', `${time(-1)}-${time(2)}`)
    assert.deepEqual([open.code, open.stderr], [0, ''], open.stdout)
  })
})
