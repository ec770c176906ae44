/** What is larger than the target takes, where folders go while they are looked into. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CopyJournal } from '../../src/map/state/copy-journal.ts'
import { checkSizes } from '../../src/migrate/check-sizes.ts'
import { MailboxCopy } from '../../src/migrate/copy-mailbox.ts'
import { MailboxPair } from '../support/mailbox-pair.ts'
import { tempDir } from '../support/temp-dir.ts'
import { skipWithout } from '../support/tools.ts'

const large = {
  flags: [],
  date: '17-Jul-1996 02:44:25 -0700',
  body: Buffer.from(`Subject: x\r\n\r\n${'x'.repeat(2_000)}\r\n`),
}

test('a folder that is gone by then is passed over', { skip: skipWithout('dovecot') }, async () => {
  using dir = tempDir()
  const target = ['imap_capability = +APPENDLIMIT=1000']
  await using pair = await MailboxPair.start(dir, { users: ['ann'], target })
  using source = await pair.login('source', 'ann')
  for (const folder of ['a', 'b']) {
    await source.command(`CREATE ${folder}`)
    await source.append(folder, [large])
  }
  using journal = await CopyJournal.open(dir.join('state'))
  await using copy = await MailboxCopy.open(
    pair.planFor('ann'),
    journal,
    new AbortController().signal,
  )
  const look = await copy.look()
  await source.command('DELETE a')
  assert.deepEqual(await checkSizes(copy, look, { user: 'ann', maxBad: 1 }), [
    '1 message too large (b: 1): ingrid takes none of more than 1.0 kB',
  ])
})
