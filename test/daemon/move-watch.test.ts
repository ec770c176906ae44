/** The daemon looks after moves that no command works on any more. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { DatabaseSync } from 'node:sqlite'
import { after, before, describe, test } from 'node:test'
import type { EventFields, Log } from '../../src/base/log.ts'
import { MoveWatch } from '../../src/daemon/move-watch.ts'
import { type Move, MoveJournal } from '../../src/map/state/move-journal.ts'
import { dueMoves } from '../../src/migrate/due-moves.ts'
import { purgeMoves } from '../../src/migrate/list-moves.ts'
import type { LoggedEvent } from '../support/daemon.ts'
import { MovingSite } from '../support/moving-site.ts'
import { tempDir } from '../support/temp-dir.ts'
import { ThrottlingProxy } from '../support/throttling-proxy.ts'
import { skipWithout } from '../support/tools.ts'

const letter = 'Subject: by another way\r\n\r\nhello\r\n'

/** A command that prints it. */
const program = (text: string) => [process.execPath, '-e', `console.log(${JSON.stringify(text)})`]

/** The last move of a user is written down as one of a minute before. */
async function age(
  { config }: MovingSite,
  user: string,
  changes: Partial<Move> = {},
): Promise<void> {
  using journal = await MoveJournal.open(config.stateDir)
  const last = journal.lastOf(`${user}@example.com`) ?? assert.fail()
  const past = Date.now() - 61_000
  const details = { ...last.details, flippedAt: past, sweptAt: past }
  journal.enter(last, { details, ...changes })
}

describe('the daemon', { skip: skipWithout('dovecot') }, () => {
  let site: MovingSite

  before(async () => {
    const users = ['bob', 'carl']
    site = await MovingSite.start({ users, serves: true, moveLines: ['due_every: 1s'] })
  })
  after(() => site[Symbol.asyncDispose]())

  async function settled(user: string): Promise<LoggedEvent> {
    const daemon = site.daemon ?? assert.fail()
    for (let count = 1; ; count++) {
      await daemon.waitFor('move.settled', count)
      const events = daemon.eventsOf('move.settled')
      const found = events.find((event) => event['user'] === `${user}@example.com`)
      if (found !== undefined) return found
    }
  }

  test('sweeps where a user was a minute after the move, and counts what it found', async () => {
    assert.equal((await site.move('bob', 'ingrid')).result, 'moved')
    site.inside('bob', ['save'], letter)
    await age(site, 'bob')
    const { swept, problems, source } = await settled('bob')
    assert.deepEqual([swept, problems, source], [1, [], 'fritz'])
    using target = await site.pair.login('target', 'bob')
    assert.equal((await target.contents('INBOX')).length, 1)
    const { metrics } = (await site.daemon?.status()) ?? assert.fail()
    const page = async () => await (await fetch(`http://${metrics?.[0]}/metrics`)).text()
    let text = await page()
    // What is told was read a second ago at most.
    for (
      const until = Date.now() + 10_000;
      /stragglers_total 0/.test(text) && Date.now() < until;
    ) {
      text = await page()
    }
    assert.match(text, /^mailmux_move_stragglers_total [12]$/m)
    assert.match(text, /^mailmux_moves\{step="kept"\} [12]$/m)
  })

  test('ends a move whose command was killed after the flip', async () => {
    assert.equal((await site.move('carl', 'ingrid')).result, 'moved')
    site.inside('carl', ['save'], letter)
    await age(site, 'carl', { step: 'flipped' })
    assert.equal((await settled('carl'))['moved'], 'ingrid')
    using journal = await MoveJournal.open(site.config.stateDir)
    assert.equal(journal.lastOf('carl@example.com')?.step, 'kept')
    using target = await site.pair.login('target', 'carl')
    assert.equal((await target.contents('INBOX')).length, 1)
  })
})

