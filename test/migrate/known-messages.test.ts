/** A second comparison by one run, which reads only what has come or changed since the first. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { CopyEnds } from '../../src/migrate/copy-session.ts'
import { KnownMessages } from '../../src/migrate/known-messages.ts'
import { verifyMailbox } from '../../src/migrate/verify-mailbox.ts'
import { doorTo, MailboxPair } from '../support/mailbox-pair.ts'
import { plainImap } from '../support/plain-imap.ts'
import { tempDir } from '../support/temp-dir.ts'
import { skipWithout } from '../support/tools.ts'

const mail = (text: string) => ({
  flags: [],
  date: '17-Jul-1996 02:44:25 -0700',
  body: Buffer.from(`Subject: ${text}\r\n\r\n`),
})

const inbox = { source: { name: 'INBOX' }, target: 'INBOX' } as never

describe('a second comparison', { skip: skipWithout('dovecot') }, () => {
  const dir = tempDir()
  let pair: MailboxPair

  before(async () => {
    pair = await MailboxPair.start(dir, { users: ['ann', 'bob'] })
  })
  after(async () => {
    await pair[Symbol.asyncDispose]()
    dir[Symbol.dispose]()
  })

  async function seesAll(user: string, ends: CopyEnds): Promise<void> {
    using source = await pair.login('source', user)
    using target = await pair.login('target', user)
    const messages = ['1', '2', '3', '4'].map(mail)
    await source.append('INBOX', messages)
    await target.append('INBOX', messages)
    // Dovecot counts changes of a folder from the first time that somebody asks for their number.
    for (const imap of [source, target]) await imap.command('STATUS INBOX (HIGHESTMODSEQ)')
    const known = new KnownMessages()
    const how = { mode: known, onEqual: () => undefined }
    const verify = async () => {
      const { folders } = await verifyMailbox(ends, [inbox], how, new AbortController().signal)
      return folders.map(({ missing, extra, differing, problem }) => ({
        missing: missing.map(({ uid }) => uid),
        extra: extra.map(({ uid }) => uid),
        differing: differing.map(({ source: uid }) => uid),
        problem,
      }))
    }
    assert.deepEqual(await verify(), [])
    for (const imap of [source, target]) await imap.command('SELECT INBOX')
    await source.command('STORE 1 +FLAGS (\\Flagged)')
    await target.command('STORE 2 +FLAGS (\\Seen)')
    await target.command('STORE 3 +FLAGS (\\Deleted)')
    await target.command('EXPUNGE')
    await source.append('INBOX', [mail('5')])
    await target.append('INBOX', [mail('6')])
    const differing = { missing: [3, 5], extra: [5], differing: [1, 2], problem: undefined }
    assert.deepEqual(await verify(), [differing])
    assert.deepEqual(await verify(), [differing])
    await target.command('STORE 1 +FLAGS (\\Flagged)')
    await target.command('STORE 2 -FLAGS (\\Seen)')
    assert.deepEqual(await verify(), [{ ...differing, differing: [] }])
  }

  test('sees what has changed where servers tell of it', () => seesAll('ann', pair.endsOf('ann')))

  test('sees it where they do not, too', async () => {
    await using source = await plainImap(pair.source.ports.imap)
    await using target = await plainImap(pair.target.ports.imap)
    const login = 'bob@example.com'
    await seesAll('bob', {
      source: doorTo('fritz', source.port).accessTo(login),
      target: doorTo('ingrid', target.port, 'authzid').accessTo(login),
    })
  })
})
