/** What is read of one mailbox while others change it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ImapMailbox } from '../../src/migrate/imap-mailbox.ts'
import { doorTo } from '../support/mailbox-pair.ts'
import { type Peer, ScriptedBackend } from '../support/peer.ts'

const { signal } = new AbortController()

/** Three messages are there; each search is answered by the next of these, the last ones again. */
async function serve(peer: Peer, searches: readonly string[][]): Promise<void> {
  peer.send('* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR] hi\r\n')
  await peer.expect(/^L AUTHENTICATE PLAIN \S+\r\n/)
  peer.send('L OK [CAPABILITY IMAP4rev1] in\r\n')
  for (let asked = 0; ; ) {
    const [, tag = '', command = ''] = await peer.expect(/^(\S+) (UID SEARCH|\S+).*\r\n/)
    const told: string[] = []
    if (command === 'EXAMINE') told.push('3 EXISTS', 'OK [UIDVALIDITY 1] x', 'OK [UIDNEXT 9] x')
    if (command === 'UID SEARCH') told.push(...(searches[asked++] ?? searches.at(-1) ?? []))
    if (command === 'LOGOUT') told.push('BYE')
    for (const line of told) peer.send(`* ${line}\r\n`)
    peer.send(`${tag} ${command === 'LSUB' ? 'NO [SERVERBUG] what was that' : 'OK done'}\r\n`)
    if (command === 'LOGOUT') return
  }
}

async function uidsOf(searches: readonly string[][]): Promise<string> {
  await using backend = await ScriptedBackend.start((peer) => serve(peer, searches))
  const access = doorTo('fritz', backend.port, 'authzid').accessTo('ann')
  await using mailbox = await ImapMailbox.open(access, signal)
  await mailbox.select('INBOX', 'read')
  return String(await mailbox.uids())
}

for (const [what, searches, uids] of [
  ['nothing', [['SEARCH 1 3 5']], '1,3,5'],
  ['a message that is deleted after the search', [['SEARCH 1 3 5', '2 EXPUNGE']], '1,3,5'],
  ['one that is deleted before it', [['2 EXPUNGE', 'SEARCH 1 5']], '1,5'],
  ['one that comes', [['SEARCH 1 3 5 7', '4 EXISTS']], '1,3,5,7'],
  ['one of each', [['SEARCH 1 3 5 7', '4 EXISTS', '1 EXPUNGE']], '1,3,5,7'],
  ['one that is told of late', [['SEARCH 1 3 5 7'], ['4 EXISTS', 'SEARCH 1 3 5 7']], '1,3,5,7'],
] as const) {
  test(`messages are as many as the server says, with ${what} meanwhile`, async () => {
    assert.equal(await uidsOf(searches as never), uids)
  })
}

test('a server that lists fewer messages than it says that there are is not believed', async () => {
  for (const searches of [[['SEARCH 1 3']], [['SEARCH 1', '1 EXPUNGE'], ['SEARCH 3']]]) {
    await assert.rejects(uidsOf(searches), {
      code: 'BACKEND_UNREACHABLE',
      message: /^fritz, IMAP: lists /,
    })
  }
})

test('a server that does not list folders is one that cannot be worked with, and no fault of ours', async () => {
  await using backend = await ScriptedBackend.start((peer) => serve(peer, []))
  const access = doorTo('fritz', backend.port, 'authzid').accessTo('ann')
  await using mailbox = await ImapMailbox.open(access, signal)
  await assert.rejects(mailbox.list(), {
    code: 'BACKEND_UNREACHABLE',
    message: 'fritz, IMAP: does not list folders: what was that',
  })
})