describe('what looks after moves', { skip: skipWithout('dovecot') }, () => {
  let site: MovingSite

  before(async () => {
    site = await MovingSite.start({ users: ['ann', 'dora'] })
  })
  after(() => site[Symbol.asyncDispose]())

  test('says what a command printed that could not do its work, and goes on', async () => {
    assert.equal((await site.move('ann', 'ingrid')).result, 'moved')
    await age(site, 'ann')
    const { config } = site
    assert.match(await logged(config, ['/no/such/program']), /ENOENT/)
    assert.match(await logged(config, program('no JSON')), /JSON/)
    const failure = { error: { code: 'X', message: 'the disk is full' } }
    assert.match(await logged(config, program(JSON.stringify(failure))), /^the disk is full$/)
    const endless = ['/bin/sh', '-c', 'exec yes', 'yes']
    assert.match(await logged(config, endless), /JSON/)
  })

  test('lives on where the journal cannot be read, and keeps its figures', async () => {
    using dir = tempDir()
    const config = { ...site.config, stateDir: dir.path }
    await beginIn(dir.path, 'ann@example.com')
    const { log, told } = listening('internal')
    await using watch = new MoveWatch(config, { program: undefined, log })
    const { steps } = watch.figures
    assert.deepEqual(steps, new Map([['planned', 1]]))
    using database = new DatabaseSync(dir.join('state.db'))
    database.exec('DROP TABLE move')
    watch.use(config)
    assert.match((await told).detail, /no such table/)
    assert.deepEqual(watch.figures.steps, steps)
  })

  test('has others do the work who may not do what root may', {
    skip: process.getuid?.() === 0 ? false : 'needs root',
  }, async () => {
    const runAs = { user: 'nobody', uid: 65_534, gid: 65_534 }
    const told = '[{"user":"\'$(id -u):$(id -g)\'","source":"","target":"","problems":[]}]'
    const { log, told: settledAs } = listening('move.settled')
    const words = ['/bin/sh', '-c', `echo '${told}'`]
    using dir = tempDir()
    await beginIn(dir.path, 'ann@example.com')
    const config = { ...site.config, stateDir: dir.path }
    await using _watch = new MoveWatch(config, { program: words, runAs, log })
    assert.equal((await settledAs).user, '65534:65534')
  })

  test('does not wait for a back-end that is away with each of its users', async () => {
    const users = ['eva', 'fred', 'gina'].map((name) => `${name}@example.com`)
    for (const user of users) {
      await beginIn(site.config.stateDir, user)
      await age(site, user.replace(/@.*/, ''), { step: 'kept' })
    }
    const fritz = site.config.backends.get('fritz') ?? assert.fail()
    const imap = { host: '127.0.0.1', port: 1, tls: 'none' } as const
    const backends = new Map(site.config.backends).set('fritz', {
      ...fritz,
      endpoints: { ...fritz.endpoints, imap },
    })
    const { signal } = new AbortController()
    const settled = await dueMoves({ ...site.config, backends }, Date.now(), signal)
    assert.deepEqual(
      settled.map(({ error }) => error?.code),
      ['BACKEND_UNREACHABLE'],
    )
    // Where it is in the config no more, there is nothing to sweep or to purge.
    backends.delete('fritz')
    const gone = { ...site.config, backends }
    assert.deepEqual(await dueMoves(gone, Date.now(), signal), [])
    const purged = await purgeMoves(gone, Date.now() + 15 * 86_400_000, signal)
    const [eva] = purged.filter(({ user }) => user === users[0])
    assert.deepEqual(
      [eva?.purged, eva?.notes, eva?.error],
      [0, ['fritz is in the config no more: what is there stays'], undefined],
    )
    using journal = await MoveJournal.open(site.config.stateDir)
    assert.equal(journal.lastOf(users[0] ?? '')?.step, 'ended')
  })

  test('goes on with a move after its own end has interrupted one', async () => {
    using imap = await site.pair.login('source', 'dora')
    await imap.append('INBOX', [
      { flags: [], date: '17-Jul-1996 02:44:25 -0700', body: Buffer.from(letter) },
    ])
    const ended = new AbortController()
    const refuse = (command: string): undefined => {
      if (/FETCH/.test(command)) ended.abort(new Error('interrupted'))
    }
    await using way = await ThrottlingProxy.start(site.pair.source.ports.imap, refuse)
    const fritz = site.config.backends.get('fritz') ?? assert.fail()
    const imapThere = { host: '127.0.0.1', port: way.port, tls: 'none' } as const
    const endpoints = { ...fritz.endpoints, imap: imapThere }
    const backends = new Map(site.config.backends).set('fritz', { ...fritz, endpoints })
    const user = 'dora@example.com'
    await beginIn(site.config.stateDir, user)
    const [one] = await dueMoves({ ...site.config, backends }, Date.now(), ended.signal)
    assert.equal(one?.error?.code, 'MOVE_STOPPED')
    using journal = await MoveJournal.open(site.config.stateDir)
    const left = journal.lastOf(user)
    assert.deepEqual([left?.step, left?.details.error], ['planned', undefined])
    const { signal } = new AbortController()
    const [again] = await dueMoves(site.config, Date.now(), signal)
    assert.deepEqual([again?.user, again?.moved], [user, 'ingrid'])
  })
})

/** A move to ingrid whose time has come. */
async function beginIn(stateDir: string, user: string): Promise<void> {
  using journal = await MoveJournal.open(stateDir)
  const route = { user, source: 'fritz', target: 'ingrid', login: user, value: 'ingrid' }
  journal.begin({ ...route, isReturn: false, merge: false, maxBad: 0 }, Date.now())
}

/** Is told of what a watch logs, of one name. */
function listening<Name extends 'internal' | 'move.settled'>(wanted: Name) {
  const events = new EventTarget()
  const log: Log = (name, fields) => {
    assert.equal(name, wanted)
    events.dispatchEvent(new CustomEvent(name, { detail: fields }))
  }
  const told = once(events, wanted).then(([event]) => {
    return (event as CustomEvent<EventFields[Name]>).detail
  })
  return { log, told }
}

/** What a watch logs as its own failure. */
async function logged(config: MovingSite['config'], program: readonly string[]): Promise<string> {
  const { log, told } = listening('internal')
  await using _watch = new MoveWatch(config, { program, log })
  const { reason, detail } = await told
  assert.equal(reason, 'moves')
  return detail
}
