/** Rights of others and annotations that go along with a mailbox, between Dovecots and Cyrus. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { CopyJournal } from '../../src/map/state/copy-journal.ts'
import { CarriedAlong } from '../../src/migrate/carry-along.ts'
import { copyExtras, tellShared } from '../../src/migrate/copy-extras.ts'
import { MailboxCopy } from '../../src/migrate/copy-mailbox.ts'
import type { CopyEnds } from '../../src/migrate/copy-session.ts'
import { normalRights, oldRights, planExtras } from '../../src/migrate/folder-extras.ts'
import { Cyrus, skipWithoutCyrus } from '../support/cyrus.ts'
import { doorTo, MailboxPair, planFor } from '../support/mailbox-pair.ts'
import { MovingSite } from '../support/moving-site.ts'
import { RawImap } from '../support/raw-imap.ts'
import { tempDir } from '../support/temp-dir.ts'
import { ThrottlingProxy } from '../support/throttling-proxy.ts'
import { skipWithout } from '../support/tools.ts'

/** Without `acl_user` an administrator would have the rights of nobody. */
const offering = [
  'mail_plugins = acl',
  'mail_attribute_dict = file:%h/attributes',
  'protocol imap {',
  '  mail_plugins = acl imap_acl',
  '  imap_metadata = yes',
  '}',
  'plugin {',
  '  acl = vfile',
  '  acl_user = %u',
  '}',
]
/** What the other one refuses. */
const forAnyone = ['plugin {', '  acl_anyone = allow', '}']

const extras = (rights: Record<string, string>, notes: Record<string, string>) => ({
  rights: new Map(Object.entries(rights)),
  notes: new Map(Object.entries(notes)),
})

/** Lines of what a server says of a folder, each with the octets of its literals. */
async function said(imap: RawImap, command: string): Promise<string> {
  const responses = await imap.command(command)
  return responses.map(({ text, literals }) => [text, ...literals].join('|')).join('\n')
}

async function aclOf(imap: RawImap, folder: string): Promise<Record<string, string>> {
  const text = await said(imap, `GETACL ${folder}`)
  const [, rest = ''] = /ACL \S+ (.*)/.exec(text) ?? []
  const words = rest.replaceAll('"', '').split(' ')
  return Object.fromEntries(
    words.flatMap((word, index) =>
      index % 2 === 0 ? [[word, normalRights(words[index + 1] ?? '')]] : [],
    ),
  )
}

test('rights are the same by their letters of before and of now', () => {
  assert.equal(normalRights('lrs'), 'lrs')
  assert.equal(normalRights('lrswicda'), 'aeiklrstwx')
  assert.equal(normalRights('lrkxtecd'), 'eklrtx')
  assert.equal(normalRights('lrkcd'), 'eklrt')
  assert.equal(oldRights('aeiklrstwx'), 'acdilrsw')
})

test('what is planned is what differs, and the end of what was carried once', () => {
  const source = extras({ ann: 'lr', bob: 'l' }, { '/private/a': '1' })
  const target = extras({ bob: 'l', carl: 'l', dora: 'l' }, { '/private/a': '2', '/private/b': '' })
  const carried = new Set(['rights of carl', 'annotation /private/b'])
  assert.deepEqual(
    planExtras(source, target, (name) => carried.has(name)),
    {
      rights: [
        ['ann', 'lr'],
        ['carl', undefined],
      ],
      notes: [
        ['/private/a', '1'],
        ['/private/b', undefined],
      ],
    },
  )
})

test('what a server does not tell is not gone, and is set all the same where it should be', () => {
  const told = extras({ ann: 'lr' }, { '/private/a': '1' })
  const silent = { rights: undefined, notes: undefined }
  assert.deepEqual(
    planExtras(silent, told, () => true),
    { rights: [], notes: [] },
  )
  assert.deepEqual(
    planExtras(told, silent, () => true),
    { rights: [['ann', 'lr']], notes: [['/private/a', '1']] },
  )
})

