/** Copies between Dovecot and Cyrus, both ways. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, before, describe, test } from 'node:test'
import { encodeFolderName } from '../../src/mail/folder-name.ts'
import { CopyJournal } from '../../src/map/state/copy-journal.ts'
import { BadMessages } from '../../src/migrate/bad-messages.ts'
import { checkSizes } from '../../src/migrate/check-sizes.ts'
import { MailboxCopy } from '../../src/migrate/copy-mailbox.ts'
import { CopySession } from '../../src/migrate/copy-session.ts'
import { readUidls } from '../../src/migrate/read-uidls.ts'
import { verifyMailbox } from '../../src/migrate/verify-mailbox.ts'
import { Cyrus, skipWithoutCyrus } from '../support/cyrus.ts'
import {
  doorTo,
  MailboxPair,
  passOf,
  password,
  planFor,
  smallPieces,
} from '../support/mailbox-pair.ts'
import { oddMessages, putMaildirFiles } from '../support/maildir.ts'
import { fillNasty, nastyMessages } from '../support/nasty-mailbox.ts'
import { plainImap } from '../support/plain-imap.ts'
import { randomOf } from '../support/random.ts'
import { type RawContent, RawImap } from '../support/raw-imap.ts'
import { tempDir } from '../support/temp-dir.ts'
import { skipWithout } from '../support/tools.ts'

const swapped = { source: 'ingrid', target: 'fritz' } as const
const { signal } = new AbortController()
const seed = Number(process.env['SEED'] ?? 20_261_130)

/** Of a message that this Cyrus takes. */
const mostBytes = 10_000_000

const mail = (text: string) => ({
  flags: [],
  date: '17-Jul-1996 02:44:25 -0700',
  body: Buffer.from(`From: a@example.net\r\nSubject: ${text}\r\n\r\n`),
})

const people = ['ann', 'bob', 'dora', 'emil', 'fred', 'gina', 'hans', 'ida', 'jan', 'karl']
/** Cyrus knows no folder for \\Flagged. */
const uses = [
  'namespace inbox {',
  ...Object.entries({
    Weg: 'Trash',
    Entwürfe: 'Drafts',
    Ablage: 'Archive',
    Sterne: 'Flagged',
  }).map(([name, use]) => `mailbox ${name} {\n special_use = \\${use}\n}`),
  '}',
]

const dying = { onProgress: () => assert.fail('killed') }

/** Dovecot shows CRLF and 0x80 for what it has of such. */
function withOddOctets(bytes: Buffer): Buffer {
  const text = bytes.toString('latin1').replaceAll('<NUL>', 'NUL\0\0')
  return Buffer.from(text.replaceAll('<LF>', 'LF\n\n').replaceAll('<CR>', 'CR\r\r'), 'latin1')
}

