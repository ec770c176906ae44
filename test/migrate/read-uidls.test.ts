/** UIDLs read over POP3 from servers that follow a script, and paired through the journal of a copy. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CopyJournal } from '../../src/map/state/copy-journal.ts'
import { UidlStore } from '../../src/map/state/uidl-store.ts'
import { UidlTable } from '../../src/map/state/uidl-table.ts'
import type { CopySession } from '../../src/migrate/copy-session.ts'
import { keepUidls, type KeptUidls, pruneUidls } from '../../src/migrate/keep-uidls.ts'
import { doorTo } from '../support/mailbox-pair.ts'
import { type Peer, ScriptedBackend } from '../support/peer.ts'
import { tempDir } from '../support/temp-dir.ts'

const user = 'ann@example.com'
const route = { user, source: 'fritz', target: 'ingrid' }
const dovecot = (uid: number, validity: number): string =>
  [uid, validity].map((number) => number.toString(16).padStart(8, '0')).join('')

interface Script {
  /** UIDLs and sizes in the order of the messages. */
  readonly messages?: readonly (readonly [uidl: string, size: number])[]
  /** By number. */
  readonly headers?: Readonly<Record<number, string>>
  /** Answers to commands that are others. */
  readonly answers?: Readonly<Record<string, string>>
}

function serve({ messages = [], headers = {}, answers = {} }: Script): Promise<ScriptedBackend> {
  const list = (of: (one: readonly [string, number]) => unknown): string =>
    `+OK\r\n${messages.map((one, at) => `${at + 1} ${String(of(one))}\r\n`).join('')}.\r\n`
  const answerTo = (line: string): string => {
    const [verb = '', number = ''] = line.split(' ')
    const header = headers[Number(number)]
    if (answers[verb] !== undefined) return answers[verb]
    if (verb === 'UIDL') return list(([uidl]) => uidl)
    if (verb === 'LIST') return list(([, size]) => size)
    if (verb === 'TOP') return header === undefined ? '-ERR none\r\n' : `+OK\r\n${header}\r\n.\r\n`
    return ['USER', 'PASS', 'AUTH', 'QUIT'].includes(verb) ? '+OK\r\n' : '-ERR what\r\n'
  }
  return ScriptedBackend.start(async (peer: Peer) => {
    peer.send('+OK ready\r\n')
    for (let line = ''; line !== 'QUIT' && !peer.closed; ) {
      line = await peer.line().catch(() => 'QUIT')
      if (!peer.closed) peer.send(answerTo(line))
    }
  })
}

/** An INBOX of which only headers are asked. */
function mailboxWith(uidValidity: number, headers: Readonly<Record<number, string>>): unknown {
  return {
    select: async () => ({ state: { uidValidity }, permanentFlags: undefined }),
    responses: async (_command: string, [uids]: readonly [{ readonly value: string }]) =>
      Object.entries(headers)
        .filter(([uid]) => uids.value.split(',').some((part) => within(Number(uid), part)))
        .map(([uid, header]) => [
          null,
          ['UID', uid, 'BODY', header].map((value) => ({ type: 'ATOM', value })),
        ]),
  }
}

function within(uid: number, part: string): boolean {
  const [first = 0, last = first] = part.split(':').map(Number)
  return uid >= first && uid <= last
}

interface Case {
  readonly source: Script
  readonly target: Script
  /** Source UID, target UID, size. */
  readonly copies: readonly (readonly [number, number, number])[]
  readonly sourceHeaders?: Readonly<Record<number, string>>
  /** What clients know messages at the source by. */
  readonly before?: UidlTable
}

async function keep(one: Case): Promise<{ kept: KeptUidls | undefined; pairs: unknown }> {
  await using resources = new AsyncDisposableStack()
  const dir = resources.use(tempDir())
  const [source, target] = await Promise.all([serve(one.source), serve(one.target)])
  resources.use(source)
  resources.use(target)
  const journal = resources.use(await CopyJournal.open(dir.path))
  const store = resources.use(await UidlStore.open(dir.path))
  if (one.before !== undefined) store.put({ user, backend: 'fritz' }, one.before)
  const names = { sourceName: 'INBOX', targetName: 'INBOX' }
  const numbers = { sourceValidity: 7, targetValidity: 8, floor: 0 }
  const folder = journal.bind(journal.mailbox(route), { ...names, ...numbers })
  const row = { sha256: 'x', date: 1, flags: '' }
  journal.record(
    folder,
    one.copies.map(([sourceUid, targetUid, sizeBytes]) => ({
      ...row,
      sourceUid,
      targetUid,
      sizeBytes,
    })),
  )
  const accessTo = (name: string, { port }: ScriptedBackend) =>
    doorTo(name, 1, 'master', { pop3: port }).accessTo(user)
  const session = {
    source: mailboxWith(7, one.sourceHeaders ?? {}),
    target: mailboxWith(8, {}),
  } as Pick<CopySession, 'source' | 'target'>
  const ends = { source: accessTo('fritz', source), target: accessTo('ingrid', target) }
  const { signal } = new AbortController()
  const kept = await keepUidls({ route, ends, session, journal, signal }, dir.path)
  for (const peer of [...source.peers, ...target.peers]) {
    assert.doesNotMatch(peer.received, /^(?:RETR|DELE)/m)
  }
  const found = store.find({ user, backend: 'ingrid' })?.before
  return { kept, pairs: found && Object.fromEntries(found) }
}

