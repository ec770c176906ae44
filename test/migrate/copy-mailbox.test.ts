/** Copies of mailboxes between two Dovecots, read by a reader of the tests' own. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, before, describe, test } from 'node:test'
import { CopyJournal } from '../../src/map/state/copy-journal.ts'
import { BadMessages } from '../../src/migrate/bad-messages.ts'
import { MailboxCopy } from '../../src/migrate/copy-mailbox.ts'
import { verifyMailbox } from '../../src/migrate/verify-mailbox.ts'
import { doorTo, MailboxPair, smallPieces } from '../support/mailbox-pair.ts'
import { oddMessages, putMaildirFiles } from '../support/maildir.ts'
import { fillNasty, nastyMessages } from '../support/nasty-mailbox.ts'
import { randomOf } from '../support/random.ts'
import { plainImap } from '../support/plain-imap.ts'
import type { RawContent, RawImap } from '../support/raw-imap.ts'
import { tempDir } from '../support/temp-dir.ts'
import { skipWithout } from '../support/tools.ts'

const { signal } = new AbortController()
const seed = Number(process.env['SEED'] ?? 20_261_130)
const people = [
  'ann',
  'bob',
  'carl',
  'dora',
  'emil',
  'fred',
  'gina',
  'hans',
  'ida',
  'jan',
  'kim',
  'jana',
  'lena',
  'leo',
  'mona',
  'nils',
  'olga',
  'paul',
] as const
const plain = { flags: [], date: '17-Jul-1996 02:44:25 -0700' } as const
const mail = (text: string) => ({ ...plain, body: Buffer.from(`Subject: ${text}\r\n\r\n`) })

const large = (text: string) => ({
  ...mail(text),
  body: Buffer.from(`Subject: ${text}\r\n\r\n${'x'.repeat(40_000)}`),
})
const sorted = (contents: RawContent[]) => contents.map((one) => JSON.stringify(one)).sort()

/** Names of the source as the target, with `.` between levels and a prefix, has them. */
function atTarget(everything: Record<string, RawContent[]>): Record<string, RawContent[]> {
  return Object.fromEntries(
    Object.entries(everything).map(([name, messages]) => [
      name === 'INBOX' ? name : `INBOX.${name.replaceAll('/', '.')}`,
      messages,
    ]),
  )
}

/** Of a server that keeps no keywords but those that it has: another stands for `\\*`. */
function withoutNewKeywords(bytes: Buffer): Buffer {
  const text = bytes.toString('latin1')
  return Buffer.from(text.replace(/(PERMANENTFLAGS \([^)]*)\\\*\)/g, '$1$x)'), 'latin1')
}

