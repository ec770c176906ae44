/** Moves that something stands in the way of, and what comes after moves. No daemon runs. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readFileSync, renameSync, rmSync } from 'node:fs'
import { after, before, describe, test } from 'node:test'
import type { Config } from '../../src/config/config.ts'
import { namedBackend } from '../../src/config/named-backend.ts'
import { addUser } from '../../src/map/edit/add-user.ts'
import { lockMailbox } from '../../src/map/state/mailbox-lock.ts'
import { MoveJournal } from '../../src/map/state/move-journal.ts'
import {
  listMoves,
  purgeMoves,
  type SettledMove,
  sweepMoves,
} from '../../src/migrate/list-moves.ts'
import { type MoveReport, type MoveRequest, moveUser } from '../../src/migrate/move-user.ts'
import { runCommand } from '../support/command.ts'
import { password } from '../support/mailbox-pair.ts'
import { MovingSite } from '../support/moving-site.ts'
import { sieveOf } from '../support/sieve-round.ts'
import type { RawImap, RawMessage } from '../support/raw-imap.ts'
import { ThrottlingProxy } from '../support/throttling-proxy.ts'
import { skipWithout } from '../support/tools.ts'

const users =
  'ann bob carl dora emil fred gina hans ida karl lena mia nils olga paul uwe wim'.split(' ')
const poor = { name: 'poor', quotaKib: 20 }
const { signal } = new AbortController()
const day = 86_400_000

function mail(text: string, bytes = 0): RawMessage {
  const body = `Subject: ${text}\r\n\r\n${`${'x'.repeat(70)}\r\n`.repeat(bytes / 72)}`
  return { flags: [], date: '17-Jul-1996 02:44:25 -0700', body: Buffer.from(body) }
}

async function fill(imap: RawImap): Promise<void> {
  await imap.command('CREATE work/letters')
  await imap.append('INBOX', [mail('1'), mail('2'), mail('2')])
  await imap.append('work/letters', [mail('3')])
}

const older = 'as it was before messages were copied there'
const stays = (folder: string, why: string) => `${folder} stays: ingrid: ${folder} is ${why}`

const errorOf = ({ record }: MoveReport) => record?.details.error?.code

function ofUser(name: string, all: readonly SettledMove[]): SettledMove[] {
  return all.filter(({ user }) => user === `${name}@example.com`)
}

describe('moves', { skip: skipWithout('dovecot') }, () => {
  let site: MovingSite

  before(async () => {
    site = await MovingSite.start({
      users: [...users, poor],
      placedByRules: ['dora'],
      hasSieve: true,
    })
  })
  after(() => site[Symbol.asyncDispose]())

  function move(
    user: string,
    to = 'ingrid',
    changes: Partial<MoveRequest> & {
      readonly config?: Config
      readonly onNote?: (text: string) => void
    } = {},
  ): Promise<MoveReport> {
    const { config = site.config, onNote: note = () => undefined, ...rest } = changes
    const wanted = { user, to: namedBackend(config, to), order: 'begun', merge: false } as const
    const listener = { step: () => undefined, progress: () => undefined, note }
    return moveUser(config, { ...wanted, maxBad: 0, ...rest }, listener, signal)
  }

  /** The config, with another port for IMAP of one of them. */
  function withPort(name: 'fritz' | 'ingrid', port: number): Config {
    const backends = new Map(site.config.backends)
    const backend = backends.get(name) ?? assert.fail()
    const imap = { host: '127.0.0.1', port, tls: 'none' } as const
    backends.set(name, { ...backend, endpoints: { ...backend.endpoints, imap } })
    return { ...site.config, backends }
  }

  const command = (...words: string[]) => runCommand([...words, '--config', site.configFile])
  const userMap = () => readFileSync(site.dir.join('user_map'), 'utf8')

  test('the command looks first, moves, and says both; the list says what is awaited', async () => {
    using source = await site.pair.login('source', 'ann')
    await fill(source)
    using scripts = await sieveOf(site.pair.source.ports.sieve, 'ann@example.com', password)
    scripts.send('PUTSCRIPT "mine" {5+}\r\nkeep;\r\nSETACTIVE "mine"\r\n')
    await scripts.expect(/^OK.*\r\nOK.*\r\n/)
    const looked = await command('user', 'move', 'ann', '--to', 'ingrid', '--dry-run')
    assert.deepEqual([looked.code, looked.stderr], [0, ''])
    assert.match(
      looked.stdout,
      /^ann@example\.com: fritz → ingrid: 4 messages, .* in \d+ folders, about \d+s to copy and \d+s frozen\n$/,
    )
    assert.match(userMap(), /ann@example\.com\tfritz\n/)
    const moved = await command('user', 'move', 'ann', '--to', 'ingrid')
    assert.deepEqual([moved.code, moved.stderr], [0, ''])
    assert.match(moved.stdout, /: done; 4 messages, .* copied; frozen for \d\.\d s\n$/)
    assert.match(userMap(), /ann@example\.com\tingrid\n/)
    using target = await site.pair.login('target', 'ann')
    assert.deepEqual(await target.everything(), await source.everything())
    using carried = await sieveOf(site.pair.target.ports.sieve, 'ann@example.com', password)
    carried.send('LISTSCRIPTS\r\n')
    await carried.expect(/^"mine" ACTIVE\r\nOK.*\r\n/)
    const again = await command('user', 'move', 'ann', '--to', 'ingrid', '--json')
    assert.deepEqual([again.code, (JSON.parse(again.stdout) as MoveReport).result], [0, 'there'])
    const listed = await command('user', 'moves')
    assert.match(listed.stdout, /ann@example\.com +fritz +ingrid +kept .* kept at fritz until 20/)
    const explained = await command('explain', 'ann')
    assert.match(
      explained.stdout,
      /\n\nmove from fritz to ingrid: kept; kept at fritz until 20.*\n$/,
    )
    const aborted = await command('user', 'move', 'ann', '--to', 'ingrid', '--abort')
    assert.deepEqual([aborted.code, aborted.stdout.includes('lives at ingrid')], [65, true])
  })

  test('a mailbox that is not empty is left alone, unless it is to be added to', async () => {
    using source = await site.pair.login('source', 'bob')
    using target = await site.pair.login('target', 'bob')
    await fill(source)
    await target.append('INBOX', [mail('welcome')])
    assert.equal(errorOf(await move('bob')), 'TARGET_NOT_EMPTY')
    assert.match(userMap(), /bob@example\.com\tfritz\n/)
    assert.equal((await move('bob', 'ingrid', { order: 'aborted' })).result, 'aborted')
    assert.equal((await move('bob', 'ingrid', { merge: true })).result, 'moved')
    assert.equal((await target.contents('INBOX')).length, 4)
  })

  test('a user who has too little room there stays', async () => {
    using source = await site.pair.login('source', 'poor')
    using target = await site.pair.login('target', 'poor')
    await source.append('INBOX', [mail('1', 9_000), mail('2', 9_000)])
    await target.append('INBOX', [mail('3', 9_000)])
    const full = await move('poor', 'ingrid', { merge: true })
    assert.deepEqual([full.result, errorOf(full)], ['failed', 'TARGET_FULL'])
    assert.match(userMap(), /poor@example\.com\tfritz\n/)
    await target.command('SELECT INBOX')
    await target.command('STORE 1 +FLAGS (\\Deleted)')
    await target.command('EXPUNGE')
    assert.equal((await move('poor', 'ingrid')).result, 'moved')
    assert.deepEqual(await target.everything(), await source.everything())
  })

  test('one who works on the mailbox keeps others from it', async () => {
    using _lock = await lockMailbox(site.config.stateDir, 'carl@example.com')
    await assert.rejects(move('carl'), { code: 'MIGRATION_BUSY' })
  })

  test('a move to elsewhere waits for the end of the one that is under way', async () => {
    using journal = await MoveJournal.open(site.config.stateDir)
    const plan = { login: 'carl@example.com', value: 'ulla', isReturn: false, merge: false }
    const begun = journal.begin({
      ...plan,
      user: 'carl@example.com',
      source: 'fritz',
      target: 'ulla',
      maxBad: 0,
    })
    await assert.rejects(move('carl'), { code: 'MOVE_REFUSED', message: /to ulla \(planned\)/ })
    journal.enter(begun, { step: 'aborted' })
  })

  test('who is placed by a rule gets a line, and other names of a mailbox are refused', async () => {
    using source = await site.pair.login('source', 'dora')
    await fill(source)
    assert.equal((await move('dora')).result, 'moved')
    assert.match(userMap(), /\ndora@example\.com\s+ingrid\n/)
    const built = await command('build-map', '--check')
    assert.equal(built.code, 0, built.stderr)

    const name = { everyDomain: false, retrieval: undefined, replace: false }
    await addUser(site.config, { ...name, name: 'e.smith', value: 'emil@example.com@fritz' })
    await assert.rejects(move('emil'), {
      code: 'MOVE_REFUSED',
      message: /e\.smith@example\.com leads to the same mailbox/,
    })
  })

  test('a back-end that is down leaves the user where the mailbox was', async () => {
    using source = await site.pair.login('source', 'fred')
    await fill(source)
    const ingrid = namedBackend(site.config, 'ingrid')
    const imap = { host: '127.0.0.1', port: 1, tls: 'none' } as const
    const down = { ...ingrid, endpoints: { ...ingrid.endpoints, imap } }
    const config = { ...site.config, backends: new Map(site.config.backends).set('ingrid', down) }
    const failed = await move('fred', 'ingrid', { config })
    assert.deepEqual([failed.result, errorOf(failed)], ['failed', 'BACKEND_UNREACHABLE'])
    const [listed] = (await listMoves(site.config)).slice(-1)
    assert.match(listed?.awaits ?? '', /run `mailmux user move fred@example\.com --to ingrid`/)
    assert.equal((await move('fred')).result, 'moved')
  })

  test('what is numbered anew, or renamed, between two runs is there once', async () => {
    using source = await site.pair.login('source', 'gina')
    await fill(source)
    const limit = { ...site.config.move, freezeLimitMs: 0 }
    const stopped = await move('gina', 'ingrid', { config: { ...site.config, move: limit } })
    assert.equal(errorOf(stopped), 'MOVE_OVER_BUDGET')
    using target = await site.pair.login('target', 'gina')
    assert.deepEqual(await target.everything(), await source.everything())
    await source.command('SELECT INBOX')
    await source.command('RENAME work/letters work/post')
    await source.command('CREATE again')
    await source.append('again', [mail('4')])
    assert.equal(
      errorOf(await move('gina', 'ingrid', { config: { ...site.config, move: limit } })),
      'MOVE_OVER_BUDGET',
    )
    await source.command('DELETE again')
    await source.command('CREATE again')
    await source.append('again', [mail('4'), mail('5')])
    assert.equal((await move('gina')).result, 'moved')
    assert.deepEqual(await target.everything(), await source.everything())
  })

  test('a migration moves those whose mailboxes are equal, and tells of each', async () => {
    using source = await site.pair.login('source', 'ida')
    await fill(source)
    const words = ['--from', 'fritz', '--to', 'ingrid', '--users', 'ida', '--then', 'move']
    const { code, stdout, stderr } = await command('migrate', ...words)
    assert.deepEqual([code, stderr], [0, ''], stdout)
    assert.match(stdout, /^ida@example\.com: done; 4 messages, .*; moved, frozen for \d\.\d s\n$/)
    assert.match(userMap(), /ida@example\.com\tingrid\n/)
    using target = await site.pair.login('target', 'ida')
    assert.deepEqual(await target.everything(), await source.everything())
  })

  test('what comes to the old mailbox is brought over once; then it is purged', async () => {
    using source = await site.pair.login('source', 'hans')
    await fill(source)
    assert.equal((await move('hans')).result, 'moved')
    using target = await site.pair.login('target', 'hans')
    await target.command('SELECT INBOX')
    await target.command('STORE 1 +FLAGS (\\Deleted)')
    await target.command('EXPUNGE')
    await source.append('INBOX', [mail('late')])
    const sweep = async () => ofUser('hans', await sweepMoves(site.config, signal))
    const told = { user: 'hans@example.com', source: 'fritz', target: 'ingrid', problems: [] }
    assert.deepEqual(await sweep(), [{ ...told, swept: 1 }])
    assert.equal((await target.contents('INBOX')).length, 3)
    await target.command('SELECT INBOX')
    await target.command('STORE 3 +FLAGS (\\Deleted)')
    await target.command('EXPUNGE')
    // What the user has deleted since does not come again.
    assert.deepEqual(await sweep(), [{ ...told, swept: 0 }])
    assert.equal((await target.contents('INBOX')).length, 2)

    assert.deepEqual(
      ofUser('hans', await purgeMoves(site.config, Date.now() + 13 * day, signal)),
      [],
    )
    const later = Date.now() + 15 * day
    await source.append('INBOX', [mail('later')])
    const purged = ofUser('hans', await purgeMoves(site.config, later, signal))
    assert.deepEqual(purged, [{ ...told, swept: 1, purged: 6 }])
    assert.equal((await source.contents('INBOX')).length, 0)
    assert.equal((await target.contents('INBOX')).length, 3)
    assert.deepEqual((await source.folders()).includes('work/letters'), false)
  })

  test('a message that is refused is left behind by another run that may do so', async () => {
    using source = await site.pair.login('source', 'nils')
    await source.append('INBOX', [mail('1')])
    await using proxy = await ThrottlingProxy.start(site.pair.target.ports.imap, (asked) =>
      asked.startsWith('APPEND') ? 'NO [CANNOT] not this one' : undefined,
    )
    const config = withPort('ingrid', proxy.port)
    const stopped = await move('nils', 'ingrid', { config })
    assert.deepEqual([stopped.record?.step, errorOf(stopped)], ['stopped', 'TOO_MANY_BAD'])
    const moved = await move('nils', 'ingrid', { config, maxBad: 1 })
    assert.deepEqual([moved.result, moved.bad.length], ['moved', 1], errorOf(moved) ?? '')
  })

  test('one that others have gone on with, while those before it were swept, is let alone', async () => {
    for (const user of ['lena', 'mia']) assert.equal((await move(user)).result, 'moved')
    using journal = await MoveJournal.open(site.config.stateDir)
    const mia = journal.lastOf('mia@example.com') ?? assert.fail()
    await using proxy = await ThrottlingProxy.start(site.pair.source.ports.imap, () => {
      if (journal.read(mia.id).step === 'kept') journal.enter(mia, { step: 'ended' })
      return undefined
    })
    const settled = await sweepMoves(withPort('fritz', proxy.port), signal)
    assert.deepEqual([ofUser('lena', settled).length, ofUser('mia', settled).length], [1, 0])
    assert.equal(journal.read(mia.id).step, 'ended')
  })

  test('who came from a back-end that is in the config no more can move on', async () => {
    assert.equal((await move('paul')).result, 'moved')
    const { fritz, ...others } = Object.fromEntries(site.config.backends)
    const otto = { ...(fritz ?? assert.fail()), name: 'otto' }
    const config = { ...site.config, backends: new Map(Object.entries({ ...others, otto })) }
    const notes: string[] = []
    const onNote = (text: string): void => void notes.push(text)
    const moved = await move('paul', 'otto', { config, merge: true, onNote })
    assert.equal(moved.result, 'moved', errorOf(moved) ?? '')
    assert.match(
      notes.join(),
      /^paul@example\.com: fritz is in the config no more: what came there /,
    )
    // Nobody else's config knows otto.
    const back = await move('paul', 'ingrid', { config })
    assert.equal(back.result, 'moved', errorOf(back) ?? '')
  })

  async function purge(
    user: string,
    isUnverified = false,
  ): Promise<[number | undefined, readonly string[] | undefined]> {
    const later = Date.now() + 15 * day
    const [told] = ofUser(user, await purgeMoves(site.config, later, signal, { isUnverified }))
    return [told?.purged, told?.problems]
  }

  /** Where a user's mail is at ingrid. */
  const storeOf = (user: string) => site.dir.join('target', 'mail', `${user}@example.com`)

  test('what the new home has lost is not purged; what its user has done there is no loss', async () => {
    using source = await site.pair.login('source', 'wim')
    await fill(source)
    await source.command('CREATE other')
    await source.append('other', [mail('4')])
    assert.equal((await move('wim')).result, 'moved')
    const before = await source.everything()
    const aside = site.dir.join('aside')
    renameSync(storeOf('wim'), aside)
    const [none, problems] = await purge('wim')
    // One that is made in the same second has the same number.
    const reason = problems?.[1]?.includes('anew') ? 'numbered anew' : older
    assert.deepEqual(
      [none, problems],
      [
        0,
        [stays('work/letters', 'not there'), stays('INBOX', reason), stays('other', 'not there')],
      ],
    )
    assert.deepEqual(await source.everything(), before)
    rmSync(storeOf('wim'), { recursive: true })
    renameSync(aside, storeOf('wim'))
    using target = await site.pair.login('target', 'wim')
    await target.command('RENAME work/letters kept')
    await target.command('DELETE other')
    await target.command('SELECT INBOX')
    await target.command('STORE 1 +FLAGS (\\Deleted)')
    await target.command('EXPUNGE')
    assert.deepEqual(await purge('wim'), [4, [stays('other', 'not there')]])
    assert.deepEqual(await purge('wim', true), [1, []])
  })

  test('nothing is purged for a new home that was put back to an older state', async () => {
    using source = await site.pair.login('source', 'uwe')
    await fill(source)
    assert.equal((await move('uwe')).result, 'moved')
    const [backup, aside] = [site.dir.join('backup'), site.dir.join('uwe')]
    execFileSync('cp', ['-a', storeOf('uwe'), backup])
    await source.append('INBOX', [mail('late')])
    await sweepMoves(site.config, signal)
    renameSync(storeOf('uwe'), aside)
    renameSync(backup, storeOf('uwe'))
    assert.deepEqual(await purge('uwe'), [1, [stays('INBOX', older)]])
    {
      using target = await site.pair.login('target', 'uwe')
      await target.append('INBOX', [mail('another')])
    }
    const other = 'INBOX has 1 message that is not what was copied there'
    assert.deepEqual(await purge('uwe'), [0, [`INBOX stays: ingrid: ${other}`]])
    assert.equal((await source.contents('INBOX')).length, 4)
    rmSync(storeOf('uwe'), { recursive: true })
    renameSync(aside, storeOf('uwe'))
    assert.deepEqual(await purge('uwe'), [4, []])
  })

  test('what comes while a folder is purged is not taken away with it', async () => {
    using source = await site.pair.login('source', 'olga')
    await source.command('CREATE late')
    await source.append('late', [mail('a')])
    const { record } = await move('olga')
    if (record?.step !== 'kept') assert.fail()
    using journal = await MoveJournal.open(site.config.stateDir)
    await using proxy = await ThrottlingProxy.start(site.pair.source.ports.imap, (asked) => {
      if (asked.startsWith('UID EXPUNGE') && journal.read(record.id).step === 'purging') {
        site.inside('olga', ['save', '-m', 'late'], 'Subject: b\r\n\r\n')
      }
      return undefined
    })
    const later = Date.now() + 15 * day
    const config = withPort('fritz', proxy.port)
    const [purged] = ofUser('olga', await purgeMoves(config, later, signal))
    assert.deepEqual(purged?.problems, ['late: messages came while it was purged'])
    const [again] = ofUser('olga', await purgeMoves(site.config, later, signal))
    assert.deepEqual([again?.swept, again?.problems], [1, []])
    using target = await site.pair.login('target', 'olga')
    assert.equal((await target.contents('late')).length, 2)
  })

  test('a folder that cannot be read is told of by sweep and purge, and left as it is', async () => {
    using source = await site.pair.login('source', 'karl')
    await source.command('CREATE late')
    await source.append('late', [mail('a')])
    assert.equal((await move('karl')).result, 'moved')
    await source.append('late', [mail('b')])
    const later = Date.now() + 15 * day
    {
      using _ = site.pair.unreadable('source', 'karl', 'late')
      for (const settled of [
        await sweepMoves(site.config, signal),
        await purgeMoves(site.config, later, signal),
      ]) {
        const [told] = ofUser('karl', settled)
        assert.equal(told?.swept, 0)
        assert.match(told?.problems.join() ?? '', /late: Internal error/)
      }
    }
    const [told] = ofUser('karl', await purgeMoves(site.config, later, signal))
    assert.deepEqual([told?.swept, told?.purged, told?.problems], [1, 2, []])
  })
})