describe('a copy', { skip: skipWithout('dovecot') || skipWithoutCyrus() }, () => {
  const dir = tempDir()
  let pair: MailboxPair
  let cyrus: Cyrus

  before(async () => {
    pair = await MailboxPair.start(dir, { users: people, source: uses })
    cyrus = await Cyrus.start(dir, 'cyrus', people, [`maxmessagesize: ${mostBytes}`])
  })
  after(async () => {
    await Promise.all([pair[Symbol.asyncDispose](), cyrus[Symbol.asyncDispose]()])
    dir[Symbol.dispose]()
  })

  const atCyrus = (user: string) =>
    doorTo('klaus', cyrus.imap, 'authzid', { user: 'cyrus', pop3: cyrus.pop3 }).accessTo(user)

  test(`from Dovecot to Cyrus brings over all that Cyrus takes, and tells of the rest, seed ${seed}`, async () => {
    using source = await pair.login('source', 'ann')
    using target = await RawImap.login(cyrus.imap, 'ann', 'x')
    await fillNasty(source, seed, 25)
    const bad = new BadMessages(dir.join('state'), 'ann', 1000)
    const ends = { source: pair.endsOf('ann').source, target: atCyrus('ann') }
    const batches = { ...smallPieces, largeBytes: 1024 * 1024 }
    const report = await passOf(dir, planFor(dir, 'ann', ends, { bad, batches }))
    assert.deepEqual(report.problems, [])
    assert.deepEqual(report.notes, [
      '100%_* is called 100___',
      "it's (mine) {3} is called it_s _mine_ _3_",
    ])
    const expected: Record<string, RawContent[]> = {}
    for (const [name, messages] of Object.entries(await source.everything())) {
      const uids = await source.uids(name)
      const left = bad.found.filter(({ folder }) => encodeFolderName(folder) === name)
      expected[name.replace(/[%*'(){}]/g, '_')] = messages.filter((_, index) =>
        left.every(({ uid }) => uid !== uids[index]),
      )
    }
    // Cyrus makes those above a folder, too.
    assert.deepEqual(await target.everything(), { ...expected, a: [], 'a/b': [] })
    const reasons = new Set(bad.found.map(({ reason }) => reason))
    assert.deepEqual(reasons, new Set(['Message contains invalid header']))
    assert.ok(bad.found.some(({ sizeBytes }) => sizeBytes > batches.largeBytes))
    for (const { file, sizeBytes } of bad.found) assert.equal(readFileSync(file).length, sizeBytes)
  })

  test('from Dovecot to Cyrus brings over what only files of a Maildir hold', async () => {
    using source = await pair.login('source', 'fred')
    using target = await RawImap.login(cyrus.imap, 'fred', 'x')
    const store = dir.join('source', 'mail', 'fred@example.com')
    putMaildirFiles(store, '.odd', Object.values(oddMessages))
    const bad = new BadMessages(dir.join('state'), 'fred', 1)
    const ends = { source: pair.endsOf('fred').source, target: atCyrus('fred') }
    assert.deepEqual((await passOf(dir, planFor(dir, 'fred', ends, { bad }))).problems, [])
    const [, ...rest] = await source.contents('odd')
    assert.deepEqual(await target.contents('odd'), rest)
    assert.deepEqual(
      bad.found.map(({ uid, reason }) => [uid, reason]),
      [[1, 'Zero-length message literal']],
    )
  })

  test('of messages with NUL and bare line feeds is as octets are, or kept and told of', async () => {
    using plain = await pair.login('source', 'gina')
    const texts = ['fine', '<NUL>', '<LF>', '<CR>', 'fine, too']
    const head = 'From: a@example.net\r\n\r\n'
    await plain.append(
      'INBOX',
      texts.map((text) => ({ ...mail(''), body: Buffer.from(`${head}${text}`) })),
    )
    await using way = await plainImap(pair.source.ports.imap, withOddOctets)
    using source = await RawImap.login(way.port, 'gina@example.com', password)
    const access = doorTo('fritz', way.port).accessTo('gina@example.com')
    const bad = new BadMessages(dir.join('state'), 'gina', 1)
    const ends = { source: access, target: atCyrus('gina') }
    const report = await passOf(dir, planFor(dir, 'gina', ends, { bad }))
    assert.deepEqual([report.problems, report.copied], [[], 4])
    using target = await RawImap.login(cyrus.imap, 'gina', 'x')
    const contents = await source.contents('INBOX')
    assert.deepEqual(await target.contents('INBOX'), contents.toSpliced(2, 1))
    assert.deepEqual(
      bad.found.map(({ reason, file }) => [reason, String(readFileSync(file))]),
      [['Message contains bare newlines', `${head}LF\n\n`]],
    )
    const pairs = [{ source: { name: 'INBOX' }, target: 'INBOX' }] as never
    const verdict = await verifyMailbox(ends, pairs, 'full', signal)
    const [{ missing, extra, differing } = {}] = verdict.folders
    assert.deepEqual([missing?.map(({ uid }) => uid), extra, differing], [[3], [], []])
  })

  test('gives folders one other name each, also where it is ended before it comes to them', async () => {
    using source = await pair.login('source', 'hans')
    using target = await RawImap.login(cyrus.imap, 'hans', 'x')
    const names = String.raw`"100%" "q\"uote" "q%uote" q_uote "back\\slash" "&ZeU-%" odd&-!`.split(
      ' ',
    )
    for (const name of names) {
      await source.command(`CREATE ${name}`)
      await source.command(`APPEND ${name} {6+}\r\nA: b\r\n`)
    }
    await source.append('INBOX', [mail('first')])
    const ends = { source: pair.endsOf('hans').source, target: atCyrus('hans') }
    await assert.rejects(passOf(dir, planFor(dir, 'hans', ends, dying)), /killed/)
    const { notes, problems } = await passOf(dir, planFor(dir, 'hans', ends))
    assert.deepEqual(problems, [])
    const others = ['100_', 'back_slash', 'odd__', 'q_uote', 'q_uote_2', 'q_uote_3', '&ZeU-_']
    assert.deepEqual((await target.folders()).sort(), ['INBOX', ...others].sort())
    // Which of the two that are alike is which depends on the order of the source.
    assert.deepEqual(
      notes
        .map((note) => note.replace(/(q["%]uote) is called q_uote_[23]/, '$1 is another'))
        .sort(),
      [
        '100% is called 100_',
        String.raw`back\slash is called back_slash`,
        'odd&! is called odd__',
        'q"uote is another',
        'q%uote is another',
        '日% is called 日_',
      ],
    )
    for (const name of others) assert.equal((await target.contents(name)).length, 1, name)
    assert.deepEqual((await passOf(dir, planFor(dir, 'hans', ends))).folders, [])
    assert.equal((await target.folders()).length, names.length + 1)
  })

  test('makes folders with the use that they have, where Cyrus lets them, and none where there is one', async () => {
    using source = await pair.login('source', 'jan')
    using target = await RawImap.login(cyrus.imap, 'jan', 'x')
    for (const [index, name] of ['Weg', 'Entw&APw-rfe', 'Sterne', 'Ablage'].entries()) {
      await source.command(`CREATE ${name}`)
      await source.append(name, [mail(`${index}`)])
    }
    await target.command('CREATE Archive (USE (\\Archive))')
    await using way = await plainImap(cyrus.imap, (bytes) => bytes)
    const to = doorTo('klaus', way.port, 'authzid', { user: 'cyrus' }).accessTo('jan')
    const ends = { source: pair.endsOf('jan').source, target: to }
    const { notes, problems } = await passOf(dir, planFor(dir, 'jan', ends))
    assert.deepEqual([notes, problems], [['Sterne: klaus does not let it be \\Flagged'], []])
    assert.deepEqual(way.sent.match(/CREATE.*/g)?.sort(), [
      'CREATE "Entw&APw-rfe" (USE (\\Drafts))',
      'CREATE "Sterne"',
      'CREATE "Sterne" (USE (\\Flagged))',
      'CREATE "Weg" (USE (\\Trash))',
    ])
    const listed = await target.command('LIST (SPECIAL-USE) "" *')
    assert.deepEqual(
      listed.map(({ text }) => / (\\\w+)\) "\/" (.*)$/.exec(text)?.slice(1).join(' ') ?? '').sort(),
      ['\\Archive Archive', '\\Drafts Entw&APw-rfe', '\\Trash Weg'],
    )
    assert.deepEqual(await target.contents('Archive'), await source.contents('Ablage'))
    assert.deepEqual((await passOf(dir, planFor(dir, 'jan', ends))).notes, [])
    const plain = await pair.pass('jan', { target: 'bare' })
    assert.ok(plain.notes.includes('Weg: ingrid cannot be told that it is \\Trash'))
    assert.equal(plain.notes.length, 4)
  })

  test('from Cyrus to Dovecot is equal, follows what changes, and then does nothing', async () => {
    using source = await RawImap.login(cyrus.imap, 'bob', 'x')
    using target = await pair.login('target', 'bob')
    const ends = { source: atCyrus('bob'), target: pair.endsOf('bob').target }
    const pass = () => passOf(dir, planFor(dir, 'bob', ends))
    const header = /^(?:[A-Z][\w-]+: [^\r\n]*\r\n(?: [^\r\n]*\r\n)*)+\r\n/
    // Cyrus wants a header, and of CR CR LF Dovecot's Maildir keeps one CR.
    const sane = nastyMessages(randomOf(seed), 60).filter(
      ({ body }) => header.test(body.toString('latin1')) && !body.includes('\r\r'),
    )
    await source.command('CREATE "Entw&APw-rfe/x"')
    await source.append('Entw&APw-rfe/x', sane)
    // None with \Deleted: EXPUNGE would take it, too.
    const kept = sane.map((message) => ({ ...message, flags: ['x'] }))
    await source.append('INBOX', kept.slice(0, 5))
    assert.deepEqual((await pass()).problems, [])
    assert.deepEqual(await target.everything(), await source.everything())
    await source.command('SELECT INBOX')
    await source.command('STORE 1:2 FLAGS (\\Flagged new)')
    await source.command('STORE 3 +FLAGS (\\Deleted)')
    await source.command('EXPUNGE')
    await source.append('INBOX', kept.slice(7, 9))
    const { folders } = await pass()
    assert.deepEqual(await target.everything(), await source.everything())
    const [inbox] = folders
    assert.deepEqual([inbox?.copied, inbox?.flagged, inbox?.expunged], [2, 2, 1])
    assert.equal((await pass()).folders.length, 0)
  })

  test('what is too large for Cyrus is told of before anything is copied, and is not sent there', async () => {
    using source = await pair.login('source', 'karl')
    const large = mail('large')
    const body = Buffer.concat([large.body, Buffer.alloc(mostBytes, `${'x'.repeat(70)}\r\n`)])
    await source.append('INBOX', [mail('one'), { ...large, body }, mail('two')])
    const ends = { source: pair.endsOf('karl').source, target: atCyrus('karl') }
    const bad = new BadMessages(dir.join('state'), 'karl', 1)
    const plan = planFor(dir, 'karl', ends, { bad })
    using journal = await CopyJournal.open(dir.join('state'))
    await using copy = await MailboxCopy.open(plan, journal, signal)
    const look = await copy.look()
    const what = '1 message too large (INBOX: 1): klaus takes none of more than 10.0 MB'
    await assert.rejects(checkSizes(copy, look, { user: 'karl', maxBad: 0 }), {
      code: 'TOO_MANY_BAD',
      message: `karl: ${what}`,
    })
    assert.deepEqual(await checkSizes(copy, look, { user: 'karl', maxBad: 1 }), [what])
    const { copied, bytes } = await copy.pass({ mirror: true })
    assert.deepEqual([copied, bytes < 1_000], [2, true])
    const [left] = bad.found
    assert.match(left?.reason ?? '', /^100000\d\d octets, and klaus takes 10000000 at most$/)
  })

  test('makes two folders of two whose names would be one', async () => {
    using source = await RawImap.login(cyrus.imap, 'ida', 'x')
    using target = await pair.login('target', 'ida')
    const names = ['a.b_c', 'a_b.c', 'a.b.c']
    for (const name of names) {
      await source.command(`CREATE two/${name}`)
      await source.append(`two/${name}`, [mail(name)])
    }
    const ends = { source: atCyrus('ida'), target: pair.endsOf('ida').target }
    for (const copied of [names.length, 0]) {
      const report = await passOf(dir, planFor(dir, 'ida', ends, { source: 'klaus' }))
      assert.deepEqual([report.problems, report.copied], [[], copied])
      const found = await target.folders()
      const made = found.filter((name) => name.startsWith('two/')).sort()
      assert.deepEqual(made, ['two/a_b_c', 'two/a_b_c_2', 'two/a_b_c_3'])
      for (const name of made) assert.equal((await target.contents(name)).length, 1, name)
    }
  })

  test('puts folders that are too deep for the target where it takes them', async () => {
    using source = await RawImap.login(cyrus.imap, 'jan', 'x')
    using target = await pair.login('target', 'jan')
    const levels = ['a', 'b', 'c', 'd', 'e'].map((letter) => letter.repeat(60))
    const names = [levels.join('/'), [...levels, 'e'].join('/')]
    for (const name of names) {
      await source.command(`CREATE "${name}"`)
      await source.append(name, [mail(name.slice(-3))])
    }
    const ends = { source: atCyrus('jan'), target: pair.endsOf('jan').target }
    for (let run = 1; run <= 2; run++) {
      const { problems } = await passOf(dir, planFor(dir, 'jan', ends, { source: 'klaus' }))
      assert.deepEqual(problems, [])
      const found = (await target.folders()).filter((name) => name.startsWith('e'))
      assert.deepEqual(found.sort(), [`${'e'.repeat(58)}_e`, 'e'.repeat(60)])
      for (const name of found) assert.equal((await target.contents(name)).length, 1)
    }
  })

  test('POP3 clients know at Dovecot what they knew at Cyrus, and the other way round', async () => {
    using source = await RawImap.login(cyrus.imap, 'emil', 'x')
    await source.append('INBOX', ['gone', 'one', 'two'].map(mail))
    await source.command('SELECT INBOX')
    await source.command('STORE 1 +FLAGS (\\Deleted)')
    await source.command('EXPUNGE')
    const { target: dovecot } = pair.endsOf('emil')
    const pop3 = doorTo('ingrid', 1, 'authzid', { pop3: pair.target.ports.pop3 }).accessTo(
      'emil@example.com',
    )
    const atDovecot = { ...dovecot, endpoints: { ...pop3.endpoints, ...dovecot.endpoints } }
    const there = { ...planFor(dir, 'emil', { source: atCyrus('emil'), target: atDovecot }) }
    const back = { ...there, ends: { source: atDovecot, target: atCyrus('dora') }, ...swapped }
    const known: ReadonlyMap<string, string>[] = []
    for (const plan of [there, back]) {
      await passOf(dir, plan)
      using journal = await CopyJournal.open(dir.join('state'))
      await using session = await CopySession.open(plan.ends, signal)
      const work = { route: plan, ends: plan.ends, session, journal, before: undefined, signal }
      const { table, kept, unknown } = await readUidls(work)
      assert.deepEqual([kept, unknown], [2, 0])
      known.push(table?.before ?? new Map())
    }
    const [atFirst, atLast] = known
    for (const uidl of atFirst?.values() ?? []) assert.match(uidl, /^\d+\.[23]$|^[\da-f]{16}$/)
    // What was Dovecot's own name is what Dovecot's messages were known by.
    assert.deepEqual([...(atLast?.values() ?? [])].sort(), [...(atFirst?.keys() ?? [])].sort())
  })
})