describe('a copy', { skip: skipWithout('dovecot') }, () => {
  const dir = tempDir()
  let pair: MailboxPair

  before(async () => {
    pair = await MailboxPair.start(dir, {
      users: [...people, { name: 'karl', quotaKib: 100 }],
      source: ['namespace inbox {', '  mailbox Sent {', '    special_use = \\Sent', '  }', '}'],
      target: [
        'namespace inbox {',
        '  separator = .',
        '  prefix = INBOX.',
        '  mailbox Gesendet {',
        '    special_use = \\Sent',
        '    auto = create',
        '  }',
        '}',
      ],
    })
  })
  after(async () => {
    await pair[Symbol.asyncDispose]()
    dir[Symbol.dispose]()
  })

  async function ends(user: string): Promise<[RawImap, RawImap] & Disposable> {
    const both = [await pair.login('source', user), await pair.login('target', user)] as const
    return Object.assign([...both] as [RawImap, RawImap], {
      [Symbol.dispose]: () => both.forEach((one) => one[Symbol.dispose]()),
    })
  }

  test(`brings over octets, dates, flags and order of a nasty mailbox, and then nothing, seed ${seed}`, async () => {
    using both = await ends('ann')
    const [source, target] = both
    await fillNasty(source, seed, 25)
    const report = await pair.pass('ann')
    assert.deepEqual(report.problems, [])
    const { Sent: sent, ...rest } = await source.everything()
    const expected = { ...atTarget(rest), 'INBOX.Gesendet': sent }
    assert.deepEqual(await target.everything(), expected)
    const subscribed = (await target.subscribed()).sort()
    const wanted = (await source.subscribed()).map((name) =>
      name === 'INBOX' ? name : `INBOX.${name.replaceAll('/', '.')}`,
    )
    assert.deepEqual(subscribed, wanted.sort())
    const again = await pair.pass('ann')
    assert.deepEqual([again.copied, again.folders.length], [0, 0])
  })

  test('brings over what only files of a Maildir hold, and leaves a message of no octets', async () => {
    using both = await ends('mona')
    const [source, target] = both
    const store = dir.join('source', 'mail', 'mona@example.com')
    putMaildirFiles(store, '.odd', Object.values(oddMessages))
    const bad = new BadMessages(dir.join('state'), 'mona', 1)
    const report = await pair.pass('mona', { bad, batches: smallPieces })
    assert.deepEqual([report.problems, report.copied], [[], 10])
    const [empty, ...rest] = await source.contents('odd')
    assert.equal(empty?.bytes, 0)
    assert.deepEqual(await target.contents('INBOX.odd'), rest)
    const [left, ...others] = bad.found
    assert.ok(left !== undefined && others.length === 0)
    assert.deepEqual([left.folder, left.uid, left.sizeBytes], ['odd', 1, 0])
    assert.match(left.reason, /^Can't save a zero byte message/)
    assert.equal(readFileSync(left.file).length, 0)
    assert.equal((await pair.pass('mona', { bad })).copied, 0)
  })

  test('follows flags, expunges, new messages and folders that come, go and are renamed', async () => {
    using both = await ends('bob')
    const [source, target] = both
    await source.command('CREATE old')
    await source.command('CREATE gone')
    const messages = nastyMessages(randomOf(seed + 1), 30)
    await source.append('INBOX', messages)
    await source.append('old', messages.slice(0, 5))
    await source.append('gone', messages.slice(5, 9))
    await pair.pass('bob')
    await source.command('SELECT INBOX')
    await source.command('UID STORE 1:7 FLAGS (\\Flagged one)')
    await source.command('UID STORE 8 FLAGS ()')
    await source.command('UID STORE 20:22 +FLAGS (\\Deleted)')
    await source.command('UID EXPUNGE 20:22')
    await source.command('RENAME old new')
    await source.command('DELETE gone')
    await source.append('INBOX', [mail('late')])
    const report = await pair.pass('bob')
    assert.deepEqual(report.problems, [])
    const { 'INBOX.Gesendet': _, ...found } = await target.everything()
    assert.deepEqual(found, atTarget(await source.everything()))
    const [inbox] = report.folders.filter((folder) => folder.source === 'INBOX')
    // Those of 1 to 8 that had these flags already do not count.
    assert.deepEqual([inbox?.copied, inbox?.expunged], [1, 3])
    assert.ok((inbox?.flagged ?? 0) > 0 && (inbox?.flagged ?? 0) <= 8)
  })

  test('knows messages again when the source numbers them anew, and takes away those that are gone', async () => {
    using both = await ends('carl')
    const [source, target] = both
    const messages = nastyMessages(randomOf(seed + 2), 25)
    await source.command('CREATE work')
    await source.append('work', messages)
    await pair.pass('carl')
    const numbers = await target.uids('INBOX.work')
    await source.command('DELETE work')
    await source.command('CREATE work')
    await source.append('work', [...messages.slice(3), mail('new')])
    const report = await pair.pass('carl')
    const [work] = report.folders.filter((folder) => folder.source === 'work')
    assert.deepEqual([work?.found, work?.copied, work?.expunged], [22, 1, 3])
    assert.deepEqual(
      sorted(await target.contents('INBOX.work')),
      sorted(await source.contents('work')),
    )
    const kept = (await target.uids('INBOX.work')).filter((uid) => numbers.includes(uid))
    assert.equal(kept.length, 22)
  })

  test('knows messages again when the target numbers them anew', async () => {
    using both = await ends('dora')
    const [source, target] = both
    const messages = nastyMessages(randomOf(seed + 3), 20)
    await source.append('INBOX', [mail('x')])
    await source.command('CREATE work')
    await source.append('work', messages)
    await pair.pass('dora')
    await target.command('CREATE INBOX.copy')
    await target.command('SELECT INBOX.work')
    await target.command('UID COPY 1:* INBOX.copy')
    await target.command('CLOSE')
    await target.command('DELETE INBOX.work')
    await target.command('RENAME INBOX.copy INBOX.work')
    const report = await pair.pass('dora')
    const [work] = report.folders.filter((folder) => folder.source === 'work')
    // CLOSE has expunged those with \Deleted, of the original alone.
    assert.deepEqual([work?.found, work?.copied], [20, 0])
    assert.deepEqual(await target.contents('INBOX.work'), await source.contents('work'))
  })

  test('leaves alone what was at the target before, and what came there since, alike or not', async () => {
    using both = await ends('emil')
    const [source, target] = both
    await source.append('INBOX', [mail('alike'), mail('b')])
    await target.append('INBOX', [mail('before'), mail('alike')])
    await pair.pass('emil')
    await target.append('INBOX', [mail('since')])
    await source.command('SELECT INBOX')
    await source.command('UID STORE 1:* +FLAGS (\\Deleted)')
    await source.command('EXPUNGE')
    await source.append('INBOX', [mail('since')])
    await pair.pass('emil')
    await pair.pass('emil')
    const subjects = await bodiesOf(target, 'INBOX')
    assert.deepEqual(subjects, ['before', 'alike', 'since'])
  })

  test('that is only to add follows neither flags nor expunges, and brings nothing back', async () => {
    using both = await ends('fred')
    const [source, target] = both
    await source.append('INBOX', ['a', 'b', 'c'].map(mail))
    await pair.pass('fred')
    await source.command('SELECT INBOX')
    await source.command('UID STORE 1 +FLAGS (\\Deleted)')
    await source.command('UID EXPUNGE 1')
    await source.command('UID STORE 2 +FLAGS (\\Flagged)')
    await source.append('INBOX', [mail('d')])
    await target.command('SELECT INBOX')
    await target.command('UID STORE 3 +FLAGS (\\Deleted)')
    await target.command('UID EXPUNGE 3')
    await pair.pass('fred', {}, false)
    assert.deepEqual(await bodiesOf(target, 'INBOX'), ['a', 'b', 'd'])
    const flags = (await target.contents('INBOX')).map((one) => one.flags)
    assert.deepEqual(flags, ['', '', ''])
  })

  test('brings back what went at the target while nobody should work there', async () => {
    using both = await ends('kim')
    const [source, target] = both
    await source.append('INBOX', ['a', 'b'].map(mail))
    await pair.pass('kim')
    await target.command('SELECT INBOX')
    await target.command('UID STORE 1 +FLAGS (\\Deleted)')
    await target.command('UID EXPUNGE 1')
    await pair.pass('kim')
    assert.deepEqual((await bodiesOf(target, 'INBOX')).sort(), ['a', 'b'])
  })

  test('sees over the connections that it has what came since they were opened', async () => {
    using source = await pair.login('source', 'jana')
    using target = await pair.login('target', 'jana')
    await source.append('INBOX', nastyMessages(randomOf(5), 4))
    using journal = await CopyJournal.open(dir.join('state'))
    await using copy = await MailboxCopy.open(pair.planFor('jana'), journal, signal)
    await copy.pass({ mirror: true })
    await source.append('INBOX', nastyMessages(randomOf(6), 3))
    assert.equal((await copy.pass({ mirror: true })).copied, 3)
    await source.command('SELECT INBOX')
    await source.command('STORE 1 +FLAGS (\\Answered)')
    assert.equal((await copy.pass({ mirror: true })).unchanged, 0)
    assert.deepEqual(await target.contents('INBOX'), await source.contents('INBOX'))
  })

  test('over several connections is the same as over one', async () => {
    using both = await ends('gina')
    const [source, target] = both
    await fillNasty(source, seed + 4, 60)
    const report = await pair.pass('gina', { lanes: 3, appends: 4, batches: smallPieces })
    assert.ok(report.folders.every(({ isInOrder }) => isInOrder))
    const { Sent: sent, ...rest } = await source.everything()
    assert.deepEqual(await target.everything(), { ...atTarget(rest), 'INBOX.Gesendet': sent })
  })

  test('from a prefix and dots to none and slashes is the same the other way round', async () => {
    using both = await ends('ida')
    const [atFritz, atIngrid] = both
    const messages = nastyMessages(randomOf(seed + 5), 8)
    for (const folder of ['INBOX.a.b', 'INBOX.&ZeVnLIqe-']) {
      await atIngrid.command(`CREATE "${folder}"`)
      await atIngrid.append(folder, messages)
    }
    const { source, target } = pair.endsOf('ida')
    const route = { source: 'ingrid', target: 'fritz', ends: { source: target, target: source } }
    assert.deepEqual((await pair.pass('ida', route)).problems, [])
    const expected = await atIngrid.contents('INBOX.a.b')
    assert.deepEqual(await atFritz.everything(), {
      INBOX: [],
      Gesendet: [],
      'a/b': expected,
      '&ZeVnLIqe-': expected,
    })
  })

  test('between servers that know no extension is the same, and never twice', async () => {
    using both = await ends('jan')
    const [source, target] = both
    const messages = nastyMessages(randomOf(seed + 6), 30)
    await source.append('INBOX', messages)
    await source.command('CREATE a')
    await source.append('a', messages.slice(0, 3))
    await using here = await plainImap(pair.source.ports.imap)
    await using there = await plainImap(pair.target.ports.imap)
    const login = 'jan@example.com'
    const plain = {
      ends: {
        source: doorTo('fritz', here.port).accessTo(login),
        target: doorTo('ingrid', there.port, 'authzid').accessTo(login),
      },
    }
    assert.deepEqual((await pair.pass('jan', plain)).problems, [])
    const [inbox, a] = [await source.contents('INBOX'), await source.contents('a')]
    assert.deepEqual(await target.contents('INBOX'), inbox)
    assert.deepEqual(await target.contents('INBOX.a'), a)
    await source.command('SELECT INBOX')
    await source.command('STORE 1:3 FLAGS (\\Answered k)')
    await source.append('INBOX', [mail('late')])
    const again = await pair.pass('jan', plain)
    assert.equal(again.copied, 1)
    assert.deepEqual(await target.contents('INBOX'), await source.contents('INBOX'))
    assert.equal((await pair.pass('jan', plain)).copied, 0)
    assert.doesNotMatch(here.sent + there.sent, /CHANGEDSINCE|RETURN|EXPUNGE|APPEND.*\+\}\r\n/)
  })

  test('tells once of each keyword that the target does not keep, and keeps the others', async () => {
    using both = await ends('olga')
    const [source, target] = both
    await target.command('CREATE INBOX.work')
    await target.append('INBOX.work', [{ ...mail('own'), flags: ['kept'] }])
    await source.command('CREATE work')
    const flags = ['\\Seen', 'kept', 'NonJunk', '$Forwarded']
    await source.append('work', [{ ...mail('a'), flags }, { ...mail('b'), flags }, mail('c')])
    await using there = await plainImap(pair.target.ports.imap, withoutNewKeywords)
    const to = doorTo('ingrid', there.port, 'authzid').accessTo('olga@example.com')
    const olga = { ends: { ...pair.endsOf('olga'), target: to } }
    const told = 'work: INBOX.work does not keep $Forwarded NonJunk'
    assert.deepEqual((await pair.pass('olga', olga)).notes, [told])
    const flagsThere = async () => (await target.contents('INBOX.work')).map((one) => one.flags)
    assert.deepEqual(await flagsThere(), ['kept', '\\Seen kept', '\\Seen kept', ''])
    const pairs = [{ source: { name: 'work' }, target: 'INBOX.work' }] as never
    const verdict = await verifyMailbox(olga.ends, pairs, 'full', signal)
    assert.deepEqual(verdict.folders[0]?.differing, [])
    assert.deepEqual((await pair.pass('olga', olga)).notes, [])

    await source.command('SELECT work')
    await source.command('STORE 3 +FLAGS (later kept)')
    const notes = ['work: INBOX.work does not keep later']
    assert.deepEqual((await pair.pass('olga', olga)).notes, notes)
    assert.deepEqual(await flagsThere(), ['kept', '\\Seen kept', '\\Seen kept', 'kept'])
  })

  test('expunges nothing where that would take what others have marked, and says so', async () => {
    using both = await ends('paul')
    const [source, target] = both
    await using there = await plainImap(pair.target.ports.imap)
    const to = doorTo('ingrid', there.port, 'authzid').accessTo('paul@example.com')
    const paul = { ends: { ...pair.endsOf('paul'), target: to } }
    for (const folder of ['gone', 'work']) {
      await source.command(`CREATE ${folder}`)
      await source.append(folder, ['a', 'b', 'c'].map(mail))
    }
    await pair.pass('paul', paul)
    const marked = { ...mail('marked'), flags: ['\\Deleted'] }
    for (const folder of ['INBOX.gone', 'INBOX.work']) await target.append(folder, [marked])
    const before = await target.everything()
    await source.command('SELECT work')
    await source.command('STORE 1:2 +FLAGS (\\Deleted)')
    await source.command('EXPUNGE')
    await source.command('DELETE gone')
    for (let run = 1; run <= 2; run++) {
      const { problems } = await pair.pass('paul', paul)
      assert.deepEqual(problems.toSorted(), [
        'gone is gone, and INBOX.gone is there still: messages cannot be expunged without UIDPLUS',
        'work: 2 messages are gone, and cannot be expunged without UIDPLUS',
      ])
      assert.deepEqual(await target.everything(), before)
    }
    assert.doesNotMatch(there.sent, /EXPUNGE|CLOSE|DELETE/)
    // With it, these go, and no others.
    assert.deepEqual((await pair.pass('paul')).problems, [])
    assert.deepEqual(await bodiesOf(target, 'INBOX.work'), ['c', 'marked'])
    assert.deepEqual(await bodiesOf(target, 'INBOX.gone'), ['marked'])
  })

  test('puts folders where somebody wants them', async () => {
    using both = await ends('hans')
    const [source, target] = both
    await source.command('CREATE a/b')
    await source.append('a/b', [mail('x')])
    await pair.pass('hans', { renames: new Map([['a/b', 'INBOX.Archiv.Ä']]) })
    assert.deepEqual(await bodiesOf(target, 'INBOX.Archiv.&AMQ-'), ['x'])
  })

  test('keeps what it has of a folder that the source cannot read for now', async () => {
    using both = await ends('lena')
    const [source, target] = both
    await source.command('CREATE work')
    await source.append('work', [mail('a'), mail('b')])
    await pair.pass('lena')
    const before = await target.uids('INBOX.work')
    {
      using _ = pair.unreadable('source', 'lena', 'work')
      const [problem = ''] = (await pair.pass('lena')).problems
      assert.match(problem, /^work: Internal error/)
      assert.deepEqual(await target.uids('INBOX.work'), before)
    }
    await source.append('work', [mail('c')])
    const { copied, problems } = await pair.pass('lena')
    assert.deepEqual([copied, problems], [1, []])
    assert.deepEqual((await target.uids('INBOX.work')).slice(0, 2), before)
  })

  test('names folders that their server lists and does not know, and makes none twice', async () => {
    using both = await ends('nils')
    const [source, target] = both
    await source.append('INBOX', [mail('a')])
    // No modified UTF-7, which Dovecot shows as if it were text.
    const names = ['x&AAA', '&-&', 'y&', 'tab\t', 'up..down']
    const store = dir.join('source', 'mail', 'nils@example.com')
    for (const name of names) putMaildirFiles(store, `.${name}`, ['Subject: x\n\n'])
    const wanted = ['&-&: ', 'tab\t: ', 'up//down: ', 'x&AAA: ', 'y&: ']
    await assert.rejects(source.command('EXAMINE "x&-AAA"'), /Mailbox doesn't exist/)
    const made: string[][] = []
    for (let run = 1; run <= 2; run++) {
      const { problems } = await pair.pass('nils')
      assert.deepEqual(problems.map((problem) => problem.replace(/: .*/, ': ')).sort(), wanted)
      made.push((await target.folders()).sort())
    }
    assert.deepEqual(made[0], made[1])
    assert.deepEqual(await bodiesOf(target, 'INBOX'), ['a'])
  })

  test('takes away what is gone at the source when the target can read it again', async () => {
    using both = await ends('leo')
    const [source, target] = both
    await source.command('CREATE work')
    await source.append('work', [mail('a')])
    await pair.pass('leo')
    await source.command('DELETE work')
    {
      using _ = pair.unreadable('target', 'leo', 'work')
      const [problem = ''] = (await pair.pass('leo')).problems
      assert.match(problem, /^work is gone, and INBOX\.work is there still: Internal error/)
    }
    assert.deepEqual((await pair.pass('leo')).problems, [])
    assert.deepEqual((await target.folders()).includes('INBOX.work'), false)
  })

  test('into a mailbox without room ends with that, and goes on when there is room', async () => {
    using both = await ends('karl')
    const [source, target] = both
    await source.append('INBOX', [large('a'), large('b')])
    await target.append('INBOX', [large('before')])
    await assert.rejects(pair.pass('karl'), { code: 'TARGET_FULL' })
    await target.command('SELECT INBOX')
    await target.command('UID STORE 1 +FLAGS (\\Deleted)')
    await target.command('EXPUNGE')
    await pair.pass('karl')
    assert.deepEqual(await bodiesOf(target, 'INBOX'), ['a', 'b'])
  })
})

/** Subjects, in order. */
async function bodiesOf(imap: RawImap, folder: string): Promise<string[]> {
  await imap.command(`EXAMINE "${folder}"`)
  const found = await imap.command('UID FETCH 1:* BODY.PEEK[HEADER.FIELDS (SUBJECT)]')
  return found.flatMap(({ literals }) => {
    const subject = /^Subject: (.*)\r\n/.exec(String(literals[0] ?? ''))?.[1]
    return subject === undefined ? [] : [subject]
  })
}
