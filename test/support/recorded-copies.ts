/**
 * Writes into the journal of copies of FOLDER that its messages have other flags, and then what their
 * UIDLs were; prints the code of a failure.
 */
import { MailmuxError } from '../../src/base/error.ts'
import { CopyJournal } from '../../src/map/state/copy-journal.ts'
import { UidlStore } from '../../src/map/state/uidl-store.ts'
import { uidlOwner, uidlsBeing } from './sample-uidls.ts'

const [, , folder = ''] = process.argv
try {
  using journal = await CopyJournal.open(folder)
  const [copied] = journal.folders(1)
  if (copied === undefined) throw new Error('no folder')
  const rows = [...journal.messages(copied)]
  journal.record(
    copied,
    rows.map((row) => ({ ...row, flags: 'new' })),
  )
  using store = await UidlStore.open(folder)
  store.put(uidlOwner, uidlsBeing('new'))
} catch (error) {
  if (!(error instanceof MailmuxError)) throw error
  process.stdout.write(error.code)
  process.exitCode = 1
}