describe('rights and annotations', { skip: skipWithout('dovecot') || skipWithoutCyrus() }, () => {
  const dir = tempDir()
  let pair: MailboxPair
  let bare: MailboxPair
  let cyrus: Cyrus

  before(async () => {
    const users = ['ann', 'bob', 'carl', 'dora', 'emma']
    pair = await MailboxPair.start(dir, {
      users,
      source: [...offering, ...forAnyone],
      target: offering,
    })
    const lines = ['virtdomains: userid', 'defaultdomain: example.com']
    cyrus = await Cyrus.start(dir, 'cyrus', [...users, 'frida'], lines)
    bare = await MailboxPair.start(tempDir(), { users })
  })
  after(async () => {
    await Promise.all([pair, bare, cyrus].map((each) => each[Symbol.asyncDispose]()))
    for (const each of [dir, bare.dir]) each[Symbol.dispose]()
  })

  /** A pass, and what is carried with it by a run of the command. */
  async function carry(user: string, ends: CopyEnds, names = ['fritz', 'ingrid']) {
    const [source = '', target = ''] = names
    using journal = await CopyJournal.open(dir.join('state'))
    const plan = { ...planFor(dir, user, ends), source, target }
    const signal = new AbortController().signal
    await using copy = await MailboxCopy.open(plan, journal, signal)
    const { pairs: first } = await copy.look()
    const shared = await tellShared(copy.session, { ends, pairs: first })
    await copy.pass({ mirror: true })
    const { pairs } = await copy.look()
    const route = { user, source, target }
    const own = { session: copy.session, stateDir: dir.join('state'), seen: new Map() }
    const { changed, notes } = await copyExtras({ route, ends, pairs, ...own })
    return { shared, changed, notes }
  }

  test('that there is no time for while the user waits come along when he does not', async () => {
    using source = await pair.login('source', 'emma')
    using target = await pair.login('target', 'emma')
    await source.command('CREATE shared')
    const ends = pair.endsOf('emma')
    using journal = await CopyJournal.open(dir.join('state'))
    const { signal } = new AbortController()
    const plan = planFor(dir, 'emma', ends)
    await using copy = await MailboxCopy.open(plan, journal, signal)
    await copy.pass({ mirror: true })
    const along = new CarriedAlong({ ignores: [], route: plan, ends, stateDir: dir.join('state') })
    assert.deepEqual(await along.carry(copy, signal), [])
    await target.command('SETACL shared frida@example.com l')
    assert.deepEqual(await along.carryRest(copy), [])
    assert.equal((await aclOf(target, 'shared'))['frida@example.com'], 'l', 'nothing was left')
    await source.command('SETACL shared frida@example.com lrs')
    await along.carry(copy, signal, -1)
    assert.equal((await aclOf(target, 'shared'))['frida@example.com'], 'l')
    await along.carryRest(copy)
    assert.equal((await aclOf(target, 'shared'))['frida@example.com'], 'lrs')
  })

  test('come along from Dovecot to Dovecot, follow, and are let alone where they are as they should be', async () => {
    using source = await pair.login('source', 'ann')
    using target = await pair.login('target', 'ann')
    for (const command of [
      'CREATE work',
      'SETACL work frida@example.com lrs',
      'SETACL work anyone l',
      'SETACL INBOX bob@example.com l',
      'SETMETADATA work (/private/comment "mine")',
      'SETMETADATA work (/shared/comment {7+}\r\n\xc3\xbc\r\n"\\x)',
      'SETMETADATA work (/shared/vendor/kolab/folder-type "event")',
    ]) {
      await source.command(command)
    }
    const ends = pair.endsOf('ann')
    const first = await carry('ann', ends)
    const refused = [
      "work: rights of anyone left behind: ingrid: Error in IMAP command SETACL: 'anyone' identifier is disallowed",
    ]
    assert.deepEqual(
      { ...first, notes: first.notes.map((note) => note.replace(/ \([\d.+ ]+secs\)\.$/, '')) },
      {
        shared: [
          'INBOX: shared with bob@example.com',
          'work: shared with anyone, frida@example.com',
        ],
        changed: 5,
        notes: refused,
      },
    )
    assert.equal((await aclOf(target, 'work'))['frida@example.com'], 'lrs')
    assert.equal((await aclOf(target, 'INBOX'))['bob@example.com'], 'l')
    const notes = '(/private/comment /shared/comment)'
    assert.equal(
      await said(target, `GETMETADATA work ${notes}`),
      await said(source, `GETMETADATA work ${notes}`),
    )
    assert.match(await said(target, 'GETMETADATA work (/shared/vendor/kolab/folder-type)'), /event/)
    assert.equal((await carry('ann', ends)).changed, 0)

    await target.command('SETMETADATA work (/private/own "stays")')
    await source.command('SETMETADATA work (/private/comment "other" /shared/comment NIL)')
    await source.command('SETACL work frida@example.com lrsw')
    await source.command('DELETEACL INBOX bob@example.com')
    assert.equal((await carry('ann', ends)).changed, 4)
    assert.equal((await aclOf(target, 'work'))['frida@example.com'], 'lrsw')
    assert.equal((await aclOf(target, 'INBOX'))['bob@example.com'], undefined)
    const left = await said(
      target,
      `GETMETADATA work (/private/comment /shared/comment /private/own)`,
    )
    assert.match(left, /other/)
    assert.match(left, /stays/)
    assert.doesNotMatch(left, /"\\x/)
    assert.equal((await carry('ann', ends)).changed, 0)
  })

  test('stay at the target while the source refuses to tell of them', async () => {
    using source = await pair.login('source', 'dora')
    using target = await pair.login('target', 'dora')
    await source.command('SETACL INBOX frida@example.com lr')
    await source.command('SETMETADATA INBOX (/private/comment "mine")')
    const ends = pair.endsOf('dora')
    assert.equal((await carry('dora', ends)).changed, 2)
    await using silent = await ThrottlingProxy.start(pair.source.ports.imap, (command) =>
      /^GET(?:ACL|METADATA)\b/.test(command) ? 'NO [SERVERBUG] Internal error' : undefined,
    )
    const refusing = { ...ends, source: doorTo('fritz', silent.port).accessTo('dora@example.com') }
    assert.deepEqual(await carry('dora', refusing), { shared: [], changed: 0, notes: [] })
    // Rights and annotations of INBOX twice, and annotations of the mailbox as a whole.
    assert.equal(silent.openAtRefusals.length, 5)
    assert.equal((await aclOf(target, 'INBOX'))['frida@example.com'], 'lr')
    assert.match(await said(target, 'GETMETADATA INBOX (/private/comment)'), /mine/)
  })

  test('are told of where the target has no place for them, and nothing else is kept from it', async () => {
    using source = await pair.login('source', 'bob')
    await source.command('SETACL INBOX anyone lr')
    await source.command('SETMETADATA INBOX (/private/comment "x")')
    const ends = { source: pair.endsOf('bob').source, target: bare.endsOf('bob').target }
    assert.deepEqual(await carry('bob', ends), {
      shared: ['INBOX: shared with anyone, which ingrid has no place for'],
      changed: 0,
      notes: [
        'INBOX: rights of anyone left behind: ingrid: it has no ACL',
        'INBOX: annotation /private/comment left behind: ingrid: it has no METADATA',
      ],
    })
  })

  test('come along from Dovecot to Cyrus, and back again with what has changed', async () => {
    using source = await pair.login('source', 'carl')
    using target = await RawImap.login(cyrus.imap, 'carl@example.com', 'x')
    await source.command('CREATE Sent')
    await source.command('SETACL Sent frida@example.com lrstei')
    await source.command('SETMETADATA Sent (/private/comment "mine" /shared/comment "ours")')
    const login = 'carl@example.com'
    const there = {
      source: pair.endsOf('carl').source,
      target: doorTo('klaus', cyrus.imap, 'authzid', { user: 'cyrus' }).accessTo(login),
    }
    const names = ['fritz', 'klaus']
    const first = await carry('carl', there, names)
    assert.deepEqual([first.changed, first.notes], [3, []])
    assert.equal((await aclOf(target, 'Sent'))['frida'], 'eilrst')
    assert.match(
      await said(target, 'GETMETADATA Sent (/private/comment /shared/comment)'),
      /(?=.*ours).*mine/,
    )
    assert.deepEqual((await carry('carl', there, names)).changed, 0)

    await target.command('SETMETADATA Sent (/private/comment "new" /shared/comment NIL)')
    await target.command('DELETEACL Sent frida')
    const back = { source: there.target, target: there.source }
    const returned = await carry('carl', back, names.toReversed())
    assert.deepEqual([returned.changed, returned.notes], [3, []])
    assert.equal((await aclOf(source, 'Sent'))['frida@example.com'], undefined)
    const left = await said(source, 'GETMETADATA Sent (/private/comment /shared/comment)')
    assert.match(left, /new/)
    assert.doesNotMatch(left, /ours/)
    assert.equal((await carry('carl', back, names.toReversed())).changed, 0)
  })

  test('of the mailbox as a whole stay behind, and are told of', async () => {
    using source = await RawImap.login(cyrus.imap, 'bob@example.com', 'x')
    using target = await pair.login('target', 'bob')
    await source.command('SETMETADATA "" (/private/comment "mine")')
    const access = doorTo('klaus', cyrus.imap, 'authzid', { user: 'cyrus' })
    const ends = { source: access.accessTo('bob@example.com'), target: pair.endsOf('bob').target }
    const { changed, notes } = await carry('bob', ends, ['klaus', 'ingrid'])
    assert.deepEqual(
      [changed, notes],
      [0, ['annotation /private/comment of the whole mailbox left behind']],
    )
    assert.doesNotMatch(await said(target, 'GETMETADATA "" (/private/comment)'), /mine/)
  })

  test('come along with a user who moves, who is told of them before, and follow a way back', async () => {
    await using site = await MovingSite.start({
      users: ['ann'],
      source: [...offering, ...forAnyone],
      target: offering,
    })
    using source = await site.pair.login('source', 'ann')
    using target = await site.pair.login('target', 'ann')
    await source.command('SETACL INBOX frida@example.com lr')
    await source.command('SETACL INBOX anyone l')
    await source.command('SETMETADATA INBOX (/private/comment "one")')
    const looked: string[] = []
    const note = (text: string): void => void looked.push(text)
    await site.move('ann', 'ingrid', { order: 'dry run', note })
    assert.deepEqual(looked, ['INBOX: shared with anyone, frida@example.com'])
    const moved = await site.move('ann', 'ingrid', {
      // After the last look at them before the freeze.
      step: ({ step }) => {
        if (step === 'freezing') site.inside('ann', ['acl set', 'INBOX', 'user=dora', 'lookup'])
      },
    })
    assert.equal(moved.result, 'moved', JSON.stringify(moved.record?.details.error))
    const { dora, 'frida@example.com': frida } = await aclOf(target, 'INBOX')
    assert.deepEqual([dora, frida], ['l', 'lr'])
    assert.match(await said(target, 'GETMETADATA INBOX (/private/comment)'), /one/)

    await target.command('DELETEACL INBOX frida@example.com')
    await target.command('SETMETADATA INBOX (/private/comment "two")')
    assert.equal((await site.move('ann', 'fritz')).result, 'moved')
    const { anyone, ...others } = await aclOf(source, 'INBOX')
    assert.equal(others['frida@example.com'], undefined)
    // What the other one had refused was never there, and is not gone.
    assert.equal(anyone, 'l')
    assert.match(await said(source, 'GETMETADATA INBOX (/private/comment)'), /two/)
  })
})
