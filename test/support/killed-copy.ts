/**
 * A pass of a copy that is killed at its n-th write of the journal: FOLDER USER SOURCE-PORT
 * TARGET-PORT N before|after.
 */
import { CopyJournal } from '../../src/map/state/copy-journal.ts'
import { BadMessages } from '../../src/migrate/bad-messages.ts'
import { MailboxCopy } from '../../src/migrate/copy-mailbox.ts'
import { crashingJournal } from './crashing-journal.ts'
import { doorTo, smallPieces } from './mailbox-pair.ts'

const [, , folder = '', user = '', source = '', target = '', write = '', when = ''] = process.argv
using journal = await CopyJournal.open(folder)
const login = `${user}@example.com`
const plan = {
  user,
  source: 'fritz',
  target: 'ingrid',
  ends: {
    source: doorTo('fritz', Number(source)).accessTo(login),
    target: doorTo('ingrid', Number(target)).accessTo(login),
  },
  renames: new Map(),
  lanes: 1,
  appends: 3,
  bad: new BadMessages(folder, user, 0),
  batches: smallPieces,
  onProgress: () => undefined,
}
const crashing = crashingJournal(
  journal,
  { write: Number(write), when: when === 'before' ? 'before' : 'after' },
  () => {
    process.kill(process.pid, 'SIGKILL')
    // The signal comes at once; nothing may be done until it does.
    for (;;) continue
  },
)
await using copy = await MailboxCopy.open(plan, crashing, new AbortController().signal)
await copy.pass({ mirror: true })