const target: Script = {
  messages: [
    [dovecot(1, 8), 10],
    [dovecot(2, 8), 20],
    [dovecot(3, 8), 20],
  ],
}

test('UIDLs that say their UID are paired as the messages were copied', async () => {
  const { kept, pairs } = await keep({
    source: { messages: [3, 5, 6].map((uid) => [`UID${uid}-7`, 1] as const) },
    target,
    copies: [
      [3, 1, 10],
      [5, 3, 20],
    ],
  })
  assert.deepEqual(kept, { kept: 2, notes: [], problems: [] })
  assert.deepEqual(pairs, { [dovecot(1, 8)]: 'UID3-7', [dovecot(3, 8)]: 'UID5-7' })
})

test('others are paired by size, and those of one size by header', async () => {
  const { kept, pairs } = await keep({
    source: {
      messages: [
        ['odd-a', 20],
        ['odd-b', 10],
        ['odd-c', 20],
      ],
      headers: { 1: 'Subject: two\r\n..x: y\r\n', 3: 'Subject: one\r\n' },
    },
    target,
    copies: [
      [3, 1, 10],
      [5, 2, 20],
      [6, 3, 20],
    ],
    sourceHeaders: {
      3: 'Subject: none',
      5: 'Subject: one\r\n\r\n',
      6: 'Subject: two\r\n.x: y\r\n',
    },
  })
  assert.deepEqual(kept, { kept: 3, notes: [], problems: [] })
  assert.deepEqual(pairs, {
    [dovecot(1, 8)]: 'odd-b',
    [dovecot(2, 8)]: 'odd-c',
    [dovecot(3, 8)]: 'odd-a',
  })
})

test('what nothing is known of is counted, and fetched anew', async () => {
  const { kept, pairs } = await keep({
    source: { messages: [['odd', 99]], answers: { TOP: '-ERR what\r\n' } },
    target,
    copies: [[3, 1, 10]],
  })
  const anew = 'POP3 clients will fetch 1 message anew'
  assert.deepEqual([kept, pairs], [{ kept: 0, notes: [anew], problems: [] }, undefined])
})

test('a mailbox that is moved on goes by the names of its first home', async () => {
  const { pairs } = await keep({
    source: {
      messages: [
        [dovecot(3, 7), 10],
        [dovecot(5, 7), 20],
      ],
    },
    target,
    copies: [
      [3, 1, 10],
      [5, 2, 20],
    ],
    before: UidlTable.of(new Map([[dovecot(3, 7), 'first']])),
  })
  assert.deepEqual(pairs, { [dovecot(1, 8)]: 'first', [dovecot(2, 8)]: dovecot(5, 7) })
})

test('a server that refuses the login or UIDL is named, and nothing is kept', async () => {
  for (const answers of [{ PASS: '-ERR [AUTH] no\r\n' }, { UIDL: '-ERR no\r\n' }]) {
    const { kept, pairs } = await keep({ source: { answers }, target, copies: [[3, 1, 10]] })
    assert.match(kept?.problems.join() ?? '', /^POP3 UIDLs are not kept: /)
    assert.equal(pairs, undefined)
  }
})

test('what is gone at the back-end is forgotten, and in the end all', async () => {
  await using resources = new AsyncDisposableStack()
  const dir = resources.use(tempDir())
  const store = resources.use(await UidlStore.open(dir.path))
  const owner = { user, backend: 'ingrid' }
  const all = new Map([
    ['a', 'old-a'],
    ['b', 'old-b'],
    ['c', 'd'],
  ])
  for (const [uidls, left] of [
    [['a', 'x'], ['a']],
    // The message whose own UIDL is another's old one goes by another name as long as it is there.
    [
      ['a', 'd'],
      ['a', 'c'],
    ],
    [['d', 'x'], undefined],
  ] as const) {
    store.put(owner, UidlTable.of(all))
    const server = resources.use(await serve({ messages: uidls.map((uidl) => [uidl, 1] as const) }))
    const access = doorTo('ingrid', 1, 'master', { pop3: server.port }).accessTo(user)
    const prune = () => pruneUidls(owner, access, dir.path, new AbortController().signal)
    await prune()
    const kept = store.find(owner)
    assert.deepEqual(kept && [...kept.before.keys()], left)
    await prune()
    // Nobody is asked where nothing is left.
    assert.equal(server.peers.length, left === undefined ? 1 : 2)
  }
})
